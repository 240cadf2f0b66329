package org.edgeslm;

import com.google.ai.edge.litert.LiteRtException;
import com.google.ai.edge.litert.TensorBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A language model's graphs over one cache: signatures for steps and for chunks of a prompt. Used by one thread at a
 * time. Chunks and signatures are chosen as the device package in Python chooses them (litert_language.py), only that
 * no chunk crosses the border of a segment.
 */
final class LanguageEngine {
    /** Asked between the parts of a prompt whether to go on. */
    interface Interrupt {
        boolean isWanted();
    }

    /** Tokens that are entered one by one rather than as a chunk of mostly nothing. */
    private static final int FEW = 4;

    /** Tokens that prompt and answer may have together. */
    final int context;

    final int vocabulary;

    private final Engine engine;
    private final KvCache cache;
    private final List<Signature> signatures = new ArrayList<>();
    private final Map<Integer, Own> own = new LinkedHashMap<>();
    private final int[] chunks;

    LanguageEngine(ModelProperties model, Engine engine) throws EdgeSlmException {
        this.engine = engine;
        context = model.number("language.context");
        vocabulary = model.number("language.vocabulary");
        int count = model.number("language.signatures.count");
        int layers = model.number("language.layers");
        int widest = -1;
        String[] names = new String[count];
        int[] segments = new int[count];
        for (int i = 0; i < count; i++) {
            names[i] = model.text("language.signatures." + i + ".name");
            segments[i] = model.number("language.signatures." + i + ".segments");
            widest = widest < 0 || segments[i] > segments[widest] ? i : widest;
        }
        if (count == 0) {
            throw new BadModelException("it has no signatures");
        }
        cache = new KvCache(model, engine, names[widest]);
        for (int i = 0; i < count; i++) {
            int tokens = model.number("language.signatures." + i + ".tokens");
            if (!own.containsKey(tokens)) {
                own.put(tokens, new Own(tokens, names[i], layers));
            }
            signatures.add(new Signature(names[i], own.get(tokens), segments[i]));
        }
        for (Own one : own.values()) {
            cache.prepare(one.count, one.outputs);
        }
        chunks = sortedChunks();
    }

    /**
     * Enter tokens behind the first {@code position} ones; the logits after the last of them, or null where
     * {@code interrupt} wanted it to end before.
     *
     * @param tokens at least one
     */
    float[] prefill(int[] tokens, int position, Interrupt interrupt) throws RuntimeFailedException {
        int entered = 0;
        float[] logits = null;
        while (entered < tokens.length) {
            if (interrupt != null && interrupt.isWanted()) {
                return null;
            }
            int left = tokens.length - entered;
            boolean many = left > FEW || (entered == 0 && left > 1 && position == 0);
            int chunk = many ? chunk(left, cache.roomAt(position + entered)) : 1;
            Signature signature = reading(chunk, position + entered);
            int now = Math.min(left, chunk);
            boolean last = entered + now == tokens.length;
            logits = signature.run(tokens, entered, now, position + entered, last);
            entered += now;
        }
        return logits;
    }

    /** The logits [vocabulary] after one more token behind the first {@code position} ones. */
    float[] step(int token, int position) throws RuntimeFailedException {
        return reading(1, position).run(new int[] {token}, 0, 1, position, true);
    }

    /** The largest chunk that is filled; the next larger one where it takes less time than several; 1 without room. */
    private int chunk(int left, int room) {
        int filled = 0;
        int larger = 0;
        int smallest = 0;
        for (int chunk : chunks) {
            if (chunk > room) {
                break;
            }
            smallest = smallest == 0 ? chunk : smallest;
            filled = chunk <= left ? chunk : filled;
            larger = larger == 0 && chunk >= left ? chunk : larger;
        }
        if (smallest == 0) {
            return 1;
        }
        if (filled == 0) {
            return smallest;
        }
        return larger != 0 && left > larger / 2 ? larger : filled;
    }

    /** The signature of so many tokens that reads all rows before {@code position}, and few behind. */
    private Signature reading(int count, int position) {
        Signature best = null;
        for (Signature one : signatures) {
            boolean enough = one.own.count == count && one.rows >= position;
            if (enough && (best == null || one.rows < best.rows)) {
                best = one;
            }
        }
        if (best == null) {
            throw new IllegalStateException("no signature for " + count + " tokens at " + position);
        }
        return best;
    }

    private int[] sortedChunks() {
        int[] found = new int[own.size()];
        int count = 0;
        for (int tokens : own.keySet()) {
            if (tokens > 1) {
                found[count++] = tokens;
            }
        }
        int[] sorted = Arrays.copyOf(found, count);
        Arrays.sort(sorted);
        return sorted;
    }

    /** Inputs and outputs that all signatures of {@code count} tokens share: they run one at a time. */
    private final class Own {
        final int count;
        final Map<String, TensorBuffer> inputs = new LinkedHashMap<>();
        final Map<String, TensorBuffer> outputs = new LinkedHashMap<>();

        Own(int count, String signature, int layers) throws RuntimeFailedException {
            this.count = count;
            for (String name : count > 1 ? new String[] {"tokens", "position", "last"} : new String[] {
                        "tokens", "position"
                    }) {
                inputs.put(name, engine.createInputBuffer(name, signature));
            }
            outputs.put("logits", engine.createOutputBuffer("logits", signature));
            for (int layer = 0; layer < layers; layer++) {
                for (String name : new String[] {"keys_" + layer, "values_" + layer}) {
                    outputs.put(name, engine.createOutputBuffer(name, signature));
                }
            }
        }
    }

    private final class Signature {
        final String name;
        final Own own;
        final int rows;
        private final Map<String, TensorBuffer> inputs;

        Signature(String name, Own own, int segments) {
            this.name = name;
            this.own = own;
            rows = cache.rowsOf(segments);
            inputs = new LinkedHashMap<>(own.inputs);
            cache.give(segments, inputs);
        }

        /** Run on {@code now} tokens and write their rows; the logits if they are {@code wanted}. */
        float[] run(int[] tokens, int start, int now, int position, boolean wanted) throws RuntimeFailedException {
            try {
                int[] given = new int[own.count]; // what fills it up is masked, and written over later
                System.arraycopy(tokens, start, given, 0, now);
                inputs.get("tokens").writeInt(given);
                inputs.get("position").writeInt(new int[] {position});
                if (own.count > 1) {
                    inputs.get("last").writeInt(new int[] {now - 1});
                }
                engine.run(inputs, own.outputs, name);
                cache.write(position, own.count);
                return wanted ? own.outputs.get("logits").readFloat() : null;
            } catch (LiteRtException error) {
                throw LiteRtEngine.exchangeFailed(name, error);
            }
        }
    }
}
