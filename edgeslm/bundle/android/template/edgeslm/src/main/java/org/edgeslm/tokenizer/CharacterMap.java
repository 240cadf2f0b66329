package org.edgeslm.tokenizer;

/** MAP: each character becomes another, a text, or nothing, by ranges of MAPS. */
final class CharacterMap extends TextStep {
    private static final int RECORD = 12;
    private static final int SHIFT = 0;
    private static final int TEXT = 1;
    private static final int SYLLABLE = 2;
    private static final byte SELF = (byte) 0xFF; // in a text: the character itself
    private static final int PLAIN = 0x80;

    private final Section ranges;
    private final Section texts;
    private final int start;
    private final int count;
    // Whether a character of ASCII was looked up and stays as it is: most do.
    private final boolean[] stays = new boolean[PLAIN];

    /** The `count` ranges from `start` on. */
    CharacterMap(Table table, int start, int count) throws TokenizerException {
        ranges = table.section("MAPS");
        texts = table.section("TEXT");
        this.start = start;
        this.count = count;
        if (start < 0 || count < 0 || start > ranges.records(RECORD) - count) {
            throw TokenizerException.damaged("a map of characters lies outside it");
        }
    }

    @Override
    void run(Pieces pieces) throws TokenizerException {
        for (int piece = 0; piece < pieces.count; piece++) {
            boolean first = pieces.isFirst(piece);
            int begin = pieces.start(piece);
            for (int place = begin; place < pieces.end(piece); place++) {
                boolean there = write(pieces.text[place], pieces);
                // A first character that goes takes the beginning of the text with it.
                first &= there || place > begin;
            }
            pieces.close(first);
        }
        pieces.exchange();
    }

    /** Appends what a character becomes; false where that is nothing. */
    private boolean write(int character, Pieces pieces) throws TokenizerException {
        int range = character < PLAIN && stays[character] ? -1 : range(character);
        if (range < 0) {
            if (character < PLAIN) {
                stays[character] = true;
            }
            pieces.append(character);
            return true;
        }
        int at = RECORD * range;
        int beyond = character - ranges.i32(at);
        int value = ranges.i32(at + 8);
        switch (ranges.u8(at + 7)) {
            case SHIFT:
                pieces.appendChecked(character + value);
                return true;
            case TEXT:
                return writeText(texts.text(value), character, pieces);
            case SYLLABLE:
                pieces.append(0x1100 + beyond / 588);
                pieces.append(0x1161 + beyond % 588 / 28);
                if (beyond % 28 > 0) {
                    pieces.append(0x11A7 + beyond % 28);
                }
                return true;
            default:
                throw TokenizerException.damaged("a map of characters of kind " + ranges.u8(at + 7));
        }
    }

    /** The range that has this character, -1 where none does. */
    private int range(int character) throws TokenizerException {
        int low = start;
        int high = start + count;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (ranges.i32(RECORD * middle) <= character) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if (low == start) {
            return -1;
        }
        int at = RECORD * (low - 1);
        int beyond = character - ranges.i32(at);
        int stride = ranges.u8(at + 6);
        boolean there = beyond >= 0 && stride > 0 && beyond < ranges.u16(at + 4) * stride && beyond % stride == 0;
        return there ? low - 1 : -1;
    }

    private static boolean writeText(byte[] text, int character, Pieces pieces) throws TokenizerException {
        Utf8 reader = new Utf8();
        for (byte one : text) {
            int found = one == SELF && !reader.begun() ? character : reader.add(one & 0xFF);
            if (found == Utf8.BROKEN) {
                throw TokenizerException.damaged("a text that is no UTF-8");
            }
            if (found >= 0) {
                pieces.append(found);
            }
        }
        if (reader.begun()) {
            throw TokenizerException.damaged("a text that is no UTF-8");
        }
        return text.length > 0;
    }
}
