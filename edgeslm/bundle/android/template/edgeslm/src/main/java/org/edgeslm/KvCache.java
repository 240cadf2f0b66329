package org.edgeslm;

import com.google.ai.edge.litert.LiteRtException;
import com.google.ai.edge.litert.TensorBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The tensor buffers of the keys and values of all layers, in segments of rows that follow each other. Every signature
 * is given the same ones, of as many segments as it reads.
 *
 * <p>LiteRT's TensorBuffer is written as a whole only, so rows are written by the model's signatures
 * {@code write_TOKENS_ROWS}: they are given a segment's buffers as input and as output, and change a few rows.
 */
final class KvCache {
    private static final String[] FLOATS = {"key_", "value_"};
    private static final String[] INTEGERS = {"key_", "value_", "key_scale_", "value_scale_"};

    private final Engine engine;
    private final int layers;
    private final int[] rows;
    private final int[] ends;
    private final String[] kinds;
    private final Map<String, TensorBuffer> buffers = new LinkedHashMap<>();
    private final Map<String, Writer> writers = new LinkedHashMap<>();

    /** {@code whole}: a signature that reads all segments. */
    KvCache(ModelProperties model, Engine engine, String whole) throws EdgeSlmException {
        this.engine = engine;
        layers = model.number("language.layers");
        rows = model.numbers("language.segments");
        ends = new int[rows.length];
        for (int i = 0, end = 0; i < rows.length; i++) {
            ends[i] = end += rows[i];
        }
        int context = model.number("language.context");
        if (rows.length == 0 || ends[rows.length - 1] < context) {
            throw new BadModelException("its cache is shorter than its context, " + context + " tokens");
        }
        String kind = model.text("language.kv_cache");
        boolean integers = kind.equals("int8");
        if (!integers && !kind.equals("float32")) {
            throw new BadModelException("its cache is " + kind + "; this library knows float32 and int8");
        }
        kinds = integers ? INTEGERS : FLOATS;
        int heads = model.number("language.kv_heads");
        try {
            for (int segment = 0; segment < rows.length; segment++) {
                int numbers = heads * rows[segment];
                float[] zeros = new float[integers ? numbers : numbers * model.number("language.head_dim")];
                byte[] codes = new byte[integers ? numbers * model.number("language.head_dim") : 0];
                for (int layer = 0; layer < layers; layer++) {
                    for (String one : kinds) {
                        String name = one + layer + "_" + segment;
                        TensorBuffer buffer = engine.createInputBuffer(name, whole);
                        buffers.put(name, buffer);
                        // Rows are masked until they are written, but what is no number would stay one.
                        if (integers && !one.contains("scale")) {
                            buffer.writeInt8(codes);
                        } else {
                            buffer.writeFloat(zeros);
                        }
                    }
                }
            }
        } catch (LiteRtException error) {
            throw LiteRtEngine.exchangeFailed(whole, error);
        }
    }

    /** Rows of the first so many segments together. */
    int rowsOf(int segments) {
        return segments == 0 ? 0 : ends[segments - 1];
    }

    /** Rows from {@code position} to the end of its segment: a chunk that has more cannot be written at once. */
    int roomAt(int position) {
        return ends[segmentOf(position)] - position;
    }

    /** Put the buffers of the first so many segments under their names. */
    void give(int segments, Map<String, TensorBuffer> inputs) {
        for (int layer = 0; layer < layers; layer++) {
            for (int segment = 0; segment < segments; segment++) {
                for (String kind : kinds) {
                    String name = kind + layer + "_" + segment;
                    inputs.put(name, buffers.get(name));
                }
            }
        }
    }

    /**
     * Make ready to write the rows of {@code count} tokens at once.
     *
     * @param made what the graph of so many tokens hands out: keys_LAYER and values_LAYER
     */
    void prepare(int count, Map<String, TensorBuffer> made) throws RuntimeFailedException {
        for (int segment = 0; segment < rows.length; segment++) {
            if (count <= rows[segment]) {
                writers.put(segment + " " + count, new Writer(segment, count, made));
            }
        }
    }

    /** Write the rows that the graph of {@code count} tokens made; they fit into the segment of the first one. */
    void write(int position, int count) throws RuntimeFailedException {
        int segment = segmentOf(position);
        writers.get(segment + " " + count).run(position - ends[segment] + rows[segment]);
    }

    private int segmentOf(int position) {
        int segment = 0;
        while (position >= ends[segment]) {
            segment++;
        }
        return segment;
    }

    /** One signature that writes, with the buffers of one segment. */
    private final class Writer {
        private final String signature;
        private final Map<String, TensorBuffer> inputs = new LinkedHashMap<>();
        private final Map<String, TensorBuffer> outputs = new LinkedHashMap<>();
        private final TensorBuffer keyAt;
        private final TensorBuffer valueAt;
        private final TensorBuffer scaleAt;

        Writer(int segment, int count, Map<String, TensorBuffer> made) throws RuntimeFailedException {
            signature = "write_" + count + "_" + rows[segment];
            keyAt = start("key_at");
            valueAt = start("value_at");
            scaleAt = kinds == INTEGERS ? start("scale_at") : null;
            for (int layer = 0; layer < layers; layer++) {
                for (String kind : kinds) {
                    TensorBuffer buffer = buffers.get(kind + layer + "_" + segment);
                    inputs.put(kind + layer, buffer);
                    outputs.put(kind + layer, buffer);
                }
                inputs.put("keys_" + layer, made.get("keys_" + layer));
                inputs.put("values_" + layer, made.get("values_" + layer));
            }
        }

        void run(int row) throws RuntimeFailedException {
            try {
                keyAt.writeInt(new int[] {0, row, 0});
                valueAt.writeInt(new int[] {0, 0, row});
                if (scaleAt != null) {
                    scaleAt.writeInt(new int[] {0, row});
                }
            } catch (LiteRtException error) {
                throw LiteRtEngine.exchangeFailed(signature, error);
            }
            engine.run(inputs, outputs, signature);
        }

        private TensorBuffer start(String name) throws RuntimeFailedException {
            TensorBuffer buffer = engine.createInputBuffer(name, signature);
            inputs.put(name, buffer);
            return buffer;
        }
    }
}
