package org.edgeslm.probe;

/** A probe that ended early, by its own limit or because of what it was asked for. */
public final class ProbeEndedException extends Exception {
    private static final long serialVersionUID = 1L;

    private final String hint;

    /** {@code hint}: what to do next, or null. */
    public ProbeEndedException(String message, String hint) {
        super(message);
        this.hint = hint;
    }

    /** What to do next; null where there is nothing to say. */
    public String hint() {
        return hint;
    }
}
