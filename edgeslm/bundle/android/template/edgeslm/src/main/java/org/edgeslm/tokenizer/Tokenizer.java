package org.edgeslm.tokenizer;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * Text to token ids and back, by the binary table that a build makes of a tokenizer.json. The table has all that is
 * needed, Unicode's data included: what this phone's Android knows of Unicode plays no part, and the ids are those of
 * Hugging Face's tokenizers on every phone.
 *
 * <p>For one thread at a time. The table is read where it lies; the buffer must not change.
 */
public final class Tokenizer {
    private static final int MODEL_BYTES = 40;
    private static final int BYTE_LEVEL = 8;

    private final Vocabulary vocabulary;
    private final Model model;
    private final AddedTokens added;
    private final TextSteps normalizer;
    private final TextSteps preTokenizer;
    private final Decoder decoder;
    private final int[] before;
    private final int[] after;

    private Tokenizer(Table table) throws TokenizerException {
        Section record = table.section("MODL");
        if (record.bytes != MODEL_BYTES) {
            throw TokenizerException.damaged("section MODL is not whole");
        }
        int flags = record.u8(1);
        int width = record.u8(2);
        int unknown = record.i32(8);
        vocabulary = new Vocabulary(table, record.i32(4), width);
        switch (record.u8(0)) {
            case 1:
                model = new BytePairs(table, vocabulary, width, flags, unknown);
                break;
            case 2:
                byte[] prefix = table.section("TEXT").text(record.i32(16));
                model = new WordPieces(vocabulary, unknown, prefix, record.i32(12) & 0xFFFFFFFFL);
                break;
            case 3:
                model = new Unigrams(table, vocabulary, record.u8(3), flags, unknown, record.f64(32));
                break;
            default:
                throw TokenizerException.damaged("a model of kind " + record.u8(0));
        }
        Classes classes = new Classes(table);
        added = new AddedTokens(table, classes, record.i32(20), record.i32(24));
        normalizer = new TextSteps(table, "NORM", classes);
        preTokenizer = new TextSteps(table, "PRET", classes);
        decoder = new Decoder(table, (flags & BYTE_LEVEL) != 0);
        Section around = table.section("POST");
        int count = around.records(4) - 1;
        int first = around.number(0, 4);
        if (first < 0 || first > count) {
            throw TokenizerException.damaged("it puts more ids before a text than it has");
        }
        before = ids(around, 1, first);
        after = ids(around, 1 + first, count - first);
    }

    /**
     * The tokenizer of a table: the bytes from the buffer's position to its limit, best a mapped file.
     *
     * @throws TokenizerException for bytes that are no table, that were changed or cut, or of a newer version
     */
    public static Tokenizer open(ByteBuffer table) throws TokenizerException {
        return new Tokenizer(new Table(table));
    }

    /** The text's ids, with those that the tokenizer puts around every text. Never cut short. */
    public int[] encode(String text) throws TokenizerException {
        return encode(text, true);
    }

    /**
     * The text's ids; with `special`, those that the tokenizer puts around every text come too.
     *
     * @throws NotUnicodeException for a text with half a surrogate pair
     * @throws TokenizerException where the table turns out to be damaged
     */
    public int[] encode(String text, boolean special) throws TokenizerException {
        return encode(text, special, Integer.MAX_VALUE);
    }

    /**
     * As above, but at most `most` ids: the text's last ones go, those around it stay (`most` may leave room for no
     * more than these). That is how Hugging Face's tokenizers cut a text.
     */
    public int[] encode(String text, boolean special, int most) throws TokenizerException {
        int[] characters = characters(text);
        Numbers ids = new Numbers(characters.length / 2);
        if (special) {
            addAll(before, ids);
        }
        encode(characters, ids);
        int behind = special ? after.length : 0;
        int room = Math.max(special ? before.length : 0, most - behind);
        ids.size = Math.min(ids.size, room);
        if (special) {
            addAll(after, ids);
        }
        return ids.copy();
    }

