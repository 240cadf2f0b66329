package org.edgeslm.tokenizer;

import java.util.ArrayList;
import java.util.List;

/** Neighbours of the form {@code <0xHH>} become the text that these bytes are, or U+FFFD for each byte. */
final class FallbackBytes extends DecoderStep {
    private static final int LENGTH = 6;

    @Override
    void run(List<String> texts, int most) {
        List<String> made = new ArrayList<>(texts.size());
        byte[] waiting = new byte[texts.size()];
        int count = 0;
        for (String text : texts) {
            int one = byteOf(text);
            if (one >= 0) {
                waiting[count++] = (byte) one;
                continue;
            }
            end(waiting, count, made);
            count = 0;
            made.add(text);
        }
        end(waiting, count, made);
        texts.clear();
        texts.addAll(made);
    }

    private static void end(byte[] waiting, int count, List<String> made) {
        String text = Utf8.text(waiting, count);
        if (text == null) {
            for (int place = 0; place < count; place++) {
                made.add(String.valueOf(Utf8.REPLACEMENT));
            }
        } else if (count > 0) {
            made.add(text);
        }
    }

    /** The byte that a token is, -1 for another text. Rust reads a sign as part of a number, so "+A" is 10. */
    private static int byteOf(String text) {
        if (text.length() != LENGTH || !text.startsWith("<0x") || text.charAt(LENGTH - 1) != '>') {
            return -1;
        }
        int high = text.charAt(3) == '+' ? 0 : digit(text.charAt(3));
        int low = digit(text.charAt(4));
        return high < 0 || low < 0 ? -1 : 16 * high + low;
    }

    private static int digit(char letter) {
        return "0123456789abcdef".indexOf(letter >= 'A' && letter <= 'F' ? letter + 32 : letter);
    }
}
