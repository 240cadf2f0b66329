package org.edgeslm.tokenizer;

import java.util.ArrayList;
import java.util.List;

/** Tokens to text, by the steps of DECO; where the table has none, tokens are joined with spaces. */
final class Decoder {
    private static final int WORD_PIECES = 1;
    private static final int BYTES = 2;
    private static final int FALLBACK = 3;
    private static final int FUSE = 4;
    private static final int STRIP = 5;
    private static final int REPLACE = 6;
    private static final int SPACES = 7;
    private static final int RECORD = 16;

    /** Whether tokens are bytes, which are joined before they are read. */
    private final boolean byteLevel;
    private final String between;
    private final DecoderStep[] steps;
    private final boolean fallback;

    Decoder(Table table, boolean byteLevel) throws TokenizerException {
        Section section = table.section("DECO");
        int count = section.records(RECORD);
        between = table.has("DECO") ? "" : " ";
        this.byteLevel = byteLevel;
        if (byteLevel != (count > 0 && section.i32(0) == BYTES)) {
            throw TokenizerException.damaged("its decoder is of another kind of tokens");
        }
        if (count > TextSteps.MOST) {
            throw TokenizerException.damaged("more steps than a tokenizer has");
        }
        int before = byteLevel ? 1 : 0;
        steps = new DecoderStep[count - before];
        boolean found = false;
        for (int place = 0; place < steps.length; place++) {
            steps[place] = read(section, RECORD * (place + before), table.section("TEXT"));
            found |= steps[place] instanceof FallbackBytes;
        }
        fallback = found;
    }

    /** Whether tokens of the form `<0xHH>` are bytes. */
    boolean readsBytes() {
        return fallback;
    }

    /** The text of tokens as the vocabulary has them. */
    String text(List<byte[]> tokens) throws TokenizerException {
        List<String> texts = new ArrayList<>(byteLevel ? 1 : tokens.size());
        if (byteLevel) {
            texts.add(joined(tokens));
        } else {
            for (byte[] token : tokens) {
                texts.add(string(token));
            }
        }
        int size = 0;
        for (String text : texts) {
            size += text.length();
        }
        int most = (int) Math.min(Integer.MAX_VALUE / 2, 64L * size + 65_536);
        for (DecoderStep step : steps) {
            step.run(texts, most);
        }
        StringBuilder made = new StringBuilder();
        for (int place = 0; place < texts.size(); place++) {
            made.append(place > 0 ? between : "").append(texts.get(place));
        }
        return made.toString();
    }

    private static String joined(List<byte[]> tokens) {
        int size = 0;
        for (byte[] token : tokens) {
            size += token.length;
        }
        byte[] bytes = new byte[size];
        int at = 0;
        for (byte[] token : tokens) {
            System.arraycopy(token, 0, bytes, at, token.length);
            at += token.length;
        }
        return Utf8.repaired(bytes, size);
    }

    private static DecoderStep read(Section section, int at, Section texts) throws TokenizerException {
        int a = section.i32(at + 4);
        int x = section.i32(at + 8);
        int y = section.i32(at + 12);
        switch (section.i32(at)) {
            case WORD_PIECES:
                return new JoinWordPieces(string(texts.text(x)), a != 0);
            case FALLBACK:
                return new FallbackBytes();
            case FUSE:
                return new Fuse();
            case STRIP:
                return new StripTexts(character(a), x & 0xFFFFFFFFL, y & 0xFFFFFFFFL);
            case REPLACE:
                return new ReplaceInTexts(string(texts.text(x)), string(texts.text(y)));
            case SPACES:
                return new Spaces(character(x), a != 0);
            default:
                throw TokenizerException.damaged("a decoder step of kind " + section.i32(at));
        }
    }

    private static String string(byte[] bytes) throws TokenizerException {
        String text = Utf8.text(bytes, bytes.length);
        if (text == null) {
            throw TokenizerException.damaged("a text that is no UTF-8");
        }
        return text;
    }

    private static String character(int codePoint) throws TokenizerException {
        if (!Utf8.isCharacter(codePoint)) {
            throw TokenizerException.damaged("a number that is no character");
        }
        return new StringBuilder().appendCodePoint(codePoint).toString();
    }
}
