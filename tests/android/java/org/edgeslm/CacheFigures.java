package org.edgeslm;

import com.google.ai.edge.litert.LiteRtException;
import com.google.ai.edge.litert.TensorBuffer;
import java.io.File;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a step's rows cost to be written into the cache, in ways that LiteRT's Kotlin interface has. Arguments: a .tflite
 * of a language model with signatures that write, layers, kv_heads, head_dim, the rows of its segments, threads; see
 * scripts/bench_android.py. Prints the fastest of 200 in microseconds, the ways taking turns, so that little of what else the
 * machine does is in them.
 */
public final class CacheFigures {
    private static final int ROUNDS = 200;

    private final Engine engine;
    private final int layers;
    private final int heads;
    private final int dim;
    private final int[] rows;

    private CacheFigures(Engine engine, int layers, int heads, int dim, int[] rows) {
        this.engine = engine;
        this.layers = layers;
        this.heads = heads;
        this.dim = dim;
        this.rows = rows;
    }

    public static void main(String[] arguments) throws Exception {
        String[] words = arguments[4].split(",");
        int[] rows = new int[words.length];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = Integer.parseInt(words[i]);
        }
        try (Engine engine = LiteRtEngine.open(new File(arguments[0]), Integer.parseInt(arguments[5]), null)) {
            new CacheFigures(
                            engine,
                            Integer.parseInt(arguments[1]),
                            Integer.parseInt(arguments[2]),
                            Integer.parseInt(arguments[3]),
                            rows)
                    .measure();
        }
    }

    private void measure() throws Exception {
        int end = 0;
        for (int segments = 1; segments <= rows.length; segments++) {
            int last = rows[segments - 1];
            end += last;
            if ((end & end - 1) == 0 || segments == rows.length) {
                measure(segments, end, last);
            }
        }
    }

    private void measure(int segments, int end, int last) throws Exception {
        String step = "step_" + end;
        Map<String, TensorBuffer> inputs = new LinkedHashMap<>();
        Map<String, TensorBuffer> made = new LinkedHashMap<>();
        for (String name : new String[] {"tokens", "position"}) {
            inputs.put(name, engine.createInputBuffer(name, step));
        }
        made.put("logits", engine.createOutputBuffer("logits", step));
        Map<String, TensorBuffer> written = new LinkedHashMap<>();
        Map<String, TensorBuffer> putIn = new LinkedHashMap<>();
        for (int layer = 0; layer < layers; layer++) {
            for (String kind : new String[] {"key", "value"}) {
                for (int segment = 0; segment < segments; segment++) {
                    String name = kind + "_" + layer + "_" + segment;
                    TensorBuffer buffer = engine.createInputBuffer(name, step);
                    buffer.writeFloat(new float[heads * dim * rows[segment]]);
                    inputs.put(name, buffer);
                }
                String name = kind + "s_" + layer;
                made.put(name, engine.createOutputBuffer(name, step));
                written.put(kind + "_" + layer, inputs.get(kind + "_" + layer + "_" + (segments - 1)));
                putIn.put(name, made.get(name));
            }
        }
        String write = "write_1_" + last;
        for (String name : new String[] {"key_at", "value_at"}) {
            putIn.put(name, engine.createInputBuffer(name, write));
        }
        putIn.putAll(written);
        Map<String, TensorBuffer> small = new LinkedHashMap<>();
        for (int layer = 0; layer < layers; layer++) {
            for (String kind : new String[] {"keys_", "values_"}) {
                small.put(kind + layer, engine.createOutputBuffer(kind + layer, "chunk_16_0"));
            }
        }
        float[] whole = new float[heads * dim * last];
        float[] few = new float[heads * dim * 16];
        double[][] times = new double[5][ROUNDS];
        for (int round = -20; round < ROUNDS; round++) {
            int row = last - 1 - Math.floorMod(round, Math.min(last, 64));
            long[] at = new long[6];
            at[0] = System.nanoTime();
            inputs.get("tokens").writeInt(new int[] {5});
            inputs.get("position").writeInt(new int[] {end - last + row});
            at[1] = System.nanoTime();
            engine.run(inputs, made, step);
            at[2] = System.nanoTime();
            float[] logits = made.get("logits").readFloat();
            at[3] = System.nanoTime();
            Sampler.likeliest(logits);
            at[4] = System.nanoTime();
            putIn.get("key_at").writeInt(new int[] {0, row, 0});
            putIn.get("value_at").writeInt(new int[] {0, 0, row});
            engine.run(putIn, written, write);
            at[5] = System.nanoTime();
            long copied = copy(written, made, whole, row, last);
            long tail = copy(small, made, few, row % 16, 16);
            if (round >= 0) {
                times[0][round] = at[2] - at[1];
                times[1][round] = at[1] - at[0] + at[4] - at[2];
                times[2][round] = at[5] - at[4];
                times[3][round] = copied;
                times[4][round] = tail;
            }
        }
        System.out.println(
                step + "\t" + last + "\t" + fastest(times[0]) + "\t" + fastest(times[1]) + "\t" + fastest(times[2]) + "\t"
                        + fastest(times[3]) + "\t" + fastest(times[4]));
    }

    /** The other way: read the rows, put them into arrays, and write these as wholes. */
    private long copy(
            Map<String, TensorBuffer> segment, Map<String, TensorBuffer> made, float[] array, int row, int count)
            throws LiteRtException {
        long start = System.nanoTime();
        for (Map.Entry<String, TensorBuffer> entry : segment.entrySet()) {
            String name = entry.getKey();
            int place = name.indexOf('_');
            boolean keys = name.startsWith("key");
            float[] own = made.get((keys ? "keys" : "values") + name.substring(place)).readFloat();
            for (int head = 0; head < heads; head++) {
                for (int i = 0; i < dim; i++) {
                    int to = keys ? (head * count + row) * dim + i : (head * dim + i) * count + row;
                    array[to] = own[head * dim + i];
                }
            }
            entry.getValue().writeFloat(array);
        }
        return System.nanoTime() - start;
    }

    private static String fastest(double[] nanos) {
        double[] sorted = nanos.clone();
        Arrays.sort(sorted);
        return Long.toString(Math.round(sorted[0] / 1000));
    }
}
