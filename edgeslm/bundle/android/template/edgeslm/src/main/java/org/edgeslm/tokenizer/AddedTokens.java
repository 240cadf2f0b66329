package org.edgeslm.tokenizer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Added tokens: found in the text before the model sees it, whatever the model would make of them. */
final class AddedTokens {
    private static final int RECORD = 16;

    private final AddedToken[] tokens; // in order of id

    final AddedSearch plain;
    final AddedSearch normalized;

    /** `space` and `word` are the sets of what counts as either beside a token. */
    AddedTokens(Table table, Classes classes, int space, int word) throws TokenizerException {
        Section records = table.section("ADDT");
        Section order = table.section("ADDS");
        tokens = new AddedToken[records.records(RECORD)];
        for (int place = 0; place < tokens.length; place++) {
            tokens[place] = new AddedToken(records, table.section("TEXT"), RECORD * place);
            if (place > 0 && tokens[place - 1].id >= tokens[place].id) {
                throw TokenizerException.damaged("its added tokens are not in order");
            }
        }
        if (order.records(4) != tokens.length) {
            throw TokenizerException.damaged("its added tokens are not in order");
        }
        List<AddedToken> early = new ArrayList<>();
        List<AddedToken> late = new ArrayList<>();
        for (int place = 0; place < tokens.length; place++) {
            int number = order.number(place, 4);
            if (number < 0 || number >= tokens.length) {
                throw TokenizerException.damaged("its added tokens are not in order");
            }
            (tokens[number].normalized ? late : early).add(tokens[number]);
        }
        plain = new AddedSearch(early, classes, space, word);
        normalized = new AddedSearch(late, classes, space, word);
    }

    /** The added token of an id, null where it is none. */
    AddedToken get(int id) {
        int low = 0;
        int high = tokens.length;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (tokens[middle].id < id) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low < tokens.length && tokens[low].id == id ? tokens[low] : null;
    }

    /** The first one that decoders get as this, null where there is none. */
    AddedToken shownAs(byte[] text) throws TokenizerException {
        for (AddedToken token : tokens) {
            if (Arrays.equals(token.shown(), text)) {
                return token;
            }
        }
        return null;
    }
}
