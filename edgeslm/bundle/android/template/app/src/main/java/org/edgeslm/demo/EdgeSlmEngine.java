package org.edgeslm.demo;

import java.util.List;
import java.util.Locale;
import java.util.concurrent.Executor;
import org.edgeslm.EdgeSlm;
import org.edgeslm.EdgeSlmException;
import org.edgeslm.GenerateCallback;
import org.edgeslm.GenerateOptions;
import org.edgeslm.GenerateStats;
import org.edgeslm.Generation;
import org.edgeslm.Label;

/** EdgeSlm behind the screen: what its task answers, in words. */
final class EdgeSlmEngine implements Engine {
    private static final int MOST_TOKENS = 256;
    private static final int SHOWN_NUMBERS = 8;
    private static final int SHOWN_LABELS = 10;

    private final EdgeSlm model;

    EdgeSlmEngine(EdgeSlm model) {
        this.model = model;
    }

    @Override
    public String name() {
        return model.getName();
    }

    @Override
    public boolean speaks() {
        return model.getTask().equals("generation");
    }

    @Override
    public String answer(String text) throws EdgeSlmException {
        return model.getTask().equals("classification") ? labels(model.classify(text)) : numbers(model.embed(text));
    }

    @Override
    public Answer speak(String prompt, final Listener listener, Executor callbacks) throws EdgeSlmException {
        GenerateOptions options = new GenerateOptions()
                .maxTokens(MOST_TOKENS)
                .chat(model.hasChatTemplate())
                .executor(callbacks);
        final Generation running =
                model.generate(
                        prompt,
                        options,
                        new GenerateCallback() {
                            @Override
                            public void onText(String piece) {
                                listener.text(piece);
                            }

                            @Override
                            public void onDone(GenerateStats stats) {
                                boolean cancelled = stats.getReason() == GenerateStats.Reason.CANCELLED;
                                listener.done(stats.getGeneratedTokens(), stats.getTokensPerSecond(), cancelled);
                            }

                            @Override
                            public void onError(EdgeSlmException error) {
                                listener.failed(error);
                            }
                        });
        return new Answer() {
            @Override
            public void cancel() {
                running.cancel();
            }
        };
    }

    @Override
    public void close() {
        model.close();
    }

    private static String labels(List<Label> labels) {
        StringBuilder words = new StringBuilder();
        for (Label label : labels.subList(0, Math.min(SHOWN_LABELS, labels.size()))) {
            words.append(String.format(Locale.ROOT, "%.3f  %s%n", label.getProbability(), label.getName()));
        }
        return words.toString();
    }

    private static String numbers(float[] vector) {
        StringBuilder words = new StringBuilder();
        for (int place = 0; place < Math.min(SHOWN_NUMBERS, vector.length); place++) {
            words.append(String.format(Locale.ROOT, "%.4f%n", vector[place]));
        }
        return words.append("… ").append(vector.length).toString();
    }
}
