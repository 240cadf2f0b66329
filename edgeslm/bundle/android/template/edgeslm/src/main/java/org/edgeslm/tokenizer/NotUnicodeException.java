package org.edgeslm.tokenizer;

/** A text with half a surrogate pair, which is no Unicode. */
public final class NotUnicodeException extends TokenizerException {
    private static final long serialVersionUID = 1L;

    private final int index;

    NotUnicodeException(int index) {
        super("the text has half a surrogate pair at index " + index + ": that is no Unicode text");
        this.index = index;
    }

    /** Where it is, as String counts. */
    public int getIndex() {
        return index;
    }
}
