package android.os;

/** A working fake: its queue is a thread that Handler starts. */
public final class Looper {
    private static final Looper MAIN = new Looper();

    Thread thread;

    private Looper() {}

    public static Looper getMainLooper() {
        return MAIN;
    }

    public static Looper myLooper() {
        return Thread.currentThread() == MAIN.thread ? MAIN : null;
    }

    public Thread getThread() {
        Handler.start(this);
        return thread;
    }

    public boolean isCurrentThread() {
        return Thread.currentThread() == thread;
    }
}
