package org.edgeslm.probe;

import org.edgeslm.EdgeSlmException;

/** What a probe asks of an open model. An encoder has lengths and no context; a language model the other way round. */
public interface ProbedModel extends AutoCloseable {
    /** Which of the app's models it is. */
    String id();

    /** The bundle's name for it. */
    String name();

    /** How its weights are stored: int8. */
    String scheme();

    /** SHA-256 of the model's file, in hexadecimal. */
    String sha256();

    /** What runs it. */
    String runtime();

    /** The runtime's version, or null where it does not tell. */
    String runtimeVersion();

    /** Threads that it computes with. */
    int threads();

    /** Tokens that a language model knows; 0 of an encoder. */
    int vocabulary();

    /** A text's tokens, special ones included. */
    int[] ids(String text) throws EdgeSlmException;

    /** An encoder's length buckets in tokens, rising; none of a language model. */
    int[] lengths();

    /** Tokens that prompt and answer of a language model have room for; 0 of an encoder. */
    int context();

    /** One inference of an encoder: a text of exactly these tokens, as many as one of its lengths. */
    void run(int[] ids) throws EdgeSlmException;

    /** A text through the method of the encoder's task, tokenizing included. Returns how many tokens it had. */
    int answer(String text) throws EdgeSlmException;

    /** A language model's greedy answer to {@code prompt}; what the cache holds of it is used with {@code reuse}. */
    Answer begin(int[] prompt, boolean reuse) throws EdgeSlmException;

    @Override
    void close();

    /** An answer that goes on for as long as it is asked: no token ends it. */
    interface Answer {
        /** Computes the next token, the first one from the whole prompt, and its text. */
        void next() throws EdgeSlmException;

        /** Nanoseconds spent inside the runtime until now. */
        long runtimeNanoseconds();
    }

    /** How a model is opened, as often as a probe wants to. */
    interface Opener {
        /** Opens it as an app would: digests checked, weights packed. */
        ProbedModel open(int threads) throws EdgeSlmException;
    }
}
