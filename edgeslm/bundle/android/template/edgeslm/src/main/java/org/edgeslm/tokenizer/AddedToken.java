package org.edgeslm.tokenizer;

/** One record of ADDT. */
final class AddedToken {
    private static final int SINGLE_WORD = 1;
    private static final int LEFT = 2;
    private static final int RIGHT = 4;
    private static final int NORMALIZED = 8;
    private static final int SPECIAL = 16;

    final int id;
    /** The bytes of what it is found by. */
    final int length;
    /** Found only where no character of a word stands beside it. */
    final boolean singleWord;
    /** It takes the space on its left. */
    final boolean left;
    final boolean right;
    /** Looked for in normalized text. */
    final boolean normalized;
    final boolean special;

    private final Section texts;
    private final int pattern; // their places in TEXT
    private final int shown;

    AddedToken(Section records, Section texts, int at) throws TokenizerException {
        id = records.i32(at);
        this.texts = texts;
        pattern = records.i32(at + 4);
        shown = records.i32(at + 8);
        length = texts.textLength(pattern);
        texts.textLength(shown);
        int flags = records.i32(at + 12);
        singleWord = (flags & SINGLE_WORD) != 0;
        left = (flags & LEFT) != 0;
        right = (flags & RIGHT) != 0;
        normalized = (flags & NORMALIZED) != 0;
        special = (flags & SPECIAL) != 0;
        if (id < 0 || id >= 1 << 24) {
            throw TokenizerException.damaged("an added token of an id that no token has");
        }
        if (length == 0) {
            throw TokenizerException.damaged("an added token without characters");
        }
    }

    /** A byte of what it is found by. */
    int byteAt(int depth) throws TokenizerException {
        return texts.u8(pattern + 2 + depth);
    }

    /** What decoders get. */
    byte[] shown() throws TokenizerException {
        return texts.text(shown);
    }
}
