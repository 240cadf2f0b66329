package org.edgeslm.tokenizer;

/**
 * CHARSMAP, SentencePiece's normalizer: whole grapheme clusters, or their characters, looked up in a double-array trie.
 * What it does is what Hugging Face's does, to the letter: a cluster of less than six bytes becomes the replacement of
 * the shortest key that it begins with, and what follows that key in it is lost.
 */
final class Charsmap extends TextStep {
    private static final int LONGEST_CLUSTER = 5; // bytes

    private final Section units;
    private final Section replacements;
    private final Classes classes;
    private final Clusters clusters;
    private byte[] letters = new byte[64];

    Charsmap(Table table, Classes classes) throws TokenizerException {
        units = table.section("TRIE");
        units.records(4);
        replacements = table.section("REPL");
        this.classes = classes;
        clusters = new Clusters(table.section("GRAP"));
    }

    @Override
    void run(Pieces pieces) throws TokenizerException {
        if (letters.length < pieces.size) {
            letters = new byte[pieces.text.length];
        }
        for (int piece = 0; piece < pieces.count; piece++) {
            int end = pieces.end(piece);
            classes.fill(pieces.text, pieces.start(piece), end, letters);
            clusters.begin(letters, end);
            int next;
            for (int at = pieces.start(piece); at < end; at = next) {
                next = clusters.end(at);
                write(pieces, at, next);
            }
            pieces.close(pieces.isFirst(piece));
        }
        pieces.exchange();
    }

    private void write(Pieces pieces, int start, int end) throws TokenizerException {
        int bytes = 0;
        for (int place = start; place < end && bytes <= LONGEST_CLUSTER; place++) {
            bytes += Utf8.length(pieces.text[place]);
        }
        int whole = bytes <= LONGEST_CLUSTER ? find(pieces.text, start, end) : -1;
        if (whole >= 0) {
            replace(pieces, whole);
            return;
        }
        for (int place = start; place < end; place++) {
            int found = find(pieces.text, place, place + 1);
            if (found >= 0) {
                replace(pieces, found);
            } else {
                pieces.append(pieces.text[place]);
            }
        }
    }

    /** Where the replacement of the shortest key begins that these characters begin with; -1 where none does. */
    private int find(int[] text, int start, int end) throws TokenizerException {
        int at = offset(units.number(0, 4));
        for (int place = start; place < end; place++) {
            int length = Utf8.length(text[place]);
            for (int number = 0; number < length; number++) {
                int one = Utf8.byteOf(text[place], length, number);
                at ^= one;
                int unit = units.number(at, 4);
                if (one == 0 || (unit & 0x800000FF) != one) {
                    return -1;
                }
                at ^= offset(unit);
                if ((unit >>> 8 & 1) != 0) {
                    return units.number(at, 4) & 0x7FFFFFFF;
                }
            }
        }
        return -1;
    }

    private static int offset(int unit) {
        return unit >>> 10 << ((unit & 0x200) >>> 6);
    }

    private void replace(Pieces pieces, int start) throws TokenizerException {
        Utf8 reader = new Utf8();
        for (int at = start; at != replacements.bytes && replacements.u8(at) != 0; at++) {
            int character = reader.add(replacements.u8(at));
            if (character == Utf8.BROKEN) {
                throw TokenizerException.damaged("a text that is no UTF-8");
            }
            if (character >= 0) {
                pieces.append(character);
            }
        }
        if (reader.begun()) {
            throw TokenizerException.damaged("a text that is no UTF-8");
        }
    }
}
