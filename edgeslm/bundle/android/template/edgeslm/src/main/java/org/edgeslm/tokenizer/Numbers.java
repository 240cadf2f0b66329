package org.edgeslm.tokenizer;

import java.util.Arrays;

/** A list of ints that grows: ids, or the code points of a text. */
final class Numbers {
    int[] all;
    int size;

    Numbers(int room) {
        all = new int[Math.max(16, room)];
    }

    void add(int number) {
        if (size == all.length) {
            all = Arrays.copyOf(all, 2 * size);
        }
        all[size++] = number;
    }

    void clear() {
        size = 0;
    }

    int[] copy() {
        return Arrays.copyOf(all, size);
    }
}
