package org.edgeslm.tokenizer;

import java.util.List;

/** A text becomes another one, everywhere. */
final class ReplaceInTexts extends DecoderStep {
    private final String old;
    private final String made;

    ReplaceInTexts(String old, String made) throws TokenizerException {
        if (old.isEmpty()) {
            throw TokenizerException.damaged("a text without characters that is to be replaced");
        }
        this.old = old;
        this.made = made;
    }

    @Override
    void run(List<String> texts, int most) throws TokenizerException {
        int left = most;
        for (int place = 0; place < texts.size(); place++) {
            String text = replaced(texts.get(place), old, made, left);
            left = Math.max(0, left - text.length());
            texts.set(place, text);
        }
    }
}
