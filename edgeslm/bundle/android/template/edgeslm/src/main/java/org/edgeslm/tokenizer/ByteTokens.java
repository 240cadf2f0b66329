package org.edgeslm.tokenizer;

/** Tokens that stand for one byte each, of a tokenizer that writes what it has no token for as bytes. */
final class ByteTokens {
    private static final String DIGITS = "0123456789ABCDEF";

    private final int[] ids = new int[256];
    private boolean used;

    /** None, where not every byte has a token, or where the decoder makes no bytes of them. */
    ByteTokens(Tokenizer tokenizer) throws TokenizerException {
        used = tokenizer.readsBytes();
        for (int value = 0; used && value < 256; value++) {
            ids[value] = tokenizer.byteId(value);
            used = ids[value] != Section.NONE;
        }
        used = used && tokenizer.decode(new int[] {ids[0]}).equals("\0");
    }

    /** How a vocabulary spells the token of a byte. */
    static byte[] token(int value) {
        char high = DIGITS.charAt(value >> 4);
        char low = DIGITS.charAt(value & 15);
        return new byte[] {'<', '0', 'x', (byte) high, (byte) low, '>'};
    }

    boolean areUsed() {
        return used;
    }

    int id(int value) {
        return ids[value];
    }

    /** The byte of an id, -1 for one that is no such token. */
    int byteOf(int id) {
        for (int value = 0; used && value < 256; value++) {
            if (ids[value] == id) {
                return value;
            }
        }
        return -1;
    }
}
