package org.edgeslm.tokenizer;

import java.util.Arrays;

/**
 * The pieces that a text is in: places in one row of characters. A step either cuts (`cut` for each new piece, then
 * `keep`) or writes anew (`append` for each character, `close` for each piece, then `exchange`). Empty pieces are left
 * out.
 */
final class Pieces {
    /** The characters; what lies between pieces is of none. */
    int[] text = new int[64];
    int size;
    int count;
    /** Whether the first piece begins where the whole text does. */
    boolean first;

    private int[] starts = new int[16];
    private int[] ends = new int[16];

    // What becomes of them.
    private int[] made = new int[64];
    private int madeSize;
    private int[] madeStarts = new int[16];
    private int[] madeEnds = new int[16];
    private int madeCount;
    private boolean madeFirst;
    private int closed;
    private int most;

    /** One piece: the characters of `from` between two places. */
    void begin(int[] from, int start, int end, boolean isFirst) {
        size = end - start;
        if (text.length < size) {
            text = new int[size];
        }
        System.arraycopy(from, start, text, 0, size);
        count = size > 0 ? 1 : 0;
        starts[0] = 0;
        ends[0] = size;
        first = isFirst;
        // The longest that one character becomes in Unicode is 18.
        most = (int) Math.min(Integer.MAX_VALUE / 2, 64L * size + 65_536);
        clear();
    }

    int start(int piece) {
        return starts[piece];
    }

    int end(int piece) {
        return ends[piece];
    }

    boolean isFirst(int piece) {
        return first && piece == 0;
    }

    void append(int character) throws TokenizerException {
        if (madeSize == made.length) {
            if (madeSize >= most) {
                throw TokenizerException.damaged("it makes texts longer without end");
            }
            made = Arrays.copyOf(made, 2 * madeSize);
        }
        made[madeSize++] = character;
    }

    void append(int[] characters) throws TokenizerException {
        for (int character : characters) {
            append(character);
        }
    }

    /** A number of the table that has to be a character. */
    void appendChecked(int character) throws TokenizerException {
        if (!Utf8.isCharacter(character)) {
            throw TokenizerException.damaged("a number that is no character");
        }
        append(character);
    }

    /** What was appended since the last one is a piece. */
    void close(boolean isFirst) {
        cut(closed, madeSize, isFirst);
        closed = madeSize;
    }

    void cut(int start, int end, boolean isFirst) {
        if (start == end) {
            return;
        }
        if (madeCount == madeStarts.length) {
            madeStarts = Arrays.copyOf(madeStarts, 2 * madeCount);
            madeEnds = Arrays.copyOf(madeEnds, 2 * madeCount);
        }
        if (madeCount == 0) {
            madeFirst = isFirst;
        }
        madeStarts[madeCount] = start;
        madeEnds[madeCount++] = end;
    }

    /** The pieces that were cut are the pieces now, of the same characters. */
    void keep() {
        int[] swapped = starts;
        starts = madeStarts;
        madeStarts = swapped;
        swapped = ends;
        ends = madeEnds;
        madeEnds = swapped;
        count = madeCount;
        first = madeFirst;
        clear();
    }

    /** The pieces that were written are the pieces now. */
    void exchange() {
        int[] swapped = text;
        text = made;
        made = swapped;
        size = madeSize;
        keep();
    }

    private void clear() {
        madeSize = 0;
        madeCount = 0;
        madeFirst = false;
        closed = 0;
    }
}
