package org.edgeslm;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;

/** What an Activity is to its callback: an inner class's owner, with much memory behind it. */
final class Screen {
    private final byte[] memory = new byte[1 << 20];
    final StringBuilder shown = new StringBuilder();
    final CountDownLatch begun = new CountDownLatch(1);
    final CountDownLatch ended = new CountDownLatch(1);

    Generation start(EdgeSlm slm, Executor executor) throws EdgeSlmException {
        return slm.generate("Once", new GenerateOptions().maxTokens(300).executor(executor), callback());
    }

    GenerateCallback callback() {
        return new GenerateCallback() {
            @Override
            public void onText(String text) {
                shown.append(text).append(memory.length == 0 ? "" : "");
                begun.countDown();
            }

            @Override
            public void onDone(GenerateStats stats) {
                shown.append("|").append(stats.getReason());
                ended.countDown();
            }

            @Override
            public void onError(EdgeSlmException error) {
                shown.append(error);
            }
        };
    }
}
