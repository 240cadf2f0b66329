package org.edgeslm.demo;

import java.util.concurrent.Executor;
import org.edgeslm.EdgeSlmException;

/** What the screen asks of a model, whatever its task is. */
interface Engine {
    /** The model's name. */
    String name();

    /** Whether it generates text; one that does not answers at once. */
    boolean speaks();

    /** The answer of a model that does not speak, in words. Called off the main thread. */
    String answer(String text) throws EdgeSlmException;

    /** Begins an answer; {@code listener} is called on {@code callbacks}. */
    Answer speak(String prompt, Listener listener, Executor callbacks) throws EdgeSlmException;

    /** Ends an answer under way, and frees the model. */
    void close();

    /** An answer under way. */
    interface Answer {
        /** Ends it where it is. */
        void cancel();
    }

    /** What comes of an answer. */
    interface Listener {
        /** More of its text. */
        void text(String piece);

        /** It ended. */
        void done(int tokens, double tokensPerSecond, boolean cancelled);

        /** It failed. */
        void failed(EdgeSlmException error);
    }

    /** How the model is opened. Called off the main thread. */
    interface Opener {
        Engine open() throws EdgeSlmException;
    }
}
