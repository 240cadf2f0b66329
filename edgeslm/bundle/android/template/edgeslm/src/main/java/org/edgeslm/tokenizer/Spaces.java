package org.edgeslm.tokenizer;

import java.util.List;

/** A character becomes a space; or, in the first text, nothing. */
final class Spaces extends DecoderStep {
    private final String mark;
    private final boolean dropFirst;

    Spaces(String mark, boolean dropFirst) {
        this.mark = mark;
        this.dropFirst = dropFirst;
    }

    @Override
    void run(List<String> texts, int most) throws TokenizerException {
        for (int place = 0; place < texts.size(); place++) {
            texts.set(place, replaced(texts.get(place), mark, dropFirst && place == 0 ? "" : " ", most));
        }
    }
}
