package org.edgeslm.tokenizer;

import java.util.List;

/** A character goes from the front of each text, up to so many times, and from its end. */
final class StripTexts extends DecoderStep {
    private final String character;
    private final long front;
    private final long back;

    StripTexts(String character, long front, long back) {
        this.character = character;
        this.front = front;
        this.back = back;
    }

    @Override
    void run(List<String> texts, int most) {
        for (int place = 0; place < texts.size(); place++) {
            texts.set(place, stripped(texts.get(place)));
        }
    }

    private String stripped(String text) {
        int width = character.length();
        int first = 0;
        int last = text.length();
        for (long left = front; left > 0 && text.startsWith(character, first); left--) {
            first += width;
        }
        for (long left = back; left > 0 && last > first && text.startsWith(character, last - width); left--) {
            last -= width;
        }
        return text.substring(first, last);
    }
}
