package org.edgeslm.tokenizer;

/** The steps of NORM, the normalizer's, or of PRET, the pre-tokenizer's: one after the other, over every piece. */
final class TextSteps {
    private static final int MAP = 1;
    private static final int REORDER = 2;
    private static final int COMPOSE = 3;
    private static final int CHARSMAP = 4;
    private static final int STRIP = 5;
    private static final int SUBSTITUTE = 6;
    private static final int PREFIX = 7;
    private static final int SPLIT = 8;
    private static final int RECORD = 16;
    /** So that what a table asks for in memory stays bounded. A tokenizer has ten steps. */
    static final int MOST = 256;

    private final TextStep[] steps;
    private final Pieces pieces = new Pieces();

    TextSteps(Table table, String tag, Classes classes) throws TokenizerException {
        Section section = table.section(tag);
        int count = section.records(RECORD);
        if (count > MOST) {
            throw TokenizerException.damaged("more steps than a tokenizer has");
        }
        steps = new TextStep[count];
        for (int place = 0; place < count; place++) {
            steps[place] = read(table, section, RECORD * place, classes);
        }
    }

    /** The pieces that become of a text; they are good until the next call. */
    Pieces run(int[] text, int start, int end, boolean first) throws TokenizerException {
        pieces.begin(text, start, end, first);
        for (TextStep step : steps) {
            step.run(pieces);
        }
        return pieces;
    }

    private static TextStep read(Table table, Section section, int at, Classes classes) throws TokenizerException {
        int kind = section.u8(at);
        int a = section.u8(at + 1);
        boolean b = section.u16(at + 2) != 0;
        int x = section.i32(at + 4);
        int y = section.i32(at + 8);
        Section texts = table.section("TEXT");
        switch (kind) {
            case MAP:
                return new CharacterMap(table, x, y);
            case REORDER:
                return new Reorder(new Marks(table));
            case COMPOSE:
                return new Compose(table, new Marks(table));
            case CHARSMAP:
                return new Charsmap(table, classes);
            case STRIP:
                return new Strip(classes, x, a != 0, b);
            case SUBSTITUTE:
                Pattern substituted = new Pattern(table.section("PROG"), x, y);
                return new Substitute(classes, substituted, Utf8.characters(texts.text(section.i32(at + 12))));
            case PREFIX:
                return new Prefix(Utf8.characters(texts.text(x)), a != 0, b);
            case SPLIT:
                return new Split(classes, new Pattern(table.section("PROG"), x, y), a, b);
            default:
                throw TokenizerException.damaged("a step of kind " + kind);
        }
    }
}
