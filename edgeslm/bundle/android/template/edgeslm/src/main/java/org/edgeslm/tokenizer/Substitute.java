package org.edgeslm.tokenizer;

/** SUBSTITUTE: every match becomes a text. */
final class Substitute extends Matching {
    private final int[] text;

    Substitute(Classes classes, Pattern pattern, int[] text) {
        super(classes, pattern);
        this.text = text;
    }

    @Override
    void run(Pieces pieces) throws TokenizerException {
        begin(pieces);
        for (int piece = 0; piece < pieces.count; piece++) {
            boolean first = pieces.isFirst(piece);
            int limit = pieces.end(piece);
            int at = pieces.start(piece);
            while (search(at, limit)) {
                if (start == pieces.start(piece)) {
                    // What stands for several characters counts as the last of them.
                    first &= end == start + 1 && text.length > 0;
                }
                while (at < start) {
                    pieces.append(pieces.text[at++]);
                }
                pieces.append(text);
                at = end;
            }
            while (at < limit) {
                pieces.append(pieces.text[at++]);
            }
            pieces.close(first);
        }
        pieces.exchange();
    }
}
