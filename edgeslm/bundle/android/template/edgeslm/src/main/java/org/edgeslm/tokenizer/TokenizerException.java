package org.edgeslm.tokenizer;

/** A tokenizer's table that cannot be used, or a text that is none. */
public class TokenizerException extends Exception {
    private static final long serialVersionUID = 1L;

    TokenizerException(String message) {
        super(message);
    }

    /** What is said of bytes that are not those that a build wrote. */
    static TokenizerException damaged(String problem) {
        return new TokenizerException(
                "the tokenizer's table is damaged: " + problem + "; build the bundle again with edgeslm build");
    }
}
