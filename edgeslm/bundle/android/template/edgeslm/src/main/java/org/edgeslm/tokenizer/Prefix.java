package org.edgeslm.tokenizer;

/** PREFIX: a text before each piece. */
final class Prefix extends TextStep {
    private final int[] prefix;
    private final boolean unlessThere;
    private final boolean onlyFirst;

    /** `unlessThere`: only where the piece does not begin with it; `onlyFirst`: only where that begins the text. */
    Prefix(int[] prefix, boolean unlessThere, boolean onlyFirst) {
        this.prefix = prefix;
        this.unlessThere = unlessThere;
        this.onlyFirst = onlyFirst;
    }

    @Override
    void run(Pieces pieces) throws TokenizerException {
        if (onlyFirst && !pieces.first) {
            return;
        }
        for (int piece = 0; piece < pieces.count; piece++) {
            boolean wanted = !onlyFirst || pieces.isFirst(piece);
            if (wanted && !(unlessThere && isThere(pieces, piece))) {
                pieces.append(prefix);
            }
            for (int place = pieces.start(piece); place < pieces.end(piece); place++) {
                pieces.append(pieces.text[place]);
            }
            pieces.close(pieces.isFirst(piece));
        }
        pieces.exchange();
    }

    private boolean isThere(Pieces pieces, int piece) {
        int start = pieces.start(piece);
        int same = 0;
        while (same < prefix.length && start + same < pieces.end(piece) && pieces.text[start + same] == prefix[same]) {
            same++;
        }
        return same == prefix.length;
    }
}
