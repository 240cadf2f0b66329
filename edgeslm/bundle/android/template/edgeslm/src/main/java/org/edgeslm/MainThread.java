package org.edgeslm;

import android.os.Handler;
import android.os.Looper;
import java.util.concurrent.Executor;

/** The app's main thread, on which views may be changed. */
final class MainThread implements Executor {
    private final Handler handler = new Handler(Looper.getMainLooper());

    @Override
    public void execute(Runnable task) {
        handler.post(task);
    }

    /** Raises IllegalStateException there: what blocks would freeze the app. */
    static void refuse(String what) {
        if (Looper.getMainLooper().getThread() == Thread.currentThread()) {
            throw new IllegalStateException(what + " takes long: call it on another thread than the main one");
        }
    }
}
