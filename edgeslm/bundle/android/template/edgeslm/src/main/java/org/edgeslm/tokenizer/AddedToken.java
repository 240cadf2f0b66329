package org.edgeslm.tokenizer;

/** One record of ADDT. */
final class AddedToken {
    private static final int SINGLE_WORD = 1;
    private static final int LEFT = 2;
    private static final int RIGHT = 4;
    private static final int NORMALIZED = 8;
    private static final int SPECIAL = 16;

    final int id;
    /** What it is found by, in UTF-8. */
    final byte[] pattern;
    /** What decoders get. */
    final byte[] shown;
    /** Found only where no character of a word stands beside it. */
    final boolean singleWord;
    /** It takes the space on its left. */
    final boolean left;
    final boolean right;
    /** Looked for in normalized text. */
    final boolean normalized;
    final boolean special;

    AddedToken(Section records, Section texts, int at) throws TokenizerException {
        id = records.i32(at);
        pattern = texts.text(records.i32(at + 4));
        shown = texts.text(records.i32(at + 8));
        int flags = records.i32(at + 12);
        singleWord = (flags & SINGLE_WORD) != 0;
        left = (flags & LEFT) != 0;
        right = (flags & RIGHT) != 0;
        normalized = (flags & NORMALIZED) != 0;
        special = (flags & SPECIAL) != 0;
        if (id < 0 || id >= 1 << 24) {
            throw TokenizerException.damaged("an added token of an id that no token has");
        }
        if (pattern.length == 0) {
            throw TokenizerException.damaged("an added token without characters");
        }
    }
}
