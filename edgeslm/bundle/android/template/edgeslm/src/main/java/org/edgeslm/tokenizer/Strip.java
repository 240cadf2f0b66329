package org.edgeslm.tokenizer;

/** STRIP: characters of a set go from the front of each piece, from its end, or from both. */
final class Strip extends TextStep {
    private final Classes classes;
    private final int set;
    private final boolean front;
    private final boolean back;

    Strip(Classes classes, int set, boolean front, boolean back) {
        this.classes = classes;
        this.set = set;
        this.front = front;
        this.back = back;
    }

    @Override
    void run(Pieces pieces) throws TokenizerException {
        for (int piece = 0; piece < pieces.count; piece++) {
            int start = pieces.start(piece);
            int end = pieces.end(piece);
            while (front && start < end && classes.has(set, pieces.text[start])) {
                start++;
            }
            while (back && start < end && classes.has(set, pieces.text[end - 1])) {
                end--;
            }
            pieces.cut(start, end, pieces.isFirst(piece) && start == pieces.start(piece));
        }
        pieces.keep();
    }
}
