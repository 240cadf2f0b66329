package org.edgeslm.tokenizer;

import java.util.List;

/** A step from tokens to text, over the list of their texts. */
abstract class DecoderStep {
    /** No step makes all texts together longer than `most`. */
    abstract void run(List<String> texts, int most) throws TokenizerException;

    /** Every `old` in a text becomes `made`; what becomes longer than `most` is damage. */
    static String replaced(String text, String old, String made, int most) throws TokenizerException {
        int found = text.indexOf(old);
        if (found < 0) {
            return text;
        }
        StringBuilder all = new StringBuilder();
        int at = 0;
        for (; found >= 0; found = text.indexOf(old, at)) {
            all.append(text, at, found).append(made);
            at = found + old.length();
            if (all.length() > most) {
                throw TokenizerException.damaged("it makes texts longer without end");
            }
        }
        return all.append(text, at, text.length()).toString();
    }
}
