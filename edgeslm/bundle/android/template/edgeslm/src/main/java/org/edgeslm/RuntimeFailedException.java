package org.edgeslm;

/** LiteRT could not load or run the model. */
public final class RuntimeFailedException extends EdgeSlmException {
    private static final long serialVersionUID = 1;

    RuntimeFailedException(String message, String hint, Throwable cause) {
        super(message, hint, cause);
    }
}
