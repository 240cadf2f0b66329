package org.edgeslm.probe;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** What the model is run on: the same ids and words on every device, so that reports can be compared. */
final class Inputs {
    /** java.util.Random's numbers are part of Java's specification. */
    private static final long SEED = 0;

    static final String TEXT =
            "The small blue house by the river was sold last week to a family that had come from far away and wanted "
                    + "nothing more than a garden for the children and a quiet room with a view of the water";

    private Inputs() {}

    /** Ids from the middle of the table on. A shorter list is the beginning of a longer one. */
    static int[] ids(int tokens, int vocabulary) {
        Random random = new Random(SEED);
        int least = vocabulary / 4;
        int[] ids = new int[tokens];
        for (int place = 0; place < tokens; place++) {
            ids[place] = least + random.nextInt(Math.max(1, vocabulary - least));
        }
        return ids;
    }

    /** Exactly so many tokens: those of a text, again and again. */
    static int[] filled(int[] text, int tokens) {
        int[] ids = new int[tokens];
        for (int place = 0; place < tokens; place++) {
            ids[place] = text[place % text.length];
        }
        return ids;
    }

    /** Texts of about 6 to 30 words, as a user would send them. */
    static List<String> texts(int count) {
        Random random = new Random(SEED);
        String[] words = TEXT.split(" ");
        List<String> texts = new ArrayList<String>(count);
        for (int number = 0; number < count; number++) {
            StringBuilder text = new StringBuilder();
            for (int word = 0; word < 6 + number * 7 % 25; word++) {
                text.append(word == 0 ? "" : " ").append(words[random.nextInt(words.length)]);
            }
            texts.add(text.toString());
        }
        return texts;
    }
}
