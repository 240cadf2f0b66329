package org.edgeslm.tokenizer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.CRC32;

/** The header of a table, checked, and its sections (docs/tokenizer.md has the format). */
final class Table {
    private static final byte[] MAGIC = {'e', 'd', 'g', 'e', 't', 'o', 'k', 0};
    private static final int VERSION = 1;
    private static final int HEADER = 32;
    private static final int ENTRY = 16;

    private final Map<String, Section> sections = new HashMap<>();

    /** From the buffer's position to its limit; neither is changed. */
    Table(ByteBuffer bytes) throws TokenizerException {
        ByteBuffer content = bytes.slice().order(ByteOrder.LITTLE_ENDIAN);
        int size = content.limit();
        if (size < HEADER) {
            throw TokenizerException.damaged("it does not begin as one");
        }
        for (int place = 0; place < MAGIC.length; place++) {
            if (content.get(place) != MAGIC[place]) {
                throw TokenizerException.damaged("it does not begin as one");
            }
        }
        int version = content.getInt(8);
        if (version != VERSION) {
            throw new TokenizerException("the tokenizer's table is of version " + (version & 0xFFFFFFFFL)
                    + "; this library reads version " + VERSION + ": use the one that lies beside it in the bundle");
        }
        if (content.getInt(12) != size || content.getInt(16) != checksum(content)) {
            throw TokenizerException.damaged("it was cut short, or bytes of it changed");
        }
        int count = content.getInt(20);
        if (count < 0 || count > (size - HEADER) / ENTRY) {
            throw TokenizerException.damaged("its directory does not fit into it");
        }
        // No checksum covers the header: a wrong number of sections is found by where the first one begins.
        if (count > 0 && content.getInt(HEADER + 4) != HEADER + ENTRY * count) {
            throw TokenizerException.damaged("its first section does not begin where its directory ends");
        }
        for (int number = 0; number < count; number++) {
            read(content, HEADER + ENTRY * number);
        }
    }

    boolean has(String tag) {
        return sections.containsKey(tag);
    }

    /** An empty one where there is none. */
    Section section(String tag) {
        Section found = sections.get(tag);
        return found == null ? new Section(tag, ByteBuffer.allocate(0)) : found;
    }

    private void read(ByteBuffer content, int at) throws TokenizerException {
        StringBuilder tag = new StringBuilder();
        for (int place = at; place < at + 4; place++) {
            tag.append((char) (content.get(place) & 0xFF));
        }
        long start = content.getInt(at + 4) & 0xFFFFFFFFL;
        long end = start + (content.getInt(at + 8) & 0xFFFFFFFFL);
        if (end > content.limit()) {
            throw TokenizerException.damaged("section " + tag + " does not fit into it");
        }
        ByteBuffer part = content.duplicate();
        part.limit((int) end);
        part.position((int) start);
        sections.put(tag.toString(), new Section(tag.toString(), part));
    }

    private static int checksum(ByteBuffer content) {
        ByteBuffer body = content.duplicate();
        body.position(HEADER);
        CRC32 sum = new CRC32();
        byte[] some = new byte[1 << 13];
        while (body.hasRemaining()) {
            int count = Math.min(some.length, body.remaining());
            body.get(some, 0, count);
            sum.update(some, 0, count);
        }
        return (int) sum.getValue();
    }
}
