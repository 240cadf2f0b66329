package org.edgeslm;

/** A prompt fills the context by itself, so that there is no room for an answer. */
public final class PromptTooLongException extends EdgeSlmException {
    private static final long serialVersionUID = 1;

    private final int tokens;
    private final int room;

    PromptTooLongException(int tokens, int room) {
        super(
                "the prompt has " + tokens + " tokens; prompt and answer together have room for " + room,
                "shorten it, or GenerateOptions.truncate(true) cuts its beginning");
        this.tokens = tokens;
        this.room = room;
    }

    /** Tokens of the prompt, the chat's own ones included. */
    public int getTokens() {
        return tokens;
    }

    /** Tokens that prompt and answer may have together. */
    public int getRoom() {
        return room;
    }
}
