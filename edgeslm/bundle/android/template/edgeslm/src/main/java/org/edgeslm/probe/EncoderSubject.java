package org.edgeslm.probe;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.edgeslm.EdgeSlmException;

/** One inference at each length bucket, and batches of texts. */
final class EncoderSubject implements Subject {
    private static final int WARM_UP = 3;
    private static final int[] BATCHES = {1, 8, 32};
    /** At least this long for each batch size, and at least one batch. */
    private static final double BATCH_SECONDS = 0.5;

    private final ProbedModel model;
    private final ProbeOptions options;
    private final boolean emulated;
    private final Stopwatch stopwatch;
    private final List<Integer> lengths = new ArrayList<Integer>();
    private final int[] text;

    EncoderSubject(ProbedModel model, ProbeOptions options, boolean emulated, Stopwatch stopwatch)
            throws EdgeSlmException, ProbeEndedException {
        this.model = model;
        this.options = options;
        this.emulated = emulated;
        this.stopwatch = stopwatch;
        text = model.ids(Inputs.TEXT);
        List<Integer> there = new ArrayList<Integer>();
        for (int length : model.lengths()) {
            there.add(length);
            if (options.lengths.isEmpty() || options.lengths.contains(length)) {
                lengths.add(length);
            }
        }
        for (int asked : options.lengths) {
            if (!there.contains(asked)) {
                String list = there.toString();
                throw new ProbeEndedException(
                        model.name() + " has no length of " + asked + " tokens",
                        "its lengths are " + list.substring(1, list.length() - 1));
            }
        }
    }

    @Override
    public int wanted() {
        return 64;
    }

    @Override
    public List<Integer> lengths() {
        return lengths;
    }

    @Override
    public void first(Integer reference) throws EdgeSlmException {
        model.run(Inputs.filled(text, reference));
    }

    @Override
    public void measure(EventSink sink) throws EdgeSlmException, IOException, ProbeEndedException {
        for (int tokens : lengths) {
            sink.take(length(tokens));
        }
        for (int batch : BATCHES) {
            Event told = emulated ? null : throughput(batch);
            if (told != null) {
                sink.take(told);
            }
        }
    }

    @Override
    public void measureDevice(EventSink sink) {
        // An encoder's figures are set against nothing.
    }

    private Event length(int tokens) throws EdgeSlmException, ProbeEndedException {
        final int[] ids = Inputs.filled(text, tokens);
        Stopwatch.Action run =
                new Stopwatch.Action() {
                    @Override
                    public void run() throws EdgeSlmException {
                        model.run(ids);
                    }
                };
        for (int warmUp = 0; warmUp < WARM_UP; warmUp++) {
            run.run();
        }
        int before = stopwatch.discarded();
        List<Double> samples = Collections.emptyList();
        if (!emulated) {
            samples = stopwatch.sample(run, options.runs);
        }
        return new Event("length")
                .with("tokens", tokens)
                .with("warm_up_runs", WARM_UP)
                .with("samples_ms", samples)
                .with("discarded", stopwatch.discarded() - before)
                .with("counted_runs", 0);
    }

    /** null where the clock stands still. */
    private Event throughput(final int batch) throws EdgeSlmException, ProbeEndedException {
        final List<String> texts = Inputs.texts(batch);
        final int[] tokens = {0};
        Stopwatch.Action all =
                new Stopwatch.Action() {
                    @Override
                    public void run() throws EdgeSlmException {
                        tokens[0] = 0;
                        for (String text : texts) {
                            tokens[0] += model.answer(text);
                        }
                    }
                };
        all.run();
        int done = 0;
        double seconds = 0;
        while (done == 0 || seconds < BATCH_SECONDS) {
            Double passed = stopwatch.time(all);
            if (passed == null) {
                return null;
            }
            seconds += passed / 1e3;
            done++;
        }
        return new Event("throughput")
                .with("batch", batch)
                .with("batches", done)
                .with("texts_per_s", done * batch / seconds)
                .with("tokens_per_s", (double) done * tokens[0] / seconds);
    }
}
