package android.os;

import java.util.concurrent.LinkedBlockingQueue;

/** A working fake: what is posted runs in turn on one daemon thread, as on Android's main thread. */
public class Handler {
    private static final LinkedBlockingQueue<Runnable> QUEUE = new LinkedBlockingQueue<>();

    public Handler(Looper looper) {
        start(looper);
    }

    public final boolean post(Runnable task) {
        return QUEUE.add(task);
    }

    static synchronized void start(Looper looper) {
        if (looper.thread != null) {
            return;
        }
        Thread thread = new Thread("main (fake)") {
            @Override
            public void run() {
                try {
                    while (true) {
                        QUEUE.take().run();
                    }
                } catch (InterruptedException ended) {
                    interrupt();
                }
            }
        };
        thread.setDaemon(true);
        looper.thread = thread;
        thread.start();
    }
}
