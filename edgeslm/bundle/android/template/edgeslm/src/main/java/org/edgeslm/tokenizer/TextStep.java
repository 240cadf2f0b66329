package org.edgeslm.tokenizer;

/** A step that text goes through before the model sees it. */
abstract class TextStep {
    abstract void run(Pieces pieces) throws TokenizerException;
}
