package org.edgeslm;

import android.content.Context;
import java.io.File;
import org.edgeslm.probe.ProbedModel;

/**
 * A model as a probe measures it: with what is below the methods of {@link EdgeSlm}, on the caller's thread, so that no
 * hand-over between threads is measured with it.
 */
public final class Probing {
    private Probing() {}

    /** Opens the app's model of that id, of null the first one, from nothing every time. */
    public static ProbedModel.Opener opener(Context context, final String id) {
        Context lasting = context.getApplicationContext();
        File kept = new File(lasting.getNoBackupFilesDir(), EdgeSlm.FOLDER);
        File cache = new File(lasting.getCacheDir(), EdgeSlm.FOLDER);
        return opener(new AndroidAssets(lasting.getAssets()), id, kept, cache);
    }

    static ProbedModel.Opener opener(final Assets assets, final String id, final File kept, final File cache) {
        return new ProbedModel.Opener() {
            @Override
            public ProbedModel open(int threads) throws EdgeSlmException {
                ModelProperties model = ModelProperties.open(assets, id);
                return new Open(model, OpenModel.open(assets, model, threads, kept, cache));
            }
        };
    }

    /** An open model, whose description was read to its end before. */
    private static final class Open implements ProbedModel {
        private static final GenerateOptions GREEDY = new GenerateOptions();

        private final ModelProperties model;
        private final OpenModel opened;
        private final boolean classifies;

        Open(ModelProperties model, OpenModel opened) throws EdgeSlmException {
            this.model = model;
            this.opened = opened;
            classifies = model.text("task").equals("classification");
        }

        @Override
        public String id() {
            String folder = model.folder.substring(0, model.folder.length() - 1);
            return folder.substring(folder.lastIndexOf('/') + 1);
        }

        @Override
        public String name() {
            return model.textOrNull("name");
        }

        @Override
        public String scheme() {
            return model.textOrNull("scheme");
        }

        @Override
        public String sha256() {
            return model.textOrNull("model.sha256");
        }

        @Override
        public String runtime() {
            return "LiteRT";
        }

        @Override
        public String runtimeVersion() {
            return null; // its interface for Java has no word for it
        }

        @Override
        public int threads() {
            return opened.threads;
        }

        @Override
        public int vocabulary() {
            return opened.language == null ? 0 : opened.language.context().engine.vocabulary;
        }

        @Override
        public int[] ids(String text) throws EdgeSlmException {
            return opened.texts.ids(text, true);
        }

        @Override
        public int[] lengths() {
            return opened.encoder == null ? new int[0] : opened.encoder.lengths();
        }

        @Override
        public int context() {
            return opened.language == null ? 0 : opened.language.context().engine.context;
        }

        @Override
        public void run(int[] ids) throws EdgeSlmException {
            opened.encoder.run(ids);
        }

        @Override
        public int answer(String text) throws EdgeSlmException {
            int[] ids = opened.texts.cutIds(text, opened.longest);
            float[] output = opened.encoder.run(ids);
            if (classifies) {
                Scores.ranked(output, model.labels(), model.flag("multi_label"));
            }
            return ids.length;
        }

        @Override
        public Answer begin(final int[] prompt, final boolean reuse) throws EdgeSlmException {
            final org.edgeslm.Context context = opened.language.context();
            final Sampler sampler = new Sampler(GREEDY, prompt, context.engine.vocabulary);
            final Texts.Stream stream = opened.texts.stream();
            final long before = opened.engine.nanosInside();
            return new Answer() {
                private int token = -1;

                @Override
                public void next() throws EdgeSlmException {
                    float[] logits = token < 0 ? context.enter(prompt, reuse, null) : context.step(token);
                    token = sampler.choose(logits);
                    stream.add(token);
                }

                @Override
                public long runtimeNanoseconds() {
                    return opened.engine.nanosInside() - before;
                }
            };
        }

        @Override
        public void close() {
            opened.close();
        }
    }
}
