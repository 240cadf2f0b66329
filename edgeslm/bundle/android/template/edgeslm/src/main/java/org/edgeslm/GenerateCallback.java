package org.edgeslm;

/**
 * Hears an answer. Called on the executor of {@link GenerateOptions}, one call at a time; after onDone or onError there
 * is no further call.
 */
public interface GenerateCallback {
    /** What the answer goes on with: the text of one token, or of several that came meanwhile. Never empty. */
    void onText(String text);

    /** The answer ended: by itself, at a limit, or because it was cancelled. */
    void onDone(GenerateStats stats);

    /** The answer ended by a failure, or the EdgeSlm was closed. */
    void onError(EdgeSlmException error);
}
