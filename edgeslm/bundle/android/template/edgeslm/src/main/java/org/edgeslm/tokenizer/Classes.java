package org.edgeslm.tokenizer;

import java.util.Arrays;

/** The class of each character; a set of characters is a mask of classes. */
final class Classes {
    private static final int KEPT = 0x3400; // below are the alphabets, above mostly ideographs
    private static final byte NONE = -1;

    private final Section starts;
    private final int count;
    private final byte[] kept = new byte[KEPT];

    Classes(Table table) throws TokenizerException {
        starts = table.section("CLAS");
        count = starts.records(4);
        Arrays.fill(kept, NONE);
    }

    /** The class of each character from `start` to `end`, into `into` at the same places. */
    void fill(int[] text, int start, int end, byte[] into) throws TokenizerException {
        for (int place = start; place < end; place++) {
            into[place] = (byte) of(text[place]);
        }
    }

    boolean has(int mask, int codePoint) throws TokenizerException {
        return (mask >>> of(codePoint) & 1) != 0;
    }

    private int of(int codePoint) throws TokenizerException {
        if (codePoint >= KEPT) {
            return search(codePoint);
        }
        if (kept[codePoint] == NONE) {
            kept[codePoint] = (byte) search(codePoint);
        }
        return kept[codePoint];
    }

    private int search(int codePoint) throws TokenizerException {
        int low = 0;
        int high = count;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (starts.number(middle, 4) >>> 8 <= codePoint) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        int found = low == 0 ? 32 : starts.number(low - 1, 4) & 0xFF;
        if (found >= 32) {
            throw TokenizerException.damaged("a character without a class");
        }
        return found;
    }
}
