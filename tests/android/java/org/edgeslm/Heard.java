package org.edgeslm;

import java.util.concurrent.CountDownLatch;

/** A callback that keeps what it hears. */
class Heard implements GenerateCallback {
    final StringBuffer text = new StringBuffer();
    final CountDownLatch heardText = new CountDownLatch(1);
    final CountDownLatch ended = new CountDownLatch(1);
    final CountDownLatch begun = new CountDownLatch(1);
    volatile boolean cancelAfterText;
    volatile Generation generation;
    volatile EdgeSlmException error;
    volatile Thread thread;
    volatile int calls;

    @Override
    public void onText(String more) {
        calls++;
        thread = Thread.currentThread();
        text.append(more);
        heardText.countDown();
        if (cancelAfterText) {
            try {
                begun.await();
            } catch (InterruptedException impossible) {
                throw new AssertionError(impossible);
            }
            generation.cancel();
        }
    }

    @Override
    public void onDone(GenerateStats stats) {
        calls++;
        thread = Thread.currentThread();
        ended.countDown();
    }

    @Override
    public void onError(EdgeSlmException failed) {
        error = failed;
        ended.countDown();
    }
}
