package org.edgeslm.tokenizer;

/** BPE: of all neighbours the pair that was learnt first is merged, the leftmost of equals, until none is left. */
final class BytePairs extends Model {
    private static final int GONE = -1;

    private final Vocabulary vocabulary;
    private final Merges merges;
    private final boolean fallback;
    private final boolean fused;
    private final boolean wholeWords;
    private final boolean byteLevel;
    private final int unknown;
    private final int[] byteIds;

    private final MergeQueue queue = new MergeQueue();
    private final Numbers symbols = new Numbers(64);
    private int[] before = new int[64];
    private int[] after = new int[64];

    /** `flags` are those of MODL; `unknown` is NONE where characters without a token give nothing. */
    BytePairs(Table table, Vocabulary vocabulary, int width, int flags, int unknown) throws TokenizerException {
        this.vocabulary = vocabulary;
        this.unknown = unknown == Section.NONE ? unknown : vocabulary.checked(unknown);
        merges = new Merges(table, vocabulary, width);
        fallback = (flags & 1) != 0;
        fused = (flags & 2) != 0;
        wholeWords = (flags & 4) != 0;
        byteLevel = (flags & 8) != 0;
        byteIds = vocabulary.byteIds(table.section("BYTE"));
        if ((byteIds != null) != (fallback || byteLevel)) {
            throw TokenizerException.damaged("its bytes are not of its vocabulary");
        }
    }

    @Override
    void encode(int[] word, int start, int end, Numbers ids) throws TokenizerException {
        int whole = wholeWords ? whole(word, start, end) : Section.NONE;
        if (whole != Section.NONE) {
            ids.add(whole);
            return;
        }
        begin(word, start, end);
        merge();
        for (int place = 0; place < symbols.size; place++) {
            if (symbols.all[place] != GONE) {
                ids.add(symbols.all[place]);
            }
        }
    }

    private int whole(int[] word, int start, int end) throws TokenizerException {
        vocabulary.reset();
        for (int place = start; place < end; place++) {
            if (!vocabulary.add(word[place])) {
                return Section.NONE;
            }
        }
        return vocabulary.foundId();
    }

    /** The word's characters, or bytes, as ids. */
    private void begin(int[] word, int start, int end) throws TokenizerException {
        symbols.clear();
        boolean waiting = false; // an unknown token that the next one may still be fused with
        for (int place = start; place < end; place++) {
            int length = Utf8.length(word[place]);
            int units = byteLevel ? length : 1;
            for (int unit = 0; unit < units; unit++) {
                int id = byteLevel ? byteIds[Utf8.byteOf(word[place], length, unit)] : whole(word, place, place + 1);
                if (id != Section.NONE) {
                    if (waiting) {
                        symbols.add(unknown);
                        waiting = false;
                    }
                    symbols.add(id);
                } else if (!(fallback && spell(word[place], length)) && unknown != Section.NONE) {
                    if (waiting && !fused) {
                        symbols.add(unknown);
                    }
                    waiting = true;
                }
            }
        }
        if (waiting) {
            symbols.add(unknown);
        }
    }

    /** A character's bytes as ids; false where one of them has none. An unknown token that waits goes on waiting, and
     * comes behind these: so do Hugging Face's tokenizers. */
    private boolean spell(int character, int length) {
        for (int place = 0; place < length; place++) {
            if (byteIds[Utf8.byteOf(character, length, place)] == Section.NONE) {
                return false;
            }
        }
        for (int place = 0; place < length; place++) {
            symbols.add(byteIds[Utf8.byteOf(character, length, place)]);
        }
        return true;
    }

    private void merge() throws TokenizerException {
        int[] ids = symbols.all;
        int end = symbols.size;
        if (before.length < end) {
            before = new int[ids.length];
            after = new int[ids.length];
        }
        queue.clear();
        for (int place = 0; place < end; place++) {
            before[place] = place - 1;
            after[place] = place + 1;
            if (place + 1 < end) {
                offer(place, ids[place], ids[place + 1]);
            }
        }
        while (!queue.isEmpty()) {
            int place = queue.place();
            int merged = queue.merged();
            queue.removeFirst();
            int following = after[place];
            if (ids[place] == GONE || following == end) {
                continue;
            }
            // What was offered before its neighbours changed counts if it still gives the same token: so do tokenizers.
            long rule = merges.rule(ids[place], ids[following]);
            if (rule == Merges.NONE || (int) rule != merged) {
                continue;
            }
            ids[place] = merged;
            ids[following] = GONE;
            int beyond = after[following];
            after[place] = beyond;
            if (beyond < end) {
                before[beyond] = place;
                offer(place, merged, ids[beyond]);
            }
            if (before[place] >= 0) {
                offer(before[place], ids[before[place]], merged);
            }
        }
    }

    private void offer(int place, int left, int right) throws TokenizerException {
        long rule = merges.rule(left, right);
        if (rule != Merges.NONE) {
            queue.add(rule, place);
        }
    }
}
