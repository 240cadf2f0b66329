package org.edgeslm.tokenizer;

import java.util.List;

/** All texts become one. */
final class Fuse extends DecoderStep {
    @Override
    void run(List<String> texts, int most) {
        StringBuilder all = new StringBuilder();
        for (String text : texts) {
            all.append(text);
        }
        texts.clear();
        texts.add(all.toString());
    }
}
