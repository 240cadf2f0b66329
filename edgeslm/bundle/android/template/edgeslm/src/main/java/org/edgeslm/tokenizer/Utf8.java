package org.edgeslm.tokenizer;

/** UTF-8 byte by byte, by the Unicode Standard's table of well-formed sequences (3.9, table 3-7). */
final class Utf8 {
    /** From `add`: the character has more bytes. */
    static final int MORE = -1;
    /** From `add`: no character has this byte here. */
    static final int BROKEN = -2;

    static final char REPLACEMENT = '\ufffd';

    private int codePoint;
    private int missing;
    private int lowest;
    private int highest;

    /** Whether a character has begun. */
    boolean begun() {
        return missing > 0;
    }

    /** The character that is whole with this byte, MORE, or BROKEN: then the next byte begins a new one. */
    int add(int one) {
        if (missing == 0) {
            return begin(one);
        }
        if (one < lowest || one > highest) {
            missing = 0;
            return BROKEN;
        }
        codePoint = codePoint << 6 | one & 0x3F;
        lowest = 0x80;
        highest = 0xBF;
        return --missing == 0 ? codePoint : MORE;
    }

    private int begin(int lead) {
        if (lead < 0x80) {
            return lead;
        }
        if (lead < 0xC2 || lead > 0xF4) {
            return BROKEN;
        }
        missing = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
        codePoint = lead & 0x3F >> missing;
        lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        return MORE;
    }

    /** How many bytes a character has. */
    static int length(int codePoint) {
        return codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
    }

    /** The byte at `place` of a character that has `length` bytes. */
    static int byteOf(int codePoint, int length, int place) {
        if (length == 1) {
            return codePoint;
        }
        int bits = codePoint >> 6 * (length - 1 - place);
        return place > 0 ? 0x80 | bits & 0x3F : 0xF00 >> length & 0xFF | bits;
    }

    /** Whether it is a character and no half of a surrogate pair. */
    static boolean isCharacter(int codePoint) {
        return codePoint >= 0 && codePoint <= 0x10FFFF && (codePoint & 0xFFFFF800) != 0xD800;
    }

    /** The text of bytes that are UTF-8, null where they are not. */
    static String text(byte[] bytes, int size) {
        StringBuilder made = new StringBuilder(size);
        Utf8 reader = new Utf8();
        for (int place = 0; place < size; place++) {
            int character = reader.add(bytes[place] & 0xFF);
            if (character == BROKEN) {
                return null;
            }
            if (character >= 0) {
                made.appendCodePoint(character);
            }
        }
        return reader.begun() ? null : made.toString();
    }

    /** The text of any bytes: U+FFFD for each longest part of a character that breaks off. */
    static String repaired(byte[] bytes, int size) {
        StringBuilder made = new StringBuilder(size);
        Utf8 reader = new Utf8();
        for (int place = 0; place < size; place++) {
            boolean begun = reader.begun();
            int character = reader.add(bytes[place] & 0xFF);
            if (character == BROKEN) {
                made.append(REPLACEMENT);
                if (begun) {
                    place--;
                }
            } else if (character >= 0) {
                made.appendCodePoint(character);
            }
        }
        return (reader.begun() ? made.append(REPLACEMENT) : made).toString();
    }

    /** The characters of a text from the table. */
    static int[] characters(byte[] bytes) throws TokenizerException {
        Numbers made = new Numbers(bytes.length);
        Utf8 reader = new Utf8();
        for (byte one : bytes) {
            int character = reader.add(one & 0xFF);
            if (character == BROKEN) {
                throw TokenizerException.damaged("a text that is no UTF-8");
            }
            if (character >= 0) {
                made.add(character);
            }
        }
        if (reader.begun()) {
            throw TokenizerException.damaged("a text that is no UTF-8");
        }
        return made.copy();
    }
}
