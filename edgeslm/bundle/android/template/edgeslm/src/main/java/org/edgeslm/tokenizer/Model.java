package org.edgeslm.tokenizer;

/** A word to ids. */
abstract class Model {
    /** Adds the ids of the characters from `start` to `end`. */
    abstract void encode(int[] word, int start, int end, Numbers ids) throws TokenizerException;
}
