package org.edgeslm;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import org.edgeslm.tokenizer.NotUnicodeException;
import org.edgeslm.tokenizer.TextStream;
import org.edgeslm.tokenizer.Tokenizer;
import org.edgeslm.tokenizer.TokenizerException;

/** A model's tokenizer for every thread, with the exceptions of this package. */
final class Texts {
    private static final String HINT = "a Java String can hold half a character: cut texts between characters";

    private final Tokenizer tokenizer;

    private Texts(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /** The tokenizer's table, checked; mapped where the package holds it as it is. */
    static Texts open(Assets assets, ModelProperties model) throws EdgeSlmException {
        String name = model.file("tokenizer");
        String expected = model.text("tokenizer.sha256");
        try {
            ByteBuffer table = assets.map(name);
            if (table == null) {
                table = ByteBuffer.wrap(read(assets, name));
            }
            String found = Digest.of(table);
            if (!found.equals(expected)) {
                throw new AssetTamperedException(name, expected, found);
            }
            return new Texts(Tokenizer.open(table));
        } catch (IOException error) {
            throw new BadModelException(name + " cannot be read: " + error.getMessage());
        } catch (TokenizerException error) {
            throw new BadModelException(name + ": " + error.getMessage());
        }
    }

    /** A text's tokens; with {@code special}, the tokenizer's own rule adds its special ones. */
    int[] ids(String text, boolean special) throws EdgeSlmException {
        try {
            synchronized (tokenizer) {
                return tokenizer.encode(text, special);
            }
        } catch (TokenizerException error) {
            throw failed(error);
        }
    }

    /** A text's tokens with special ones, at most {@code most}: what is cut is the text's end. */
    int[] cutIds(String text, int most) throws EdgeSlmException {
        try {
            synchronized (tokenizer) {
                return tokenizer.encode(text, true, most);
            }
        } catch (TokenizerException error) {
            throw failed(error);
        }
    }

    /** What makes text of an answer's tokens. */
    Stream stream() throws BadModelException {
        try {
            synchronized (tokenizer) {
                return new Stream(tokenizer, tokenizer.stream());
            }
        } catch (TokenizerException error) {
            throw new BadModelException(error.getMessage());
        }
    }

    /** Text from tokens one at a time. */
    static final class Stream {
        private final Tokenizer tokenizer;
        private final TextStream stream;

        private Stream(Tokenizer tokenizer, TextStream stream) {
            this.tokenizer = tokenizer;
            this.stream = stream;
        }

        /** The text that is certain with this token. */
        String add(int id) throws BadModelException {
            try {
                synchronized (tokenizer) {
                    return stream.add(id);
                }
            } catch (TokenizerException error) {
                throw new BadModelException(error.getMessage());
            }
        }

        /** What was held back. */
        String end() throws BadModelException {
            try {
                synchronized (tokenizer) {
                    return stream.end();
                }
            } catch (TokenizerException error) {
                throw new BadModelException(error.getMessage());
            }
        }
    }

    /** The text's fault, or the table's. */
    private static EdgeSlmException failed(TokenizerException error) {
        return error instanceof NotUnicodeException
                ? new BadTextException(error.getMessage(), HINT)
                : new BadModelException(error.getMessage());
    }

    private static byte[] read(Assets assets, String name) throws EdgeSlmException, IOException {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        try (InputStream from = assets.open(name)) {
            byte[] part = new byte[1 << 14];
            for (int count = from.read(part); count > 0; count = from.read(part)) {
                content.write(part, 0, count);
            }
        }
        return content.toByteArray();
    }
}
