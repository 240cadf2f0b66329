package org.edgeslm.tokenizer;

import java.util.Arrays;

/** REORDER: runs of combining marks, each in order of combining class; equal ones stay as they were. */
final class Reorder extends TextStep {
    private final Marks marks;

    Reorder(Marks marks) {
        this.marks = marks;
    }

    @Override
    void run(Pieces pieces) throws TokenizerException {
        for (int piece = 0; piece < pieces.count; piece++) {
            int start = -1; // of the run
            for (int place = pieces.start(piece); place < pieces.end(piece); place++) {
                if (marks.of(pieces.text[place]) == 0) {
                    sort(pieces.text, start, place);
                    start = -1;
                } else if (start < 0) {
                    start = place;
                }
            }
            sort(pieces.text, start, pieces.end(piece));
        }
    }

    private void sort(int[] text, int start, int end) throws TokenizerException {
        if (start < 0 || end - start < 2) {
            return;
        }
        long[] keys = new long[end - start]; // class, place, character: a place has room for 2^27 in a row
        for (int place = 0; place < keys.length; place++) {
            long order = (long) marks.of(text[start + place]) << 48 | (long) (place & 0x7FFFFFF) << 21;
            keys[place] = order | text[start + place];
        }
        Arrays.sort(keys);
        for (int place = 0; place < keys.length; place++) {
            text[start + place] = (int) keys[place] & 0x1FFFFF;
        }
    }
}
