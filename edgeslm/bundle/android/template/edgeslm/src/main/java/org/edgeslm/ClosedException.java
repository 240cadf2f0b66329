package org.edgeslm;

/** The EdgeSlm was closed. */
public final class ClosedException extends EdgeSlmException {
    private static final long serialVersionUID = 1;

    ClosedException() {
        super("this EdgeSlm is closed", "open another one");
    }
}
