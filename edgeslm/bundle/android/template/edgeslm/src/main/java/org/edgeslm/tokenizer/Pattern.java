package org.edgeslm.tokenizer;

/** A program of PROG: a pattern over classes of characters. */
final class Pattern {
    private static final int MATCH = 0;
    private static final int RUN = 1;
    private static final int NOT_NEXT = 2;
    private static final int FORK = 3;
    private static final int JUMP = 4;
    private static final int UNLIMITED = 255;
    private static final int LONGEST = 4096; // a build writes a few hundred at most
    private static final long MOST_TRIES = 1 << 24;

    private final int[] operations;
    private final int[] least;
    private final int[] most;
    private final boolean[] possessive;
    private final int[] values;

    // Ways that are left: on from an instruction with a place; where that fails, with one character less, to the least.
    private final int[] wayNext;
    private final int[] wayPlace;
    private final int[] wayLeast;
    private long tries;

    /** The `count` instructions from `start` on. */
    Pattern(Section programs, int start, int count) throws TokenizerException {
        int all = programs.records(8);
        if (start < 0 || count <= 0 || start > all - count) {
            throw TokenizerException.damaged("a pattern lies outside it");
        }
        if (count > LONGEST) {
            throw TokenizerException.damaged("a pattern without bounds");
        }
        operations = new int[count];
        least = new int[count];
        most = new int[count];
        possessive = new boolean[count];
        values = new int[count];
        wayNext = new int[count];
        wayPlace = new int[count];
        wayLeast = new int[count];
        for (int place = 0; place < count; place++) {
            int at = 8 * (start + place);
            operations[place] = programs.u8(at);
            least[place] = programs.u8(at + 1);
            most[place] = programs.u8(at + 2) == UNLIMITED ? Integer.MAX_VALUE : programs.u8(at + 2);
            possessive[place] = programs.u8(at + 3) != 0;
            values[place] = programs.i32(at + 4);
        }
        check(count);
    }

    /** Jumps only go forward, so from the end on, what follows an instruction is known when its turn comes. */
    private void check(int count) throws TokenizerException {
        long[] shortest = new long[count];
        for (int place = count - 1; place >= 0; place--) {
            int operation = operations[place];
            if (operation > JUMP || least[place] > most[place]) {
                throw TokenizerException.damaged("a pattern that is none");
            }
            if (operation == MATCH) {
                continue;
            }
            boolean jumps = operation == FORK || operation == JUMP;
            if (jumps && (values[place] <= place || values[place] >= count)) {
                throw TokenizerException.damaged("a pattern jumps backwards, or out of itself");
            }
            if (operation != JUMP && place + 1 == count) {
                throw TokenizerException.damaged("a pattern has no end");
            }
            long following = operation == JUMP ? shortest[values[place]] : shortest[place + 1];
            shortest[place] = operation == RUN ? following + least[place]
                    : operation == FORK ? Math.min(following, shortest[values[place]]) : following;
        }
        if (shortest[0] == 0) {
            throw TokenizerException.damaged("a pattern that matches nothing");
        }
    }

    /** Before the matches of a text of so many characters. No pattern of a build comes near the tries that it gets. */
    void begin(int characters) {
        tries = MOST_TRIES + 16L * characters * characters;
    }

    /** The end of the match at `start`, or -1. `classes` are the characters'; the text ends at `end`. */
    int match(byte[] classes, int start, int end) throws TokenizerException {
        int left = 0;
        int next = 0;
        int place = start;
        while (true) {
            int at = next++;
            int value = values[at];
            boolean fails = false;
            tries--;
            switch (operations[at]) {
                case MATCH:
                    return place;
                case RUN:
                    int limit = most[at] < end - place ? place + most[at] : end;
                    int stop = place;
                    while (stop < limit && (value >>> classes[stop] & 1) != 0) {
                        stop++;
                    }
                    int first = place + least[at];
                    tries -= stop - place;
                    place = stop;
                    fails = stop < first;
                    if (stop > first && !possessive[at]) {
                        wayNext[left] = next;
                        wayPlace[left] = stop;
                        wayLeast[left++] = first;
                    }
                    break;
                case NOT_NEXT:
                    fails = place < end && (value >>> classes[place] & 1) != 0;
                    break;
                case FORK:
                    wayNext[left] = value;
                    wayPlace[left] = place;
                    wayLeast[left++] = place;
                    break;
                default:
                    next = value;
            }
            if (tries < 0) {
                throw TokenizerException.damaged("a pattern that takes too long");
            }
            if (fails) {
                if (left == 0) {
                    return -1;
                }
                next = wayNext[left - 1];
                if (wayPlace[left - 1] > wayLeast[left - 1]) {
                    wayPlace[left - 1]--;
                }
                place = wayPlace[left - 1];
                if (place == wayLeast[left - 1]) {
                    left--;
                }
            }
        }
    }
}
