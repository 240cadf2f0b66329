package org.edgeslm.tokenizer;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * A tokenizer that tests ask over standard input and output. A request is a letter and numbers of 4 bytes, big-endian;
 * texts are UTF-16, so that half a surrogate pair can be asked for. Each answer begins with 0, or with -1 and the
 * exception's name and words. Anything but a TokenizerException ends the program.
 */
final class TokenizerProgram {
    private final DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
    private final DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16));
    private ByteBuffer memory = ByteBuffer.allocateDirect(0);
    private Tokenizer tokenizer;

    private TokenizerProgram() {}

    public static void main(String[] arguments) throws IOException {
        TokenizerProgram program = new TokenizerProgram();
        for (int request = program.in.read(); request >= 0; request = program.in.read()) {
            program.answer((char) request);
            program.out.flush();
        }
    }

    private void answer(char request) throws IOException {
        if (request == 'T') {
            open();
            return;
        }
        boolean flag = in.readInt() != 0;
        int most = in.readInt();
        for (int count = in.readInt(); count > 0; count--) {
            try {
                if (request == 'E') {
                    String text = readText();
                    write(flag && most == Integer.MAX_VALUE ? tokenizer.encode(text)
                            : tokenizer.encode(text, flag, most));
                } else if (request == 'D') {
                    int[] ids = readNumbers();
                    write(new String[] {flag ? tokenizer.decode(ids) : tokenizer.decode(ids, false)});
                } else {
                    write(pieces(readNumbers()));
                }
            } catch (TokenizerException error) {
                write(error);
            }
        }
    }

    /** The table lies at odd places of memory outside the heap, as in an APK it may. */
    private void open() throws IOException {
        byte[] table = new byte[in.readInt()];
        in.readFully(table);
        if (memory.capacity() < table.length + 7) {
            memory = ByteBuffer.allocateDirect(2 * table.length + 7);
        }
        memory.limit(memory.capacity());
        memory.position(3);
        memory.put(table);
        memory.limit(3 + table.length);
        memory.position(3);
        try {
            tokenizer = Tokenizer.open(memory);
            out.writeInt(0);
        } catch (TokenizerException error) {
            tokenizer = null;
            write(error);
        }
    }

    private String[] pieces(int[] ids) throws TokenizerException {
        String[] made = new String[ids.length + 1];
        TextStream stream = tokenizer.stream();
        for (int place = 0; place < ids.length; place++) {
            made[place] = stream.add(ids[place]);
        }
        made[ids.length] = stream.end();
        return made;
    }

    private String readText() throws IOException {
        byte[] units = new byte[2 * in.readInt()];
        in.readFully(units);
        return ByteBuffer.wrap(units).asCharBuffer().toString();
    }

    private int[] readNumbers() throws IOException {
        int[] made = new int[in.readInt()];
        for (int place = 0; place < made.length; place++) {
            made[place] = in.readInt();
        }
        return made;
    }

    private void write(int[] numbers) throws IOException {
        out.writeInt(0);
        out.writeInt(numbers.length);
        for (int number : numbers) {
            out.writeInt(number);
        }
    }

    private void write(String[] texts) throws IOException {
        out.writeInt(0);
        out.writeInt(texts.length);
        for (String text : texts) {
            out.writeInt(text.length());
            out.writeChars(text);
        }
    }

    private void write(TokenizerException error) throws IOException {
        String words = error.getClass().getSimpleName() + ": " + error.getMessage();
        out.writeInt(-1);
        out.writeInt(words.length());
        out.writeChars(words);
    }
}
