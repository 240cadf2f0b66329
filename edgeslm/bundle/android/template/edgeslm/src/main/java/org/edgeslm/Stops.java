package org.edgeslm;

import java.util.List;

/**
 * Stop texts in an answer that comes in pieces: wherever the pieces' borders are, the text before the first stop text
 * is the same. The first one is that which is complete first; of several that end together, the longest.
 */
final class Stops {
    private final List<String> stops;
    private String held = "";
    private boolean stopped;

    /** {@code stops}: none is empty. */
    Stops(List<String> stops) {
        this.stops = stops;
    }

    boolean stopped() {
        return stopped;
    }

    /** The text that belongs to the answer for certain; what may begin a stop text is held back. */
    String feed(String piece) {
        String text = held + piece;
        int end = -1;
        int start = 0;
        for (String stop : stops) {
            int found = text.indexOf(stop);
            if (found >= 0) {
                int behind = found + stop.length();
                if (end < 0 || behind < end || (behind == end && found < start)) {
                    end = behind;
                    start = found;
                }
            }
        }
        if (end >= 0) {
            stopped = true;
            held = "";
            return text.substring(0, start);
        }
        int kept = heldLength(text);
        held = text.substring(text.length() - kept);
        return text.substring(0, text.length() - kept);
    }

    /** What was held back: no stop text came of it. */
    String end() {
        String rest = held;
        held = "";
        return rest;
    }

    /** The longest end of the text that a stop text begins with. */
    private int heldLength(String text) {
        int longest = 0;
        for (String stop : stops) {
            int most = Math.min(stop.length() - 1, text.length());
            for (int length = most; length > longest; length--) {
                if (text.regionMatches(text.length() - length, stop, 0, length)) {
                    longest = length;
                    break;
                }
            }
        }
        return longest;
    }
}
