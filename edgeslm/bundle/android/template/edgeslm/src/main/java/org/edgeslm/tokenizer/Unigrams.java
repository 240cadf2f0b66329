package org.edgeslm.tokenizer;

/** Unigram: of all ways to cut a word into tokens, the one whose log probabilities add up to most (Viterbi). */
final class Unigrams extends Model {
    private final Vocabulary vocabulary;
    private final Section scores;
    private final int width;
    private final int unknown;
    private final double unknownScore;
    private final int[] byteIds;

    // For each place in the word: the best sum that leads there, where its last token begins, and which one that is.
    private double[] sums = new double[64];
    private int[] starts = new int[64];
    private int[] tokens = new int[64];

    /** `width` is that of scores; `flags` are those of MODL. */
    Unigrams(Table table, Vocabulary vocabulary, int width, int flags, int unknown, double unknownScore)
            throws TokenizerException {
        this.vocabulary = vocabulary;
        this.width = width;
        this.unknown = vocabulary.checked(unknown);
        this.unknownScore = unknownScore;
        scores = table.section("SCOR");
        if ((width != 4 && width != 8) || scores.records(width) != vocabulary.count) {
            throw TokenizerException.damaged("its scores are not of its vocabulary");
        }
        byteIds = vocabulary.byteIds(table.section("BYTE"));
        if ((byteIds != null) != ((flags & 1) != 0)) {
            throw TokenizerException.damaged("its bytes are not of its vocabulary");
        }
    }

    @Override
    void encode(int[] word, int start, int end, Numbers ids) throws TokenizerException {
        int size = end - start;
        search(word, start, size);
        // The path is read from its end: starts[] becomes where each of its tokens ends.
        int next = size;
        int behind = -1;
        while (next > 0) {
            int from = starts[next];
            starts[next] = behind;
            behind = next;
            next = from;
        }
        int at = 0;
        for (int stop = behind; stop >= 0; ) {
            int id = tokens[stop];
            int further = starts[stop];
            while (id == unknown && further >= 0 && tokens[further] == unknown) {
                stop = further;
                further = starts[stop];
            }
            if (id == unknown) {
                spell(word, start + at, start + stop, ids);
            } else {
                ids.add(id);
            }
            at = stop;
            stop = further;
        }
    }

    private void search(int[] word, int start, int size) throws TokenizerException {
        if (sums.length <= size) {
            sums = new double[2 * size];
            starts = new int[2 * size];
            tokens = new int[2 * size];
        }
        for (int place = 0; place <= size; place++) {
            sums[place] = 0;
            starts[place] = -1;
        }
        for (int at = 0; at < size; at++) {
            vocabulary.reset();
            boolean single = false;
            for (int place = at; place < size && vocabulary.add(word[start + place]); place++) {
                int id = vocabulary.foundId();
                if (id != Section.NONE) {
                    single |= place == at;
                    offer(at, place + 1, id, sums[at] + score(id));
                }
            }
            if (!single) {
                offer(at, at + 1, unknown, sums[at] + unknownScore);
            }
        }
    }

    private void offer(int start, int end, int id, double sum) {
        if (starts[end] < 0 || sum > sums[end]) {
            sums[end] = sum;
            starts[end] = start;
            tokens[end] = id;
        }
    }

    private double score(int id) throws TokenizerException {
        return width == 4 ? scores.f32(4 * id) : scores.f64(8 * id);
    }

    /** Neighbours that are unknown are one piece: a token after all, or bytes, or one unknown token. */
    private void spell(int[] word, int start, int end, Numbers ids) throws TokenizerException {
        vocabulary.reset();
        boolean there = true;
        for (int place = start; there && place < end; place++) {
            there = vocabulary.add(word[place]);
        }
        int id = there ? vocabulary.foundId() : Section.NONE;
        if (id != Section.NONE) {
            ids.add(id);
            return;
        }
        int before = ids.size;
        for (int place = start; byteIds != null && place < end; place++) {
            int length = Utf8.length(word[place]);
            for (int unit = 0; unit < length; unit++) {
                id = byteIds[Utf8.byteOf(word[place], length, unit)];
                if (id == Section.NONE) {
                    ids.size = before;
                    ids.add(unknown);
                    return;
                }
                ids.add(id);
            }
        }
        if (byteIds == null) {
            ids.add(unknown);
        }
    }
}
