package com.google.ai.edge.litert;

import java.util.concurrent.atomic.AtomicBoolean;

/** What every class with native memory is. */
public abstract class JniHandle implements AutoCloseable {
    final long handle;
    private final AtomicBoolean destroyed = new AtomicBoolean();

    JniHandle(long handle) {
        this.handle = handle;
    }

    protected final void assertNotDestroyed() {
        if (destroyed.get()) {
            throw new IllegalStateException("The handle has been destroyed.");
        }
    }

    protected abstract void destroy();

    @Override
    public final void close() {
        if (destroyed.compareAndSet(false, true)) {
            destroy();
        }
    }
}
