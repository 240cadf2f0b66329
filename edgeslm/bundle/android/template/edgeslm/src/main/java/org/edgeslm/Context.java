package org.edgeslm;

import java.util.Arrays;

/**
 * The tokens whose rows lie in the cache. After a failure, or where an answer was cancelled, they are fewer than what
 * was entered, never more. Used by one thread at a time.
 */
final class Context {
    final LanguageEngine engine;
    private final int[] ids;
    private int count;

    Context(LanguageEngine engine) {
        this.engine = engine;
        ids = new int[engine.context];
    }

    int count() {
        return count;
    }

    /**
     * The logits after a prompt, or null where it was interrupted. With {@code reuse}, what it has in common with what
     * lies in the cache is not entered again.
     */
    float[] enter(int[] prompt, boolean reuse, LanguageEngine.Interrupt interrupt) throws RuntimeFailedException {
        int start = reuse ? common(prompt) : 0;
        count = start;
        float[] logits = engine.prefill(Arrays.copyOfRange(prompt, start, prompt.length), start, interrupt);
        if (logits != null) {
            System.arraycopy(prompt, start, ids, start, prompt.length - start);
            count = prompt.length;
        }
        return logits;
    }

    /** The logits after one more token. */
    float[] step(int token) throws RuntimeFailedException {
        float[] logits = engine.step(token, count);
        ids[count++] = token;
        return logits;
    }

    /** Tokens that a prompt has in common with the cache; at least its last one is entered, whose logits are wanted. */
    int common(int[] prompt) {
        int most = Math.min(count, prompt.length - 1);
        int same = 0;
        while (same < most && ids[same] == prompt[same]) {
            same++;
        }
        return same;
    }
}
