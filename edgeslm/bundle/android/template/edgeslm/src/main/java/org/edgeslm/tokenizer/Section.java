package org.edgeslm.tokenizer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A part of the table, read where it lies. Every read outside it is damage. */
final class Section {
    /** In place of an id: there is none. */
    static final int NONE = -1;

    /** Its length. */
    final int bytes;

    private final String tag;
    private final ByteBuffer content;

    /** The whole of `content` from its position to its limit. */
    Section(String tag, ByteBuffer content) {
        this.tag = tag;
        this.content = content.slice().order(ByteOrder.LITTLE_ENDIAN);
        bytes = this.content.limit();
    }

    /** How many records of `size` bytes it has. */
    int records(int size) throws TokenizerException {
        if (bytes % size != 0) {
            throw TokenizerException.damaged("section " + tag + " is not whole");
        }
        return bytes / size;
    }

    int u8(int at) throws TokenizerException {
        check(at, 1);
        return content.get(at) & 0xFF;
    }

    int u16(int at) throws TokenizerException {
        check(at, 2);
        return content.getShort(at) & 0xFFFF;
    }

    /** Four bytes; what is read as an unsigned number there is below 0 from 2^31 on. */
    int i32(int at) throws TokenizerException {
        check(at, 4);
        return content.getInt(at);
    }

    float f32(int at) throws TokenizerException {
        check(at, 4);
        return content.getFloat(at);
    }

    double f64(int at) throws TokenizerException {
        check(at, 8);
        return content.getDouble(at);
    }

    /** The number at `index` of an array whose elements have 2 or 4 bytes. */
    int number(int index, int width) throws TokenizerException {
        return width == 2 ? u16(scaled(index, 2)) : i32(scaled(index, 4));
    }

    /** The place of the record at `index`, before its fields are read. */
    int scaled(int index, int size) throws TokenizerException {
        if (index < 0 || index >= bytes / size) {
            throw TokenizerException.damaged("an index outside section " + tag);
        }
        return index * size;
    }

    /** Bytes from `start` on. */
    byte[] copy(int start, int length) throws TokenizerException {
        if (length < 0) {
            throw TokenizerException.damaged("section " + tag + " has a text of a length below 0");
        }
        check(start, length);
        byte[] made = new byte[length];
        ByteBuffer from = content.duplicate();
        from.position(start);
        from.get(made);
        return made;
    }

    /** The text of the pool (this is TEXT) that begins at `offset`. */
    byte[] text(int offset) throws TokenizerException {
        return copy(offset + 2, u16(offset));
    }

    /** The length of the text that begins at `offset`, of which every byte lies in the pool: it begins 2 bytes later. */
    int textLength(int offset) throws TokenizerException {
        int length = u16(offset);
        check(offset + 2, length);
        return length;
    }

    private void check(int at, int size) throws TokenizerException {
        if (at < 0 || at > bytes - size) {
            throw TokenizerException.damaged("an offset outside section " + tag);
        }
    }
}
