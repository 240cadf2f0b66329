package org.edgeslm.demo;

import android.os.Handler;
import android.os.Looper;
import java.util.concurrent.Executor;

/** Runs what it is given on Android's main thread, one after another. */
final class MainThread implements Executor {
    private final Handler handler = new Handler(Looper.getMainLooper());

    @Override
    public void execute(Runnable task) {
        handler.post(task);
    }
}
