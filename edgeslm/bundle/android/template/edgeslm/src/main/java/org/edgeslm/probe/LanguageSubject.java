package org.edgeslm.probe;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.edgeslm.EdgeSlmException;

/**
 * Prompts of several lengths, and steps at several depths; the same of both where lengths were asked for.
 *
 * <p>A step is the runtime's, choosing the likeliest token, and making text of it. A depth is how many tokens prompt and
 * answer have when the last of its steps is done.
 */
final class LanguageSubject implements Subject {
    private static final int[] PROMPTS = {16, 128, 512};
    private static final int[] DEPTHS = {16, 128, 256, 512, 1024, 2048, 4096, 8192};
    private static final int LEAST_DEPTH = 4;
    /** A prompt takes as long as many steps: one for so many steps that were asked for. */
    private static final int PROMPT_SHARE = 10;

    private static final int LEAST_PROMPTS = 3;
    /** Tokens of an answer, at most: its steps lie close before the depth that is measured, and it begins again. */
    private static final int SPAN = 24;
    /** Steps of each answer that are not measured: the text's window fills. */
    private static final int WARM_UP = 8;

    private final ProbedModel model;
    private final ProbeOptions options;
    private final boolean emulated;
    private final Stopwatch stopwatch;
    private final List<Integer> prompts;
    private final List<Integer> depths;
    /** One answer's running state, which an inner class may not hold in a local variable. */
    private ProbedModel.Answer running;

    LanguageSubject(ProbedModel model, ProbeOptions options, boolean emulated, Stopwatch stopwatch)
            throws ProbeEndedException {
        this.model = model;
        this.options = options;
        this.emulated = emulated;
        this.stopwatch = stopwatch;
        int room = model.context();
        for (int asked : options.lengths) {
            if (asked > room) {
                throw new ProbeEndedException(
                        model.name() + " has no length of " + asked + " tokens",
                        "prompt and answer together have room for " + room);
            }
        }
        prompts = within(PROMPTS, 1, room - 1);
        depths = within(DEPTHS, LEAST_DEPTH, room);
        if (prompts.isEmpty() && options.lengths.isEmpty()) {
            prompts.add(Math.max(1, room / 2));
        }
    }

    @Override
    public int wanted() {
        return 128;
    }

    @Override
    public List<Integer> lengths() {
        return depths.isEmpty() ? prompts : depths;
    }

    @Override
    public void first(Integer reference) throws EdgeSlmException {
        Integer nearest = Probe.nearest(prompts, reference == null ? 1 : reference);
        begin(nearest == null ? 1 : nearest, false).next();
    }

    @Override
    public void measure(EventSink sink) throws EdgeSlmException, IOException, ProbeEndedException {
        for (int tokens : prompts) {
            sink.take(prompt(tokens));
        }
        for (int depth : depths) {
            sink.take(decode(depth));
        }
    }

    @Override
    public void measureDevice(EventSink sink) throws IOException {
        if (!emulated) {
            String why = "a sum in Java tells how fast Java adds, not how fast memory is read; --via adb without the app does";
            sink.take(new Event("bandwidth").with("read_mib_s", null).with("why_not", why));
        }
    }

    private Event prompt(final int tokens) throws EdgeSlmException, ProbeEndedException {
        int before = stopwatch.discarded();
        List<Double> samples = Collections.emptyList();
        final List<Double> prefills = new ArrayList<Double>();
        if (!emulated) {
            Stopwatch.Action firstToken =
                    new Stopwatch.Action() {
                        @Override
                        public void run() throws EdgeSlmException {
                            ProbedModel.Answer answer = begin(tokens, false);
                            answer.next();
                            prefills.add(answer.runtimeNanoseconds() / 1e6);
                        }
                    };
            firstToken.run();
            prefills.clear();
            samples = stopwatch.sample(firstToken, Math.max(LEAST_PROMPTS, options.runs / PROMPT_SHARE));
        }
        Double prefill = Samples.median(prefills);
        return new Event("prompt")
                .with("tokens", tokens)
                .with("warm_up_runs", emulated ? 0 : 1)
                .with("samples_ms", samples)
                .with("discarded", stopwatch.discarded() - before)
                .with("prefill_ms", prefill != null && prefill > 0 ? prefill : null)
                .with("counted_runs", 0)
                .with("why_not", null);
    }

    private Event decode(int depth) throws EdgeSlmException, ProbeEndedException {
        int prompt = Math.max(depth / 2, depth - SPAN);
        int steps = depth - prompt - 1; // the last token's logits are never asked for: the context may end there
        int warmUp = Math.min(WARM_UP, steps / 2);
        int before = stopwatch.discarded();
        List<Double> samples = new ArrayList<Double>();
        List<Double> outside = new ArrayList<Double>();
        Stopwatch.Action step =
                new Stopwatch.Action() {
                    @Override
                    public void run() throws EdgeSlmException {
                        running.next();
                    }
                };
        int taken = 0;
        while (!emulated && taken < options.runs) {
            running = begin(prompt, true);
            for (int entered = 0; entered < 1 + warmUp; entered++) {
                running.next();
            }
            for (int measured = warmUp; measured < steps && taken < options.runs; measured++, taken++) {
                long inside = running.runtimeNanoseconds();
                Double passed = stopwatch.time(step);
                if (passed != null) {
                    samples.add(passed);
                    outside.add(passed - (running.runtimeNanoseconds() - inside) / 1e6);
                }
            }
        }
        running = null;
        Double middle = Samples.median(outside);
        return new Event("decode")
                .with("depth", depth)
                .with("warm_up_steps", warmUp)
                .with("samples_ms", samples)
                .with("discarded", stopwatch.discarded() - before)
                .with("outside_ms", middle != null && middle > 0 ? middle : null)
                .with("counted_runs", 0)
                .with("counted_steps", steps - warmUp)
                .with("why_not", null);
    }

    private ProbedModel.Answer begin(int tokens, boolean reuse) throws EdgeSlmException {
        return model.begin(Inputs.ids(tokens, model.vocabulary()), reuse);
    }

    private List<Integer> within(int[] usual, int least, int most) {
        List<Integer> found = new ArrayList<Integer>();
        List<Integer> asked = new ArrayList<Integer>(options.lengths);
        if (asked.isEmpty()) {
            for (int one : usual) {
                asked.add(one);
            }
        }
        for (int one : asked) {
            if (one >= least && one <= most) {
                found.add(one);
            }
        }
        return found;
    }
}
