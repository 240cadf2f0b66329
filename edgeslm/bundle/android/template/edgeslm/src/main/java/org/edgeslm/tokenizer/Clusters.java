package org.edgeslm.tokenizer;

/**
 * Extended grapheme clusters (UAX #29) by sets of classes, without the pairs of regional indicators: those have eight
 * bytes, and are never looked up as one.
 */
final class Clusters {
    private static final int SETS = 16;

    private final int cr;
    private final int lf;
    private final int control;
    private final int prepend;
    private final int joining;
    private final int zwj;
    private final int extend;
    private final int pictograph;
    private final int lead;
    private final int vowel;
    private final int trail;
    private final int syllable;
    private final int closedSyllable;
    private final int consonant;
    private final int linker;
    private final int conjunct;

    private byte[] classes;
    private int limit;

    Clusters(Section sets) throws TokenizerException {
        if (sets.records(4) != SETS) {
            throw TokenizerException.damaged("it has other kinds of clusters");
        }
        cr = sets.number(0, 4);
        lf = sets.number(1, 4);
        control = sets.number(2, 4);
        prepend = sets.number(3, 4);
        joining = sets.number(4, 4);
        zwj = sets.number(5, 4);
        extend = sets.number(6, 4);
        pictograph = sets.number(7, 4);
        lead = sets.number(8, 4);
        vowel = sets.number(9, 4);
        trail = sets.number(10, 4);
        syllable = sets.number(11, 4);
        closedSyllable = sets.number(12, 4);
        consonant = sets.number(13, 4);
        linker = sets.number(14, 4);
        conjunct = sets.number(15, 4);
        if ((consonant & (conjunct | linker)) != 0 || (pictograph & extend) != 0) {
            throw TokenizerException.damaged("a cluster's base that joins to what is before it");
        }
    }

    /** Before the clusters of a text, whose characters have these classes and which ends at `end`. */
    void begin(byte[] itsClasses, int end) {
        classes = itsClasses;
        limit = end;
    }

    /** Where the cluster ends that begins at a place. */
    int end(int start) {
        if (is(cr, start) && is(lf, start + 1)) {
            return start + 2;
        }
        if (is(control, start)) {
            return start + 1;
        }
        // What is put before something is itself something where nothing follows.
        int base = all(prepend, start);
        while (base > start && (base == limit || is(control, base))) {
            base--;
        }
        return all(joining, core(base));
    }

    private int core(int start) {
        int at = all(lead, start);
        if (is(closedSyllable, at)) {
            return all(trail, at + 1);
        }
        if (is(syllable, at)) {
            return all(trail, all(vowel, at + 1));
        }
        if (is(vowel, at)) {
            return all(trail, all(vowel, at));
        }
        if (at > start) {
            return at;
        }
        if (is(trail, start)) {
            return all(trail, start);
        }
        if (is(pictograph, start)) {
            return pictographs(start);
        }
        return is(consonant, start) ? consonants(start) : start + 1;
    }

    /** A pictograph, and others that are joined to it. */
    private int pictographs(int start) {
        int at = start;
        int next = start + 1;
        while (next > at) {
            at = next;
            int behind = all(extend, at);
            // The joiner itself may be one of what extends.
            int joiner = is(zwj, behind) ? behind : behind - 1;
            if (joiner >= at && is(zwj, joiner) && is(pictograph, joiner + 1)) {
                next = joiner + 2;
            }
        }
        return at;
    }

    /** A consonant, and others that are linked to it. */
    private int consonants(int start) {
        int at = start;
        int next = start + 1;
        while (next > at) {
            at = next;
            boolean linked = false;
            int behind = at;
            while (is(conjunct | linker, behind)) {
                linked |= is(linker, behind);
                behind++;
            }
            if (linked && is(consonant, behind)) {
                next = behind + 1;
            }
        }
        return at;
    }

    private int all(int set, int start) {
        int at = start;
        while (is(set, at)) {
            at++;
        }
        return at;
    }

    private boolean is(int set, int place) {
        return place < limit && (set >>> classes[place] & 1) != 0;
    }
}
