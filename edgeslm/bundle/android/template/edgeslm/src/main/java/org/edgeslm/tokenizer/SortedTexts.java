package org.edgeslm.tokenizer;

/**
 * Texts in order of their bytes. Those that begin alike are neighbours, so a text is looked for by narrowing a range
 * byte by byte: `reset`, `add` for each of its characters, `found`.
 */
abstract class SortedTexts {
    private final int count;
    private int[] firsts;

    private int low;
    private int high;
    private int depth;
    private int markLow;
    private int markHigh;
    private int markDepth;

    SortedTexts(int count) {
        this.count = count;
    }

    /** The bytes of the text at a place in the order. */
    abstract int length(int place) throws TokenizerException;

    abstract int byteAt(int place, int depth) throws TokenizerException;

    /** Most steps of a search are spent on the first byte: where each begins is kept. */
    final void prepare() throws TokenizerException {
        int[] made = new int[257];
        for (int value = 0; value <= 256; value++) {
            made[value] = bound(0, count, 0, value);
        }
        firsts = made;
        reset();
    }

    final void reset() {
        low = 0;
        high = count;
        depth = 0;
    }

    /** What has been added so far is where `back` goes back to. */
    final void mark() {
        markLow = low;
        markHigh = high;
        markDepth = depth;
    }

    final void back() {
        low = markLow;
        high = markHigh;
        depth = markDepth;
    }

    /** Goes on by a character; false where no text goes on like that. */
    final boolean add(int codePoint) throws TokenizerException {
        int length = Utf8.length(codePoint);
        for (int place = 0; place < length; place++) {
            if (!addByte(Utf8.byteOf(codePoint, length, place))) {
                return false;
            }
        }
        return true;
    }

    final boolean addByte(int value) throws TokenizerException {
        if (depth == 0) {
            low = firsts[value];
            high = firsts[value + 1];
        } else if (low < high) {
            low = bound(low, high, depth, value);
            high = bound(low, high, depth, value + 1);
        }
        depth++;
        return low < high;
    }

    /** The place of the text that has been added, -1 where there is none. */
    final int found() throws TokenizerException {
        return low < high && length(low) == depth ? low : -1;
    }

    /** The first place in a range whose text has `value` or more at `depth`; a text that ends there has less. */
    private int bound(int from, int to, int depth, int value) throws TokenizerException {
        int first = from;
        int last = to;
        while (first < last) {
            int middle = (first + last) >>> 1;
            int there = length(middle) > depth ? byteAt(middle, depth) : -1;
            if (there < value) {
                first = middle + 1;
            } else {
                last = middle;
            }
        }
        return first;
    }
}
