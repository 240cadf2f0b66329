package org.edgeslm.probe;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A probe's events in a few lines for a person. */
public final class Summary {
    private Summary() {}

    /** One line, or null for what only a program needs. */
    public static String line(Event event) {
        List<Double> samples = samples(event);
        switch (event.section()) {
            case "start":
                return Boolean.TRUE.equals(event.get("emulated")) ? "emulated: its times are not shown" : null;
            case "device":
                Object shown = event.get("board") == null ? event.get("machine") : event.get("board");
                return "device: " + shown + ", " + event.get("cores") + " cores";
            case "load":
                Object loading = event.get("load_ms");
                return loading == null ? null : words("load: %.1f ms", loading);
            case "length":
                return samples.isEmpty() ? null : event.get("tokens") + words(" tokens: %.2f ms", Samples.median(samples));
            case "throughput":
                Object texts = event.get("texts_per_s");
                return texts == null ? null : "batches of " + event.get("batch") + words(": %.1f texts a second", texts);
            case "prompt":
                String first = words(": first token after %.1f ms", Samples.median(samples));
                return samples.isEmpty() ? null : "prompt of " + event.get("tokens") + " tokens" + first;
            case "decode":
                String speed = words(": %.1f tokens a second", samples.isEmpty() ? null : 1e3 / Samples.mean(samples));
                return samples.isEmpty() ? null : "at " + event.get("depth") + " tokens" + speed;
            case "memory":
                Object peak = event.get("peak_rss");
                return peak == null ? null : words("memory: %.0f MiB at most", (Long) peak / 1048576.0);
            case "after":
                boolean slowed = Boolean.TRUE.equals(event.get("throttled"));
                return slowed ? "the phone slowed itself down: cool it and probe again" : null;
            case "error":
                return "error: " + event.get("message");
            default:
                return null;
        }
    }

    private static List<Double> samples(Event event) {
        List<Double> samples = new ArrayList<Double>();
        if (event.get("samples_ms") instanceof Iterable) {
            for (Object sample : (Iterable<?>) event.get("samples_ms")) {
                samples.add((Double) sample);
            }
        }
        return samples;
    }

    private static String words(String format, Object value) {
        return value == null ? "" : String.format(Locale.ROOT, format, value);
    }
}
