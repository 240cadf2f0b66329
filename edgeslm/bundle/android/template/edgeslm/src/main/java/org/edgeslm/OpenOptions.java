package org.edgeslm;

/** How a model is opened. Every setter answers with the object itself. */
public final class OpenOptions {
    int threads = 2;
    String model;

    /**
     * Threads that LiteRT computes with, 2 unless told. More than the phone has fast cores makes it slower.
     *
     * @throws IllegalArgumentException for less than 1
     */
    public OpenOptions threads(int count) {
        if (count < 1) {
            throw new IllegalArgumentException("threads is " + count + "; it must be at least 1");
        }
        threads = count;
        return this;
    }

    /** Which of the library's models, by its id in assets/edgeslm/models.properties; the first one unless told. */
    public OpenOptions model(String id) {
        model = id;
        return this;
    }
}