    /** The text of these ids; special tokens and ids without a token give nothing. */
    public String decode(int[] ids) throws TokenizerException {
        return decode(ids, true);
    }

    /**
     * The text of these ids; ids without a token give nothing, and with `skipSpecial` special tokens do not either.
     *
     * @throws TokenizerException where the table turns out to be damaged
     */
    public String decode(int[] ids, boolean skipSpecial) throws TokenizerException {
        return decode(ids, ids.length, skipSpecial);
    }

    /** Whether it is a special token, which `decode` leaves out. */
    public boolean isSpecial(int id) {
        AddedToken token = added.get(id);
        return token != null && token.special;
    }

    /** Text from tokens as they come. */
    public TextStream stream() throws TokenizerException {
        return new TextStream(this);
    }

    String decode(int[] ids, int count, boolean skipSpecial) throws TokenizerException {
        List<byte[]> tokens = new ArrayList<>(count);
        for (int place = 0; place < count; place++) {
            byte[] token = skipSpecial && isSpecial(ids[place]) ? new byte[0] : shown(ids[place]);
            if (token.length > 0) {
                tokens.add(token);
            }
        }
        return decoder.text(tokens);
    }

    /** What the decoder gets for an id: nothing where there is no token. */
    byte[] shown(int id) throws TokenizerException {
        AddedToken token = added.get(id);
        if (token != null) {
            return token.shown();
        }
        return id >= 0 && id < vocabulary.count ? vocabulary.token(id) : new byte[0];
    }

    /** The id of the token that stands for a byte the vocabulary has no text for, NONE where there is none. */
    int byteId(int value) throws TokenizerException {
        byte[] token = ByteTokens.token(value);
        int found = vocabulary.find(token);
        AddedToken other = found == Section.NONE ? added.shownAs(token) : null;
        return other == null ? found : other.id;
    }

    boolean readsBytes() {
        return decoder.readsBytes();
    }

    private void encode(int[] characters, Numbers ids) throws TokenizerException {
        AddedSearch plain = added.plain;
        AddedSearch late = added.normalized;
        plain.begin(characters, 0, characters.length);
        while (plain.next()) {
            if (plain.id != Section.NONE) {
                ids.add(plain.id);
                continue;
            }
            Pieces normal = normalizer.run(characters, plain.start, plain.end, plain.start == 0);
            for (int piece = 0; piece < normal.count; piece++) {
                late.begin(normal.text, normal.start(piece), normal.end(piece));
                while (late.next()) {
                    if (late.id != Section.NONE) {
                        ids.add(late.id);
                        continue;
                    }
                    boolean first = normal.isFirst(piece) && late.start == normal.start(piece);
                    Pieces words = preTokenizer.run(normal.text, late.start, late.end, first);
                    for (int word = 0; word < words.count; word++) {
                        model.encode(words.text, words.start(word), words.end(word), ids);
                    }
                }
            }
        }
    }

    private int[] ids(Section around, int start, int count) throws TokenizerException {
        int[] made = new int[count];
        for (int place = 0; place < count; place++) {
            made[place] = around.number(start + place, 4);
        }
        return made;
    }

    private static void addAll(int[] from, Numbers ids) {
        for (int id : from) {
            ids.add(id);
        }
    }

    private static int[] characters(String text) throws NotUnicodeException {
        Numbers made = new Numbers(text.length());
        for (int place = 0; place < text.length(); place++) {
            int unit = text.charAt(place);
            if ((unit & 0xF800) == 0xD800) {
                int next = place + 1 < text.length() ? text.charAt(place + 1) : 0;
                if ((unit & 0xFC00) != 0xD800 || (next & 0xFC00) != 0xDC00) {
                    throw new NotUnicodeException(place);
                }
                unit = 0x10000 + ((unit & 0x3FF) << 10) + (next & 0x3FF);
                place++;
            }
            made.add(unit);
        }
        return made.copy();
    }
}
