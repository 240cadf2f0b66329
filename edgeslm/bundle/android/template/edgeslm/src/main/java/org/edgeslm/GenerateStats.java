package org.edgeslm;

/** How an answer ended, and what it took. */
public final class GenerateStats {
    /** Why an answer ended. */
    public enum Reason {
        /** The model ended it, or a stop text came. */
        STOP,
        /** It has as many tokens as were asked for. */
        LENGTH,
        /** Prompt and answer fill the context. */
        CONTEXT,
        /** {@link Generation#cancel()} was called. */
        CANCELLED
    }

    private final Reason reason;
    private final int promptTokens;
    private final int reusedTokens;
    private final int generatedTokens;
    private final long prefillNanos;
    private final long firstTokenNanos;
    private final long decodeNanos;

    GenerateStats(
            Reason reason,
            int promptTokens,
            int reusedTokens,
            int generatedTokens,
            long prefillNanos,
            long firstTokenNanos,
            long decodeNanos) {
        this.reason = reason;
        this.promptTokens = promptTokens;
        this.reusedTokens = reusedTokens;
        this.generatedTokens = generatedTokens;
        this.prefillNanos = prefillNanos;
        this.firstTokenNanos = firstTokenNanos;
        this.decodeNanos = decodeNanos;
    }

    public Reason getReason() {
        return reason;
    }

    public int getPromptTokens() {
        return promptTokens;
    }

    /** Tokens of the prompt that lay in the cache already: see {@link GenerateOptions#reuseCache}. */
    public int getReusedTokens() {
        return reusedTokens;
    }

    /** The end-of-sequence token counts as well. */
    public int getGeneratedTokens() {
        return generatedTokens;
    }

    /** Milliseconds in which the model read the prompt. */
    public double getPrefillMillis() {
        return prefillNanos / 1e6;
    }

    /** Milliseconds from the moment that work on it began (not from the queue's end) to the first token. */
    public double getFirstTokenMillis() {
        return firstTokenNanos / 1e6;
    }

    /** Tokens after the first one in a second; 0 where there was no second one. */
    public double getTokensPerSecond() {
        return decodeNanos <= 0 || generatedTokens < 2 ? 0 : (generatedTokens - 1) * 1e9 / decodeNanos;
    }
}
