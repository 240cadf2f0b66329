package org.edgeslm.tokenizer;

import java.util.List;

/** Texts but the first lose the prefix of what goes on, or get a space before them. */
final class JoinWordPieces extends DecoderStep {
    // In this order, each over what the ones before left; tokenizers has them from transformers.
    private static final String[][] CLEANUPS = {
        {" .", "."},
        {" ?", "?"},
        {" !", "!"},
        {" ,", ","},
        {" ' ", "'"},
        {" n't", "n't"},
        {" 'm", "'m"},
        {" do not", " don't"},
        {" 's", "'s"},
        {" 've", "'ve"},
        {" 're", "'re"},
    };

    private final String prefix;
    private final boolean cleanup;

    JoinWordPieces(String prefix, boolean cleanup) {
        this.prefix = prefix;
        this.cleanup = cleanup;
    }

    @Override
    void run(List<String> texts, int most) throws TokenizerException {
        for (int place = 0; place < texts.size(); place++) {
            String text = texts.get(place);
            if (place > 0) {
                text = text.startsWith(prefix) ? text.substring(prefix.length()) : " " + text;
            }
            if (cleanup && text.indexOf(' ') >= 0) {
                for (String[] pair : CLEANUPS) {
                    text = replaced(text, pair[0], pair[1], most);
                }
            }
            texts.set(place, text);
        }
    }
}
