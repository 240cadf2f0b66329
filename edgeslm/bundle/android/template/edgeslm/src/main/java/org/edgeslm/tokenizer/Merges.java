package org.edgeslm.tokenizer;

/** What two tokens become, and how early that was learnt: those of a left id lie together, in order of the right id. */
final class Merges {
    /** From `rule`: the two do not merge. */
    static final long NONE = -1;

    private final Vocabulary vocabulary;
    private final int width;
    private final Section starts;
    private final Section entries;
    private final int count;

    Merges(Table table, Vocabulary vocabulary, int width) throws TokenizerException {
        this.vocabulary = vocabulary;
        this.width = width;
        starts = table.section("MRGL");
        entries = table.section("MRGE");
        count = entries.records(3 * width);
        if (starts.records(4) != vocabulary.count + 1) {
            throw TokenizerException.damaged("its merges are not of its vocabulary");
        }
    }

    /** Rank << 32 | merged id, or NONE. */
    long rule(int left, int right) throws TokenizerException {
        int low = starts.number(left, 4);
        int high = starts.number(left + 1, 4);
        if (low < 0 || high > count) {
            throw TokenizerException.damaged("a merge lies outside it");
        }
        while (low < high) {
            int middle = (low + high) >>> 1;
            int there = entries.number(3 * middle, width);
            if (there == right) {
                int rank = entries.number(3 * middle + 1, width);
                if (rank < 0) {
                    throw TokenizerException.damaged("a merge of a rank that no merge has");
                }
                return (long) rank << 32 | vocabulary.checked(entries.number(3 * middle + 2, width));
            }
            if (there < right) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return NONE;
    }
}
