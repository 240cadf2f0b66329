package org.edgeslm;

import java.io.File;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executor;

/**
 * A model in an app: {@code EdgeSlm.open(context)}, then the method of its task, then {@link #close()}.
 *
 * <p>It may be used from every thread. What it computes it computes on one thread of its own, one request after the
 * other; {@link #generate} comes back at once, {@link #open}, {@link #embed} and {@link #classify} block and raise
 * IllegalStateException on the app's main thread. It keeps no Context.
 */
public final class EdgeSlm implements AutoCloseable {
    static final String FOLDER = "edgeslm"; // of the app's own folders
    private static final String EMBEDDING = "embedding";
    private static final String CLASSIFICATION = "classification";
    private static final String GENERATION = "generation";

    private final ModelProperties model;
    private final String name;
    private final String task;
    private final List<String> labels;
    private final int maxTokens;
    private final OpenModel opened;
    private final Worker worker;
    private final Executor mainThread = new MainThread();

    private EdgeSlm(ModelProperties model, OpenModel opened) throws EdgeSlmException {
        this.model = model;
        this.opened = opened;
        name = model.text("name");
        task = model.text("task");
        labels = model.labels();
        maxTokens = task.equals(GENERATION) ? opened.language.context().engine.context : opened.longest;
        worker = new Worker(opened);
    }

    /**
     * Open the app's model: the first one of the library, on two threads.
     *
     * @throws AssetMissingException where the app has no such model
     * @throws AssetTamperedException where its bytes are others than those that were built
     * @throws BadModelException where its description is incomplete, or newer than this library
     * @throws RuntimeFailedException where LiteRT refuses it
     */
    public static EdgeSlm open(android.content.Context context) throws EdgeSlmException {
        return open(context, new OpenOptions());
    }

    /** Open the model of that id: see {@link OpenOptions#model}. */
    public static EdgeSlm open(android.content.Context context, String model) throws EdgeSlmException {
        return open(context, new OpenOptions().model(model));
    }

    /** Open a model as the options say. */
    public static EdgeSlm open(android.content.Context context, OpenOptions options) throws EdgeSlmException {
        MainThread.refuse("EdgeSlm.open()");
        File kept = new File(context.getNoBackupFilesDir(), FOLDER);
        File cache = new File(context.getCacheDir(), FOLDER);
        return open(new AndroidAssets(context.getAssets()), options, kept, cache);
    }

    /** {@code kept}: the folder for the model's file; {@code cache}: one that the system may empty. */
    static EdgeSlm open(Assets assets, OpenOptions options, File kept, File cache) throws EdgeSlmException {
        ModelProperties model = ModelProperties.open(assets, options.model);
        OpenModel opened = OpenModel.open(assets, model, options.threads, kept, cache);
        try {
            return new EdgeSlm(model, opened);
        } catch (EdgeSlmException failed) {
            opened.close();
            throw failed;
        }
    }

    public String getName() {
        return name;
    }

    /** "embedding", "classification" or "generation": which method this model has. */
    public String getTask() {
        return task;
    }

    /** A classifier's labels, in the model's order; otherwise none. */
    public List<String> getLabels() {
        return labels;
    }

    /** Whether {@link GenerateOptions#chat} can be asked for. */
    public boolean hasChatTemplate() {
        return model.has("chat.before");
    }

    /** Tokens that a text may have; of a language model, prompt and answer together. */
    public int getMaxTokens() {
        return maxTokens;
    }

    /**
     * Tokens that a text has for this model, special ones included. A text for embed or classify with more than {@link
     * #getMaxTokens} is cut there.
     *
     * @throws BadTextException for half a surrogate pair
     */
    public int countTokens(String text) throws EdgeSlmException {
        return opened.texts.ids(text, true).length;
    }

    /**
     * The text's embedding. What lies behind the model's longest text is not read.
     *
     * @throws WrongTaskException where the model does something else
     */
    public float[] embed(String text) throws EdgeSlmException {
        require(EMBEDDING);
        return encoded(text, "embed()");
    }

    /**
     * All labels with their probabilities, the likeliest first. What lies behind the model's longest text is not read.
     *
     * @throws WrongTaskException where the model does something else
     */
    public List<Label> classify(String text) throws EdgeSlmException {
        require(CLASSIFICATION);
        return Scores.ranked(encoded(text, "classify()"), labels, model.flag("multi_label"));
    }

    /**
     * Answer a prompt. Comes back at once; the callback hears the text as it is made, and then how it ended. One answer
     * is computed at a time, the others wait.
     *
     * @return the answer under way, to cancel it, or to hear it elsewhere
     * @throws WrongTaskException where the model does something else
     * @throws ClosedException after {@link #close()}. All else that can go wrong is for onError.
     */
    public Generation generate(final String prompt, GenerateOptions options, GenerateCallback callback)
            throws EdgeSlmException {
        require(GENERATION);
        final GenerateOptions chosen = options.copy();
        Executor executor = chosen.executor == null ? mainThread : chosen.executor;
        final Generation generation = new Generation(executor, callback);
        worker.generate(
                generation,
                new Worker.Task() {
                    @Override
                    public void run() throws EdgeSlmException {
                        opened.language.answer(prompt, chosen, generation);
                    }
                });
        return generation;
    }

    /**
     * Free the model's memory. Comes back at once: a token that is computed now is finished first. Answers under way or
     * waiting end with a ClosedException.
     */
    @Override
    public void close() {
        worker.close();
    }

    /** For measuring: what is below the methods. To be used in {@link #call}. */
    OpenModel opened() {
        return opened;
    }

    ModelProperties model() {
        return model;
    }

    /** Carry out {@code task} on this object's thread, and wait for it. */
    <T> T call(Callable<T> task) throws EdgeSlmException {
        return worker.call(task);
    }

    private float[] encoded(final String text, String method) throws EdgeSlmException {
        MainThread.refuse(method);
        return call(
                new Callable<float[]>() {
                    @Override
                    public float[] call() throws EdgeSlmException {
                        return opened.encoder.run(opened.texts.cutIds(text, opened.longest));
                    }
                });
    }

    private void require(String wanted) throws EdgeSlmException {
        if (!task.equals(wanted)) {
            throw new WrongTaskException(name, task, wanted);
        }
    }
}
