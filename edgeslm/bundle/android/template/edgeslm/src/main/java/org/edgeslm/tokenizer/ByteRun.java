package org.edgeslm.tokenizer;

/** Byte tokens in a row: WHOLE while they may still be all UTF-8, LONG then, BROKEN if they are not. */
final class ByteRun {
    static final int WHOLE = 0;
    static final int LONG = 1;
    static final int BROKEN = 2;
    /** Bytes. A run this long that is UTF-8 so far is not waited for any more. */
    private static final int TRUSTED = 32;

    int state = WHOLE;

    private int held; // bytes that are not given away
    private final Utf8 reader = new Utf8();

    /** What the byte adds, where the run's state gives anything away. */
    String add(int one) {
        if (state == BROKEN) {
            return replacements(1);
        }
        held++;
        int character = reader.add(one);
        if (character == Utf8.BROKEN) {
            state = BROKEN;
            return replacements(held);
        }
        if (state == LONG) {
            if (character < 0) {
                return "";
            }
            held = 0;
            return new StringBuilder().appendCodePoint(character).toString();
        }
        if (held >= TRUSTED && character >= 0) {
            state = LONG;
            held = 0;
        }
        return "";
    }

    /** What stands for the run's bytes if it ends here, in the middle of a character. */
    String lost() {
        return state != BROKEN && reader.begun() ? replacements(held) : "";
    }

    private static String replacements(int count) {
        StringBuilder made = new StringBuilder();
        for (int place = 0; place < count; place++) {
            made.append(Utf8.REPLACEMENT);
        }
        return made.toString();
    }
}
