package org.edgeslm;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * An answer under way, or one that waits for its turn. It holds the callback until the answer ends or {@link
 * #detach()}, the executor, and nothing else of the app: an Activity that goes away calls detach() and leaks nothing,
 * and the one that comes after it calls {@link #attach} and hears the answer from its beginning.
 */
public final class Generation {
    private final Object lock = new Object();
    private final StringBuilder text = new StringBuilder();
    private final AtomicInteger waiting = new AtomicInteger(); // changes that were not told yet
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile boolean cancelled;
    private volatile boolean closed;
    private final Executor executor;
    private GenerateCallback callback;
    private int told; // characters of the text
    private GenerateStats stats;
    private EdgeSlmException error;

    private final Runnable telling = new Runnable() {
        @Override
        public void run() {
            tellAll();
        }
    };

    Generation(Executor executor, GenerateCallback callback) {
        this.executor = executor;
        this.callback = callback;
    }

    /** End the answer after the token that is computed now; onDone follows, with the reason CANCELLED. */
    public void cancel() {
        cancelled = true;
    }

    /** Whether the answer ended, however it did. The callback may hear of it a moment later. */
    public boolean isDone() {
        return ended.getCount() == 0;
    }

    /** The answer until now. */
    public String getText() {
        synchronized (lock) {
            return text.toString();
        }
    }

    /** Forget the callback: it is not called any more, but for a call that another thread is in. The answer goes on. */
    public void detach() {
        synchronized (lock) {
            callback = null;
        }
    }

    /** Have another callback hear the answer, from its beginning: what there is already comes at once. */
    public void attach(GenerateCallback other) {
        synchronized (lock) {
            callback = other;
            told = 0;
        }
        tell();
    }

    /**
     * Wait for the answer's end. Not on the main thread.
     *
     * @throws EdgeSlmException what onError is called with
     */
    public GenerateStats await() throws EdgeSlmException, InterruptedException {
        MainThread.refuse("await()");
        ended.await();
        synchronized (lock) {
            if (error != null) {
                throw error;
            }
            return stats;
        }
    }

    boolean isCancelled() {
        return cancelled;
    }

    boolean isClosed() {
        return closed;
    }

    /** The EdgeSlm is closed: the answer ends at its next token. */
    void close() {
        closed = true;
    }

    void add(String piece) {
        if (!piece.isEmpty()) {
            synchronized (lock) {
                text.append(piece);
            }
            tell();
        }
    }

    void end(GenerateStats how) {
        end(how, null);
    }

    void fail(EdgeSlmException why) {
        end(null, why);
    }

    private void end(GenerateStats how, EdgeSlmException why) {
        synchronized (lock) {
            if (stats != null || error != null) {
                return;
            }
            stats = how;
            error = why;
        }
        try {
            tell();
        } finally {
            ended.countDown(); // behind it, so that who waited for it finds the last call on its way
        }
    }

    /** Something changed: tell it on the executor, unless it is being told there already. */
    private void tell() {
        if (waiting.getAndIncrement() == 0) {
            try {
                executor.execute(telling);
            } catch (RejectedExecutionException gone) {
                cancelled = true; // nobody is left to hear it
            }
        }
    }

    private void tellAll() {
        int seen;
        do {
            seen = waiting.get();
            boolean heard = false;
            try {
                tellOnce();
                heard = true;
            } finally {
                if (!heard) { // the callback threw: it is called no more, and who runs the executor learns of it
                    detach();
                    cancelled = true;
                    waiting.set(0);
                }
            }
        } while (waiting.addAndGet(-seen) != 0);
    }

    private void tellOnce() {
        GenerateCallback hearing;
        String piece;
        GenerateStats how;
        EdgeSlmException why;
        synchronized (lock) {
            hearing = callback;
            piece = text.substring(told);
            told = text.length();
            how = stats;
            why = error;
            if (how != null || why != null) {
                callback = null;
            }
        }
        if (hearing == null) {
            return;
        }
        if (!piece.isEmpty()) {
            hearing.onText(piece);
        }
        if (why != null) {
            hearing.onError(why);
        } else if (how != null) {
            hearing.onDone(how);
        }
    }
}
