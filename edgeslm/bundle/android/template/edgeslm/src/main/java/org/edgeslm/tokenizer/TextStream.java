package org.edgeslm.tokenizer;

/**
 * Text from tokens one at a time, as all of them would be decoded at once: `add` gives the text that is certain with a
 * token, `end` the rest.
 *
 * <p>A token's text depends on what stands before it (a space that only the first one loses), and a character may be
 * spread over several tokens. So a few tokens are decoded together, and what is new at the end is given; a character is
 * held back until its last byte is there.
 *
 * <p>Tokenizers with byte fallback decode a whole run of byte tokens to U+FFFD, one for each byte, if any of it is no
 * UTF-8. The run is therefore held back until it ends. One that is UTF-8 for 32 bytes is trusted: a script that the
 * vocabulary does not have would otherwise not be seen before the answer's end.
 */
public final class TextStream {
    private static final int WINDOW = 4; // tokens that are decoded again with each new one
    private static final int WIDEST = 64; // only tokens without any text make the window grow longer

    private final Tokenizer tokenizer;
    private final ByteTokens bytes;
    private final Numbers window = new Numbers(WIDEST + 2);
    private int shown; // chars of the window's text that were given away
    private ByteRun run;

    TextStream(Tokenizer tokenizer) throws TokenizerException {
        this.tokenizer = tokenizer;
        bytes = new ByteTokens(tokenizer);
    }

    /** The text that is certain with this token; often that of the token, "" where it has to wait. */
    public String add(int id) throws TokenizerException {
        if (tokenizer.isSpecial(id) || tokenizer.shown(id).length == 0) {
            return "";
        }
        int one = bytes.byteOf(id);
        if (one >= 0) {
            return addByte(id, one);
        }
        String settled = closeRun();
        window.add(id);
        String text = decoded();
        int certain = text.length();
        if (!bytes.areUsed() && endsOpen(text)) {
            certain--; // the beginning of a character, perhaps
        }
        String piece = text.substring(Math.min(shown, certain), certain);
        shown = Math.max(certain, shown);
        if (certain == text.length()) {
            if (window.size > WINDOW) {
                slide(1);
            }
        } else if (window.size > WIDEST) {
            slide(8); // more tokens than a character has bytes
        }
        return settled + piece;
    }

    /** What was held back, with U+FFFD where a character is not whole. */
    public String end() throws TokenizerException {
        String settled = closeRun();
        String rest = rest();
        window.clear();
        shown = 0;
        return settled + rest;
    }

    private String decoded() throws TokenizerException {
        return tokenizer.decode(window.all, window.size, true);
    }

    private String rest() throws TokenizerException {
        String text = decoded();
        return text.substring(Math.min(shown, text.length()));
    }

    private static boolean endsOpen(String text) {
        return !text.isEmpty() && text.charAt(text.length() - 1) == Utf8.REPLACEMENT;
    }

    /** Forgets all but the last tokens. They need a text: where there is one, nothing is stripped any more. */
    private void slide(int keep) throws TokenizerException {
        Numbers last = new Numbers(keep);
        for (int place = window.size - keep; place < window.size; place++) {
            last.add(window.all[place]);
        }
        String text = tokenizer.decode(last.all, keep, true);
        if (!text.isEmpty() || window.size > WIDEST) {
            System.arraycopy(last.all, 0, window.all, 0, keep);
            window.size = keep;
            shown = text.length() - (keep > 1 && endsOpen(text) ? 1 : 0);
        }
    }

    private String addByte(int id, int one) throws TokenizerException {
        if (run == null) {
            run = new ByteRun();
        }
        boolean waiting = run.state == ByteRun.WHOLE;
        String piece = run.add(one);
        if (!waiting) {
            return piece;
        }
        window.add(id);
        if (run.state == ByteRun.WHOLE) {
            return "";
        }
        if (run.state == ByteRun.LONG) {
            piece = rest();
        }
        restart();
        return piece;
    }

    /** A byte run ends: gives what it held, or leaves it in the window, to be decoded with the token behind it. */
    private String closeRun() {
        if (run == null) {
            return "";
        }
        String lost = run.lost();
        if (!lost.isEmpty() && run.state == ByteRun.WHOLE) {
            restart();
        }
        run = null;
        return lost;
    }

    /** All that lies before is given away; any text stands for it. */
    private void restart() {
        window.clear();
        window.add(bytes.id(0xFF));
        shown = 1;
    }
}
