package com.google.ai.edge.litert;

/** Thrown by whatever the runtime refuses. */
public final class LiteRtException extends Exception {
    private static final long serialVersionUID = 1;

    /** Of this shim alone: LiteRT keeps a Status. */
    public final int code;

    public LiteRtException(int code, String message) {
        super(message);
        this.code = code;
    }
}
