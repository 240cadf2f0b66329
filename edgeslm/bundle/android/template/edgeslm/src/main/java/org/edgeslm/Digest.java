package org.edgeslm;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** SHA-256, in the hexadecimal digits that model.properties has. */
final class Digest {
    private static final String DIGITS = "0123456789abcdef";

    private final MessageDigest digest;

    Digest() {
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) { // every Android and every JVM has it
            throw new AssertionError(impossible);
        }
    }

    /** Of all that the buffer holds; its position stays where it is. */
    static String of(ByteBuffer content) {
        Digest made = new Digest();
        made.digest.update(content.duplicate());
        return made.hex();
    }

    void add(byte[] content, int count) {
        digest.update(content, 0, count);
    }

    String hex() {
        StringBuilder text = new StringBuilder();
        for (byte one : digest.digest()) {
            text.append(DIGITS.charAt(one >> 4 & 15)).append(DIGITS.charAt(one & 15));
        }
        return text.toString();
    }
}
