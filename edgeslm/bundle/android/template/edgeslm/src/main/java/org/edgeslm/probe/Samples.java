package org.edgeslm.probe;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Figures of several readings. */
final class Samples {
    private Samples() {}

    /** The middle one, or the mean of the two in the middle; null where there are none. */
    static Double median(List<Double> values) {
        if (values.isEmpty()) {
            return null;
        }
        List<Double> sorted = new ArrayList<Double>(values);
        Collections.sort(sorted);
        int middle = sorted.size() / 2;
        return sorted.size() % 2 == 1 ? sorted.get(middle) : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
    }

    /** Their mean; null where there are none. */
    static Double mean(List<Double> values) {
        double sum = 0;
        for (double value : values) {
            sum += value;
        }
        return values.isEmpty() ? null : sum / values.size();
    }
}
