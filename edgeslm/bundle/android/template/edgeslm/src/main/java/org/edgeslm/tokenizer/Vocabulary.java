package org.edgeslm.tokenizer;

/** Tokens by id, and ids by token: TOKS has the ids in order of their tokens' bytes. */
final class Vocabulary extends SortedTexts {
    /** Ids of the model are below it. */
    final int count;

    private final int width;
    private final Section offsets;
    private final Section text;
    private final Section order;

    Vocabulary(Table table, int count, int width) throws TokenizerException {
        super(ordered(table, count, width));
        this.count = count;
        this.width = width;
        offsets = table.section("TOKI");
        text = table.section("TOKT");
        order = table.section("TOKS");
        if (offsets.records(4) != count + 1) {
            throw TokenizerException.damaged("its vocabulary is not as large as it says");
        }
        prepare();
    }

    private static int ordered(Table table, int count, int width) throws TokenizerException {
        if (width != 2 && width != 4) {
            throw TokenizerException.damaged("ids of " + width + " bytes");
        }
        int found = table.section("TOKS").records(width);
        if (count < 0 || count > 1 << 24 || found > count) {
            throw TokenizerException.damaged("its vocabulary is not as large as it says");
        }
        return found;
    }

    /** Empty where no token has that id. */
    byte[] token(int id) throws TokenizerException {
        int start = start(id);
        return text.copy(start, start(id + 1) - start);
    }

    /** The id of the token that has been added, NONE where it is none. */
    int foundId() throws TokenizerException {
        int place = found();
        return place < 0 ? Section.NONE : idAt(place);
    }

    int find(byte[] token) throws TokenizerException {
        reset();
        for (byte one : token) {
            if (!addByte(one & 0xFF)) {
                return Section.NONE;
            }
        }
        return foundId();
    }

    @Override
    int length(int place) throws TokenizerException {
        int id = idAt(place);
        return start(id + 1) - start(id);
    }

    @Override
    int byteAt(int place, int depth) throws TokenizerException {
        return text.u8(start(idAt(place)) + depth);
    }

    private int idAt(int place) throws TokenizerException {
        return checked(order.number(place, width));
    }

    private int start(int id) throws TokenizerException {
        return offsets.number(id, 4);
    }

    /** An id that the table names where a token must be. */
    int checked(int id) throws TokenizerException {
        if (id < 0 || id >= count) {
            throw TokenizerException.damaged("an id without a token");
        }
        return id;
    }

    /** The ids of the 256 bytes, or NONE for each that has none; null where the table has no such list. */
    int[] byteIds(Section section) throws TokenizerException {
        int found = section.records(4);
        if (found == 0) {
            return null;
        }
        if (found != 256) {
            throw TokenizerException.damaged("its bytes are not 256");
        }
        int[] made = new int[256];
        for (int one = 0; one < 256; one++) {
            int id = section.number(one, 4);
            made[one] = id == Section.NONE ? id : checked(id);
        }
        return made;
    }
}
