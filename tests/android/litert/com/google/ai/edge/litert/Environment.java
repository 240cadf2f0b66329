package com.google.ai.edge.litert;

/** One for the whole program here, which the shim keeps. */
public final class Environment extends JniHandle {
    private Environment() {
        super(0);
    }

    public static Environment create() throws LiteRtException {
        return new Environment();
    }

    @Override
    protected void destroy() {}
}
