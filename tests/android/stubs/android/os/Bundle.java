package android.os;

/** Signatures alone. */
public final class Bundle {}
