package org.edgeslm.tokenizer;

/** SPLIT: pieces are cut at the matches of a pattern. */
final class Split extends Matching {
    private static final int REMOVED = 0;
    private static final int CONTIGUOUS = 2;
    private static final int WITH_PREVIOUS = 3;
    private static final int WITH_NEXT = 4;

    private final int behavior;
    private final boolean inverted;

    // What is cut off, but may still grow.
    private int lastStart;
    private int lastEnd;
    private boolean lastMatched;

    /** `inverted`: matches and what lies between them change roles. */
    Split(Classes classes, Pattern pattern, int behavior, boolean inverted) throws TokenizerException {
        super(classes, pattern);
        if (behavior > WITH_NEXT) {
            throw TokenizerException.damaged("a split of kind " + behavior);
        }
        this.behavior = behavior;
        this.inverted = inverted;
    }

    @Override
    void run(Pieces pieces) throws TokenizerException {
        begin(pieces);
        for (int piece = 0; piece < pieces.count; piece++) {
            int limit = pieces.end(piece);
            int at = pieces.start(piece);
            lastStart = at;
            lastEnd = at;
            lastMatched = false;
            while (search(at, limit)) {
                if (start > at) {
                    add(pieces, piece, start, inverted);
                }
                add(pieces, piece, end, !inverted);
                at = end;
            }
            if (at < limit) {
                add(pieces, piece, limit, inverted);
            }
            cut(pieces, piece);
        }
        pieces.keep();
    }

    /** The next part of a piece, up to `stop`: it joins the one before, or lets it go on its way. */
    private void add(Pieces pieces, int piece, int stop, boolean matched) {
        boolean joins;
        switch (behavior) {
            case CONTIGUOUS:
                joins = lastMatched == matched;
                break;
            case WITH_PREVIOUS:
                joins = matched && !lastMatched;
                break;
            case WITH_NEXT:
                joins = !matched && lastMatched;
                break;
            default: // those that go, and those that are pieces of their own
                joins = false;
        }
        if (!joins) {
            cut(pieces, piece);
            lastStart = lastEnd;
        }
        lastEnd = stop;
        lastMatched = matched;
    }

    private void cut(Pieces pieces, int piece) {
        if (behavior != REMOVED || !lastMatched) {
            pieces.cut(lastStart, lastEnd, pieces.isFirst(piece) && lastStart == pieces.start(piece));
        }
    }
}
