package org.edgeslm;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;

/** A classifier's scores to labels with probabilities, the likeliest first; of equals, the first label. */
final class Scores {
    private Scores() {}

    /** One score stays as it is (a regression); several become shares, or independent ones with {@code many}. */
    static List<Label> ranked(float[] scores, List<String> names, boolean many) throws BadModelException {
        if (scores.length != names.size()) {
            throw new BadModelException(
                    "the model gives " + scores.length + " scores, but names " + names.size() + " labels");
        }
        double[] found = scores.length == 1 ? new double[] {scores[0]} : many ? sigmoid(scores) : softmax(scores);
        List<Label> labels = new ArrayList<>();
        for (int i = 0; i < found.length; i++) {
            labels.add(new Label(names.get(i), (float) found[i]));
        }
        Collections.sort(
                labels,
                new Comparator<Label>() {
                    @Override
                    public int compare(Label one, Label other) {
                        return Float.compare(other.getProbability(), one.getProbability());
                    }
                });
        return Collections.unmodifiableList(labels);
    }

    private static double[] softmax(float[] scores) {
        float largest = scores[0];
        for (float score : scores) {
            largest = Math.max(largest, score);
        }
        double[] shares = new double[scores.length];
        double sum = 0;
        for (int i = 0; i < shares.length; i++) {
            shares[i] = Math.exp((double) scores[i] - largest);
            sum += shares[i];
        }
        for (int i = 0; i < shares.length; i++) {
            shares[i] /= sum;
        }
        return shares;
    }

    /** Through tanh, which does not overflow. */
    private static double[] sigmoid(float[] scores) {
        double[] found = new double[scores.length];
        for (int i = 0; i < found.length; i++) {
            found[i] = 0.5 * (1 + Math.tanh(0.5 * scores[i]));
        }
        return found;
    }
}
