package org.edgeslm;

/** What went wrong, and what to do about it. The subclass says what kind of thing it was. */
public class EdgeSlmException extends Exception {
    private static final long serialVersionUID = 1;

    private final String hint;

    EdgeSlmException(String message, String hint) {
        super(message);
        this.hint = hint;
    }

    EdgeSlmException(String message, String hint, Throwable cause) {
        super(message, cause);
        this.hint = hint;
    }

    /** What to do next, in one line for the developer; never empty. */
    public final String getHint() {
        return hint;
    }

    @Override
    public String toString() {
        return getClass().getName() + ": " + getMessage() + " (" + hint + ")";
    }
}
