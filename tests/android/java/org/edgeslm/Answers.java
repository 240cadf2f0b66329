package org.edgeslm;

import android.content.res.AssetManager;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;

/**
 * Answers requests on its standard input, one a line, words separated by tabs, texts escaped as java.util.Properties has
 * them. Arguments: the assets, and a folder for what a phone has in its app's folders. One line comes back for each.
 */
public final class Answers {
    private final File assets;
    private final File work;
    private EdgeSlm slm;

    private Answers(File assets, File work) {
        this.assets = assets;
        this.work = work;
    }

    public static void main(String[] arguments) throws Exception {
        Answers answers = new Answers(new File(arguments[0]), new File(arguments[1]));
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split("\t", -1);
            for (int i = 0; i < words.length; i++) {
                words[i] = unescaped(words[i]);
            }
            String answer;
            try {
                answer = answers.answer(words);
            } catch (EdgeSlmException | RuntimeException error) {
                answer = error.getClass().getSimpleName() + "\t" + error.getMessage();
            }
            out.println(escaped(answer));
        }
    }

    private String answer(String[] words) throws EdgeSlmException, InterruptedException {
        switch (words[0]) {
            case "open":
                if (slm != null) {
                    slm.close();
                }
                slm = open(words[1]);
                return slm.getName() + "\t" + slm.getTask() + "\t" + slm.getMaxTokens();
            case "greedy":
                return numbers(greedy(Integer.parseInt(words[1]), ids(words[2])));
            case "logits":
                return numbers(logits(words[1].equals("reuse"), ids(words[2])));
            case "generate":
                return generate(words);
            case "choose":
                return numbers(choose(words));
            case "random":
                return random(Long.parseLong(words[1]), Integer.parseInt(words[2]));
            case "embed":
                return numbers(slm.embed(words[1]));
            case "classify":
                return slm.classify(words[1]).toString();
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    private EdgeSlm open(String id) throws EdgeSlmException {
        return EdgeSlm.open(
                new AndroidAssets(new AssetManager(assets)),
                new OpenOptions().model(id).threads(1),
                new File(work, "kept"),
                new File(work, "cache"));
    }

    private int[] greedy(final int count, final int[] prompt) throws EdgeSlmException {
        return slm.call(
                new Callable<int[]>() {
                    @Override
                    public int[] call() throws EdgeSlmException {
                        Context context = slm.opened().language.context();
                        float[] logits = context.enter(prompt, false, null);
                        int[] found = new int[count];
                        for (int i = 0; i < count; i++) {
                            found[i] = Sampler.likeliest(logits);
                            logits = i + 1 < count ? context.step(found[i]) : null;
                        }
                        return found;
                    }
                });
    }

    private float[] logits(final boolean reuse, final int[] prompt) throws EdgeSlmException {
        return slm.call(
                new Callable<float[]>() {
                    @Override
                    public float[] call() throws EdgeSlmException {
                        return slm.opened().language.context().enter(prompt, reuse, null);
                    }
                });
    }

    /** generate, options as name=value between commas, prompt, stop texts: reason, tokens, text. */
    private String generate(String[] words) throws EdgeSlmException, InterruptedException {
        GenerateOptions options = options(words[1]);
        options.stop(Arrays.copyOfRange(words, 3, words.length));
        final StringBuilder heard = new StringBuilder();
        options.executor(
                new Executor() {
                    @Override
                    public void execute(Runnable task) {
                        task.run();
                    }
                });
        final CountDownLatch ended = new CountDownLatch(1);
        GenerateCallback callback = new GenerateCallback() {
            @Override
            public void onText(String text) {
                heard.append(text);
            }

            @Override
            public void onDone(GenerateStats stats) {
                heard.append('\u0001');
                ended.countDown();
            }

            @Override
            public void onError(EdgeSlmException error) {
                ended.countDown();
            }
        };
        Generation generation = slm.generate(words[2], options, callback);
        GenerateStats stats = generation.await();
        ended.await();
        if (!heard.toString().equals(generation.getText() + '\u0001')) {
            throw new IllegalStateException("heard " + heard + ", made " + generation.getText());
        }
        return stats.getReason() + "\t" + stats.getPromptTokens() + "\t" + stats.getGeneratedTokens() + "\t"
                + generation.getText();
    }

    private static GenerateOptions options(String words) {
        GenerateOptions options = new GenerateOptions();
        for (String word : words.isEmpty() ? new String[0] : words.split(",")) {
            String[] parts = word.split("=");
            double value = parts[1].equals("true") ? 1 : Double.parseDouble(parts[1]);
            switch (parts[0]) {
                case "max_tokens":
                    options.maxTokens((int) value);
                    break;
                case "temperature":
                    options.temperature(value);
                    break;
                case "top_k":
                    options.topK((int) value);
                    break;
                case "top_p":
                    options.topP(value);
                    break;
                case "min_p":
                    options.minP(value);
                    break;
                case "repetition_penalty":
                    options.repetitionPenalty(value);
                    break;
                case "seed":
                    options.seed(Long.parseLong(parts[1]));
                    break;
                case "chat":
                    options.chat(true);
                    break;
                case "truncate":
                    options.truncate(true);
                    break;
                case "reuse_cache":
                    options.reuseCache(true);
                    break;
                default:
                    throw new IllegalArgumentException(word);
            }
        }
        return options;
    }

    /** choose, options, how often, prompt, logits: that many choices in a row from the same logits. */
    private static int[] choose(String[] words) throws EdgeSlmException {
        String[] given = words[4].split(" ");
        Sampler sampler = new Sampler(options(words[1]), ids(words[3]), given.length);
        int[] chosen = new int[Integer.parseInt(words[2])];
        for (int i = 0; i < chosen.length; i++) {
            float[] logits = new float[given.length];
            for (int j = 0; j < given.length; j++) {
                logits[j] = Float.parseFloat(given[j]);
            }
            chosen[i] = sampler.choose(logits);
        }
        return chosen;
    }

    private static String random(long seed, int count) {
        Pcg64 random = new Pcg64(seed);
        List<String> drawn = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            drawn.add(Double.toString(random.random()));
        }
        return String.join(" ", drawn);
    }

    private static int[] ids(String text) {
        String[] words = text.isEmpty() ? new String[0] : text.split(" ");
        int[] ids = new int[words.length];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = Integer.parseInt(words[i]);
        }
        return ids;
    }

    private static String numbers(int[] numbers) {
        return Arrays.toString(numbers);
    }

    private static String numbers(float[] numbers) {
        return Arrays.toString(numbers);
    }

    private static String unescaped(String text) {
        return text.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\");
    }

    private static String escaped(String text) {
        return text.replace("\\", "\\\\").replace("\n", "\\n");
    }
}
