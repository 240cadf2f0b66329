package org.edgeslm;

import java.util.Arrays;

/** The n-th largest of many numbers, without sorting all (Hoare 1961, "Algorithm 65: Find"). */
final class Largest {
    private Largest() {}

    /**
     * The {@code place}-th largest of the first {@code count} values, from 1.
     *
     * @param values left as they are; none is NaN
     */
    static float of(float[] values, int count, int place) {
        float[] left = Arrays.copyOf(values, count);
        int low = 0;
        int high = count - 1;
        int wanted = place - 1;
        while (low < high) {
            float pivot = left[low + high >>> 1];
            int i = low;
            int j = high;
            while (i <= j) {
                while (left[i] > pivot) {
                    i++;
                }
                while (left[j] < pivot) {
                    j--;
                }
                if (i <= j) {
                    float swapped = left[i];
                    left[i++] = left[j];
                    left[j--] = swapped;
                }
            }
            if (wanted <= j) {
                high = j;
            } else if (wanted >= i) {
                low = i;
            } else {
                break;
            }
        }
        return left[wanted];
    }
}
