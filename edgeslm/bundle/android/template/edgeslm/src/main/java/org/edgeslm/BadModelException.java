package org.edgeslm;

/** What describes the model is incomplete, or newer than this library. */
public final class BadModelException extends EdgeSlmException {
    private static final long serialVersionUID = 1;

    BadModelException(String message, String hint) {
        super(message, hint);
    }

    BadModelException(String message) {
        this(message, "take library and model from the same bundle");
    }
}
