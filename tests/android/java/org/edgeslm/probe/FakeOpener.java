package org.edgeslm.probe;

import java.util.concurrent.CountDownLatch;

/** Opens fakes of a language model on the real clock. */
public final class FakeOpener implements ProbedModel.Opener {
    /** Where it is set, opening waits for it, as native code that hangs. */
    public CountDownLatch hang;
    /** Whether opening went on. */
    public final CountDownLatch done = new CountDownLatch(1);

    @Override
    public ProbedModel open(int threads) {
        if (hang != null) {
            try {
                hang.await();
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
            done.countDown();
        }
        return new FakeModel(new FakeClock(), true, threads, null);
    }
}
