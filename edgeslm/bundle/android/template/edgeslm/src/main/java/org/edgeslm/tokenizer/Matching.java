package org.edgeslm.tokenizer;

/** What steps share that go from match to match of a pattern. */
abstract class Matching extends TextStep {
    private final Classes classes;
    private final Pattern pattern;
    private byte[] letters = new byte[64];

    /** The last match that was found. */
    int start;
    int end;

    Matching(Classes classes, Pattern pattern) {
        this.classes = classes;
        this.pattern = pattern;
    }

    /** Before the first search in these pieces. */
    final void begin(Pieces pieces) throws TokenizerException {
        if (letters.length < pieces.size) {
            letters = new byte[pieces.text.length];
        }
        for (int piece = 0; piece < pieces.count; piece++) {
            classes.fill(pieces.text, pieces.start(piece), pieces.end(piece), letters);
        }
        pattern.begin(pieces.size);
    }

    /** The first match at `from` or behind it, before `limit`, where the piece ends; false where there is none. */
    final boolean search(int from, int limit) throws TokenizerException {
        for (start = from; start < limit; start++) {
            end = pattern.match(letters, start, limit);
            if (end >= 0) {
                return true;
            }
        }
        return false;
    }
}
