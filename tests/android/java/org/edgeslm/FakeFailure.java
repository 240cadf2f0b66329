package org.edgeslm;

/** An EdgeSlmException that tests may make. */
public final class FakeFailure extends EdgeSlmException {
    private static final long serialVersionUID = 1;

    public FakeFailure(String message, String hint) {
        super(message, hint);
    }
}
