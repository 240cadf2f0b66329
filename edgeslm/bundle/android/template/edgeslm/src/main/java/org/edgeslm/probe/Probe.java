package org.edgeslm.probe;

import java.io.File;
import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.edgeslm.EdgeSlmException;

/**
 * The story of a probe: what is measured, in which order. Each section is one event, told as soon as it is known, so that
 * what was measured is kept whatever comes next.
 *
 * <p>The sections are those of edgeslm's device package; {@code edgeslm probe} makes the same report of them. Nothing is
 * sent anywhere. What ends a probe early is its last event, {@code error}.
 */
public final class Probe {
    private static final int PROTOCOL = 1;

    private final ProbedModel.Opener opener;
    private final Platform platform;
    private final ProbeOptions options;
    private final Limit limit;
    private final Machine machine;
    private final Stopwatch.Clock clock;

    /** A probe of the model that {@code opener} opens. {@code limit} ends it; it may have begun before. */
    public Probe(ProbedModel.Opener opener, Platform platform, ProbeOptions options, Limit limit) {
        this(opener, platform, options, limit, new File("/"), Stopwatch.MONOTONIC);
    }

    Probe(
            ProbedModel.Opener opener,
            Platform platform,
            ProbeOptions options,
            Limit limit,
            File root,
            Stopwatch.Clock clock) {
        this.opener = opener;
        this.platform = platform;
        this.options = options;
        this.limit = limit;
        this.machine = new Machine(new LinuxFiles(root), platform);
        this.clock = clock;
    }

    /**
     * Measures, on this thread; the last event is {@code end} or {@code error}. Returns whether it came to its end.
     *
     * @throws IOException where {@code sink} does not take an event
     */
    public boolean run(EventSink sink) throws IOException {
        try {
            measure(sink);
            return true;
        } catch (ProbeEndedException ended) {
            sink.take(error(ended.getMessage(), ended.hint()));
        } catch (EdgeSlmException failed) {
            sink.take(error(failed.getMessage(), failed.getHint()));
        } catch (RuntimeException failed) {
            sink.take(error(failed.toString(), null)); // a mistake of ours: its name says more than its message
        } catch (OutOfMemoryError failed) {
            sink.take(error("Java's memory is not enough for this model", null));
        }
        return false;
    }

    /** The event that ends a probe early; {@code hint} is what to do next, or null. */
    public static Event error(String message, String hint) {
        return new Event("error").with("message", message).with("hint", hint);
    }

    /** Of {@code lengths} the one nearest to {@code wanted}, the shorter one of two; null where there are none. */
    static Integer nearest(List<Integer> lengths, int wanted) {
        Integer found = null;
        for (Integer length : lengths) {
            int better = found == null ? -1 : Math.abs(length - wanted) - Math.abs(found - wanted);
            if (better < 0 || better == 0 && length < found) {
                found = length;
            }
        }
        return found;
    }

    private void measure(EventSink sink) throws EdgeSlmException, IOException, ProbeEndedException {
        boolean emulated = platform.isEmulated();
        long wall = System.currentTimeMillis();
        long monotonic = System.nanoTime();
        sink.take(
                new Event("start")
                        .with("protocol", PROTOCOL)
                        .with("python", null)
                        .with("emulated", emulated)
                        .with("runs", options.runs)
                        .with("threads", options.threads));
        Map<String, Object> condition = machine.condition();
        Boolean throttledBefore = platform.isThrottled();
        sink.take(new Event("device").with(machine.describe()).with("condition", condition));

        Stopwatch stopwatch = new Stopwatch(clock, limit);
        Opened opened = new Opened(stopwatch, emulated);
        try {
            load(sink, opened);
            opened.subject.measure(sink);
            sink.take(new Event("memory").with(machine.memory()));
            opened.subject.measureDevice(sink);
        } finally {
            opened.close();
        }
        String why = emulated
                ? "an emulator takes its host's energy, not a device's"
                : "the app does not read the battery: on a cable it is charged while the model runs";
        sink.take(new Event("energy").with("measured", false).with("why_not", why));

        Integer reference = opened.reference;
        Double reload = opened.timeOpening();
        opened.close();
        sink.take(
                new Event("after")
                        .with("condition", machine.condition())
                        .with("throttled", throttled(throttledBefore, platform.isThrottled()))
                        .with("reload_ms", emulated ? null : reload)
                        .with("clock_backwards", stopwatch.discarded()));
        sink.take(
                new Event("profile")
                        .with("tokens", reference)
                        .with("signature", null)
                        .with("runs", 0)
                        .with("operators", Collections.emptyList())
                        .with("why_not", "LiteRT's interface for Java tells of no operator"));
        double stepped = (System.currentTimeMillis() - wall) / 1e3 - (System.nanoTime() - monotonic) / 1e9;
        sink.take(new Event("end").with("wall_clock_stepped_s", Math.rint(stepped * 1e3) / 1e3));
    }

    private void load(EventSink sink, final Opened opened) throws EdgeSlmException, IOException, ProbeEndedException {
        Double loading = opened.timeOpening();
        final ProbedModel model = opened.model;
        opened.subject = model.context() > 0
                ? new LanguageSubject(model, options, opened.emulated, opened.stopwatch)
                : new EncoderSubject(model, options, opened.emulated, opened.stopwatch);
        opened.reference = nearest(opened.subject.lengths(), opened.subject.wanted());
        Double firstRun =
                opened.stopwatch.time(
                        new Stopwatch.Action() {
                            @Override
                            public void run() throws EdgeSlmException {
                                opened.subject.first(opened.reference);
                            }
                        });
        sink.take(
                new Event("load")
                        .with("runtime", model.runtime())
                        .with("runtime_version", model.runtimeVersion())
                        .with("reference_tokens", opened.reference)
                        .with("load_ms", opened.emulated ? null : loading)
                        .with("first_run_ms", opened.emulated ? null : firstRun)
                        .with("model", model.id())
                        .with("name", model.name())
                        .with("scheme", model.scheme())
                        .with("model_sha256", model.sha256())
                        .with("threads", model.threads()));
    }

    private static Boolean throttled(Boolean before, Boolean after) {
        if (before == null && after == null) {
            return null;
        }
        return Boolean.TRUE.equals(before) || Boolean.TRUE.equals(after);
    }

    /** The model that is open now, and what is measured of it. */
    private final class Opened {
        final Stopwatch stopwatch;
        final boolean emulated;
        ProbedModel model;
        Subject subject;
        Integer reference;

        Opened(Stopwatch stopwatch, boolean emulated) {
            this.stopwatch = stopwatch;
            this.emulated = emulated;
        }

        Double timeOpening() throws EdgeSlmException, ProbeEndedException {
            return stopwatch.time(
                    new Stopwatch.Action() {
                        @Override
                        public void run() throws EdgeSlmException {
                            model = opener.open(options.threads);
                        }
                    });
        }

        void close() {
            if (model != null) {
                model.close();
                model = null;
            }
        }
    }
}
