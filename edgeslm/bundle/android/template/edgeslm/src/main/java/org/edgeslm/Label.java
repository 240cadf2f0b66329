package org.edgeslm;

/** One of a classifier's answers. */
public final class Label {
    private final String name;
    private final float probability;

    Label(String name, float probability) {
        this.name = name;
        this.probability = probability;
    }

    public String getName() {
        return name;
    }

    /**
     * From 0 to 1; all labels' together are 1, unless the model gives several labels to a text. A model with a single
     * label (a regression) gives its plain number.
     */
    public float getProbability() {
        return probability;
    }

    @Override
    public String toString() {
        return name + " " + probability;
    }
}
