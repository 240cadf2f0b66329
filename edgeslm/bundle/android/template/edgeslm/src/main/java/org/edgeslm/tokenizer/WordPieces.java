package org.edgeslm.tokenizer;

/** WordPiece: the longest token that a word begins with, then the longest that goes on; or the word is unknown. */
final class WordPieces extends Model {
    private final Vocabulary vocabulary;
    private final int unknown;
    private final long longest;

    /** `prefix` is what marks a token inside a word, `longest` the characters of the longest word that is cut. */
    WordPieces(Vocabulary vocabulary, int unknown, byte[] prefix, long longest) throws TokenizerException {
        this.vocabulary = vocabulary;
        this.unknown = unknown;
        this.longest = longest;
        for (byte one : prefix) {
            vocabulary.addByte(one & 0xFF);
        }
        vocabulary.mark();
    }

    @Override
    void encode(int[] word, int start, int end, Numbers ids) throws TokenizerException {
        int before = ids.size;
        int at = start;
        boolean known = end - start <= longest;
        while (known && at < end) {
            if (at > start) {
                vocabulary.back();
            } else {
                vocabulary.reset();
            }
            int best = Section.NONE;
            int bestEnd = at;
            for (int place = at; place < end && vocabulary.add(word[place]); place++) {
                int id = vocabulary.foundId();
                if (id != Section.NONE) {
                    best = id;
                    bestEnd = place + 1;
                }
            }
            known = best != Section.NONE;
            if (known) {
                ids.add(best);
                at = bestEnd;
            }
        }
        if (!known) {
            ids.size = before;
            ids.add(vocabulary.checked(unknown));
        }
    }
}
