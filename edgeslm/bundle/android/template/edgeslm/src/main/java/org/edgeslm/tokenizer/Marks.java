package org.edgeslm.tokenizer;

/** Canonical combining classes (UAX #15), by ranges of MARK. */
final class Marks {
    private static final int RECORD = 8;

    private final Section ranges;
    private final int count;
    private final int lowest;

    Marks(Table table) throws TokenizerException {
        ranges = table.section("MARK");
        count = ranges.records(RECORD);
        lowest = count == 0 ? Integer.MAX_VALUE : ranges.i32(0);
    }

    /** The class of a character, 0 for one that does not combine. */
    int of(int character) throws TokenizerException {
        if (character < lowest) {
            return 0;
        }
        int low = 0;
        int high = count;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (ranges.i32(RECORD * middle) <= character) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        int at = RECORD * (low - 1);
        boolean there = low > 0 && character - ranges.i32(at) < ranges.u16(at + 4);
        return there ? ranges.u16(at + 6) : 0;
    }
}
