package org.edgeslm.tokenizer;

/** COMPOSE: each starter made one with the characters behind it that are not blocked (UAX #15). */
final class Compose extends TextStep {
    private static final int RECORD = 12;
    private static final int LEADS = 0x1100;
    private static final int VOWELS = 0x1161;
    private static final int TRAILS = 0x11A7;
    private static final int SYLLABLES = 0xAC00;
    private static final int LEAD_COUNT = 19;
    private static final int VOWEL_COUNT = 21;
    private static final int TRAIL_COUNT = 28;

    private final Section pairs;
    private final int count;
    private final Marks marks;
    private final int lowest; // of those that are second in a pair

    Compose(Table table, Marks marks) throws TokenizerException {
        pairs = table.section("COMP");
        count = pairs.records(RECORD);
        this.marks = marks;
        int least = VOWELS;
        for (int place = 0; place < count; place++) {
            least = Math.min(least, pairs.i32(RECORD * place + 4));
        }
        lowest = least;
    }

    /** In place: a text never becomes longer. */
    @Override
    void run(Pieces pieces) throws TokenizerException {
        for (int piece = 0; piece < pieces.count; piece++) {
            int start = pieces.start(piece);
            pieces.cut(start, compose(pieces.text, start, pieces.end(piece)), pieces.isFirst(piece));
        }
        pieces.keep();
    }

    /** Where the text ends then. */
    private int compose(int[] text, int start, int end) throws TokenizerException {
        int at = start;
        int starter = -1; // its place
        int last = 0; // the class of the character before, 0 where that is the starter
        for (int place = start; place < end; place++) {
            int character = text[place];
            int number = marks.of(character);
            if (starter >= 0 && (last == 0 || last < number)) {
                int composite = composite(text[starter], character);
                if (composite >= 0) {
                    text[starter] = composite;
                    continue;
                }
            }
            last = number;
            if (number == 0) {
                starter = at;
            }
            text[at++] = character;
        }
        return at;
    }

    /** What two characters compose to, -1 where they do not. */
    private int composite(int first, int second) throws TokenizerException {
        if (second < lowest) {
            return -1;
        }
        int lead = first - LEADS;
        int vowel = second - VOWELS;
        if (lead >= 0 && lead < LEAD_COUNT && vowel >= 0 && vowel < VOWEL_COUNT) {
            return SYLLABLES + (lead * VOWEL_COUNT + vowel) * TRAIL_COUNT;
        }
        int syllable = first - SYLLABLES;
        int trail = second - TRAILS;
        boolean open = syllable >= 0 && syllable < LEAD_COUNT * VOWEL_COUNT * TRAIL_COUNT
                && syllable % TRAIL_COUNT == 0;
        return open && trail > 0 && trail < TRAIL_COUNT ? first + trail : pair(first, second);
    }

    private int pair(int first, int second) throws TokenizerException {
        long wanted = (long) first << 32 | second;
        int low = 0;
        int high = count;
        while (low < high) {
            int middle = (low + high) >>> 1;
            int at = RECORD * middle;
            long there = (long) pairs.i32(at) << 32 | pairs.i32(at + 4) & 0xFFFFFFFFL;
            if (there == wanted) {
                int composite = pairs.i32(at + 8);
                if (!Utf8.isCharacter(composite)) {
                    throw TokenizerException.damaged("a number that is no character");
                }
                return composite;
            }
            if (there < wanted) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return -1;
    }
}
