package org.edgeslm.tokenizer;

import java.util.Arrays;

/** Merges that wait, in order of (rank, place): a binary heap of numbers. */
final class MergeQueue {
    private long[] keys = new long[64];
    private int[] merged = new int[64];
    private int size;

    boolean isEmpty() {
        return size == 0;
    }

    void clear() {
        size = 0;
    }

    /** The place of the first one. */
    int place() {
        return (int) keys[0];
    }

    /** What the first one makes. */
    int merged() {
        return merged[0];
    }

    /** `rule` as Merges has it, of the symbol at `place` and the one behind it. */
    void add(long rule, int place) {
        if (size == keys.length) {
            keys = Arrays.copyOf(keys, 2 * size);
            merged = Arrays.copyOf(merged, 2 * size);
        }
        long key = rule & 0xFFFFFFFF00000000L | place;
        int hole = size++;
        while (hole > 0 && keys[(hole - 1) >> 1] > key) {
            int parent = (hole - 1) >> 1;
            keys[hole] = keys[parent];
            merged[hole] = merged[parent];
            hole = parent;
        }
        keys[hole] = key;
        merged[hole] = (int) rule;
    }

    void removeFirst() {
        size--;
        long key = keys[size];
        int hole = 0;
        for (int child = 1; child < size; child = 2 * hole + 1) {
            if (child + 1 < size && keys[child + 1] < keys[child]) {
                child++;
            }
            if (keys[child] >= key) {
                break;
            }
            keys[hole] = keys[child];
            merged[hole] = merged[child];
            hole = child;
        }
        keys[hole] = key;
        merged[hole] = merged[size];
    }
}
