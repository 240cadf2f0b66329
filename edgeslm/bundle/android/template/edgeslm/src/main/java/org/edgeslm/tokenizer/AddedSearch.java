package org.edgeslm.tokenizer;

import java.util.List;

/**
 * A text cut at added tokens, from left to right: after `begin`, each `next` is a token (`id` of 0 and more) or what
 * lies between them. The leftmost counts, and of several there the longest.
 */
final class AddedSearch extends SortedTexts {
    private final AddedToken[] tokens; // in order of their patterns' bytes
    private final boolean[] begins = new boolean[256];
    private final Classes classes;
    private final int space;
    private final int word;

    private int[] text;
    private int begin;
    private int limit;
    private int at; // what lies before it was given away
    private int from; // where the search goes on
    private AddedToken waiting; // found, but what is before it goes first
    private int waitingEnd;

    /** The part that `next` came to; `id` is NONE if it is no token. */
    int start;
    int end;
    int id;

    AddedSearch(List<AddedToken> tokens, Classes classes, int space, int word) throws TokenizerException {
        super(tokens.size());
        this.tokens = tokens.toArray(new AddedToken[0]);
        this.classes = classes;
        this.space = space;
        this.word = word;
        for (AddedToken token : this.tokens) {
            begins[token.byteAt(0)] = true;
        }
        prepare();
    }

    void begin(int[] characters, int first, int last) {
        text = characters;
        begin = first;
        limit = last;
        at = first;
        from = first;
        waiting = null;
    }

    /** False at the text's end. */
    boolean next() throws TokenizerException {
        if (waiting == null && !search()) {
            start = at;
            end = limit;
            id = Section.NONE;
            at = limit;
            from = limit;
            return start < end;
        }
        if (at < start) {
            // The token waits; `start` is where it begins.
            end = start;
            start = at;
            at = end;
            id = Section.NONE;
            return true;
        }
        id = waiting.id;
        end = waitingEnd;
        at = waitingEnd;
        waiting = null;
        return true;
    }

    /** The next token that counts: `waiting`, from `start` to `waitingEnd`. */
    private boolean search() throws TokenizerException {
        while (from < limit) {
            int length = Utf8.length(text[from]);
            AddedToken found = begins[Utf8.byteOf(text[from], length, 0)] ? longest(from) : null;
            if (found == null) {
                from++;
                continue;
            }
            int first = from;
            int last = waitingEnd;
            from = last;
            if (found.singleWord && (isWord(first - 1) || isWord(last))) {
                continue;
            }
            while (found.left && first > at && classes.has(space, text[first - 1])) {
                first--;
            }
            while (found.right && last < limit && classes.has(space, text[last])) {
                last++;
            }
            start = first;
            waitingEnd = last;
            waiting = found;
            return true;
        }
        return false;
    }

    private boolean isWord(int place) throws TokenizerException {
        return place >= begin && place < limit && classes.has(word, text[place]);
    }

    /** The longest token at a place; `waitingEnd` is where it ends. */
    private AddedToken longest(int place) throws TokenizerException {
        AddedToken best = null;
        reset();
        for (int next = place; next < limit && add(text[next]); next++) {
            int found = found();
            if (found >= 0) {
                best = tokens[found];
                waitingEnd = next + 1;
            }
        }
        return best;
    }

    @Override
    int length(int place) {
        return tokens[place].length;
    }

    @Override
    int byteAt(int place, int depth) throws TokenizerException {
        return tokens[place].byteAt(depth);
    }
}
