package org.edgeslm;

/** A text that the model cannot take: half a surrogate pair, or no text where there must be some. */
public final class BadTextException extends EdgeSlmException {
    private static final long serialVersionUID = 1;

    BadTextException(String message, String hint) {
        super(message, hint);
    }
}
