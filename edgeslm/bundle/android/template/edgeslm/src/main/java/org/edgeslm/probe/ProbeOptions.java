package org.edgeslm.probe;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** What a probe is asked for. */
public final class ProbeOptions {
    /** The most a request may ask for: what is larger is a slip of the hand. */
    private static final int MOST = 1000000;

    /** Timed runs for each length; steps at each depth of a language model. */
    public final int runs;
    /** Threads to compute with. */
    public final int threads;
    /** Only these lengths in tokens; all where it is empty. */
    public final List<Integer> lengths;
    /** Seconds after which the probe ends. */
    public final double timeLimit;

    /** What is asked for where nothing is said: 50 runs, 2 threads, all lengths, 600 seconds. */
    public ProbeOptions() {
        this(50, 2, Collections.<Integer>emptyList(), 600);
    }

    /** As given; nothing is checked. */
    public ProbeOptions(int runs, int threads, List<Integer> lengths, double timeLimit) {
        this.runs = runs;
        this.threads = threads;
        this.lengths = Collections.unmodifiableList(new ArrayList<Integer>(lengths));
        this.timeLimit = timeLimit;
    }

    /**
     * From words, as an intent's extras bring them: {@code runs}, {@code threads}, {@code lengths} ("16,64") and
     * {@code time_limit} in seconds. What is not there is as usual.
     *
     * @throws ProbeEndedException that names the word that makes no sense
     */
    public static ProbeOptions parse(Map<String, String> words) throws ProbeEndedException {
        ProbeOptions usual = new ProbeOptions();
        List<Integer> lengths = new ArrayList<Integer>();
        String listed = words.get("lengths");
        if (listed != null) {
            for (String one : listed.split(",", -1)) {
                lengths.add(count("lengths", one, listed));
            }
        }
        String runs = words.get("runs");
        String threads = words.get("threads");
        String seconds = words.get("time_limit");
        return new ProbeOptions(
                runs == null ? usual.runs : count("runs", runs, runs),
                threads == null ? usual.threads : count("threads", threads, threads),
                lengths,
                seconds == null ? usual.timeLimit : seconds(seconds));
    }

    /** A number as a person writes it: "600" and "0.5". */
    static String plain(double value) {
        return value == Math.rint(value) && Math.abs(value) < 1e9 ? String.valueOf((long) value) : String.valueOf(value);
    }

    private static int count(String name, String word, String whole) throws ProbeEndedException {
        int value;
        try {
            value = Integer.parseInt(word.trim());
        } catch (NumberFormatException error) {
            value = 0; // refused below
        }
        if (value < 1 || value > MOST) {
            throw refused(name, whole, "whole numbers from 1 to " + MOST);
        }
        return value;
    }

    private static double seconds(String word) throws ProbeEndedException {
        double value;
        try {
            value = Double.parseDouble(word);
        } catch (NumberFormatException error) {
            value = Double.NaN; // refused below
        }
        if (!(value > 0 && value <= MOST)) {
            throw refused("time_limit", word, "seconds, more than 0 and at most " + MOST);
        }
        return value;
    }

    private static ProbeEndedException refused(String name, String word, String wanted) {
        return new ProbeEndedException("the extra " + name + " is '" + word + "'", "it wants " + wanted);
    }
}
