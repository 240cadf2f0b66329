package org.edgeslm;

import com.google.ai.edge.litert.LiteRtException;
import com.google.ai.edge.litert.TensorBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A model of one text at a time, with a signature for each length bucket. A text takes the smallest bucket that holds
 * it, and is padded; what was added is masked inside the graph.
 */
final class Encoder {
    private static final String IDS = "input_ids";
    private static final String MASK = "attention_mask";

    private final Engine engine;
    private final int[] lengths;
    private final Map<Integer, String> signatures = new HashMap<>();
    private final String[] inputs;
    private final String output;
    private final int padId;
    private final Map<Integer, Bucket> buckets = new HashMap<>();

    Encoder(ModelProperties model, Engine engine) throws BadModelException {
        this.engine = engine;
        lengths = model.numbers("lengths");
        Arrays.sort(lengths);
        if (lengths.length == 0) {
            throw new BadModelException(model.text("name") + " has no length buckets: it takes no text");
        }
        for (int length : lengths) {
            signatures.put(length, model.text("signatures." + length));
        }
        inputs = new String[model.number("inputs.count")];
        for (int i = 0; i < inputs.length; i++) {
            inputs[i] = model.text("inputs." + i + ".name");
            String type = model.text("inputs." + i + ".dtype");
            if (!type.equals("int32")) {
                throw new BadModelException("its input " + inputs[i] + " is " + type + "; this library writes int32");
            }
        }
        output = model.text("outputs.0.name");
        padId = model.number("model.pad_id");
    }

    /** The length buckets in tokens, ascending. */
    int[] lengths() {
        return lengths.clone();
    }

    /**
     * The first output for a text's tokens: an embedding, or a score for each label.
     *
     * @param ids at least one token, at most as many as the largest bucket has
     */
    float[] run(int[] ids) throws RuntimeFailedException {
        int length = lengths[lengths.length - 1];
        for (int i = lengths.length - 1; i >= 0 && lengths[i] >= ids.length; i--) {
            length = lengths[i];
        }
        Bucket bucket = buckets.get(length);
        if (bucket == null) {
            bucket = new Bucket(length);
            buckets.put(length, bucket);
        }
        return bucket.run(ids);
    }

    /** The tensor buffers of one length, made when it is first needed. */
    private final class Bucket {
        private final int length;
        private final String signature;
        private final Map<String, TensorBuffer> given = new LinkedHashMap<>();
        private final Map<String, TensorBuffer> made = new LinkedHashMap<>();

        Bucket(int length) throws RuntimeFailedException {
            this.length = length;
            signature = signatures.get(length);
            for (String name : inputs) {
                given.put(name, engine.createInputBuffer(name, signature));
            }
            made.put(output, engine.createOutputBuffer(output, signature));
        }

        float[] run(int[] ids) throws RuntimeFailedException {
            try {
                for (String name : inputs) {
                    given.get(name).writeInt(filled(name, ids));
                }
                engine.run(given, made, signature);
                return made.get(output).readFloat();
            } catch (LiteRtException error) {
                throw LiteRtEngine.exchangeFailed(signature, error);
            }
        }

        /** A text has ones in its mask, and one type. */
        private int[] filled(String name, int[] ids) {
            int[] values = new int[length];
            if (name.equals(IDS)) {
                System.arraycopy(ids, 0, values, 0, ids.length);
                Arrays.fill(values, ids.length, length, padId);
            } else if (name.equals(MASK)) {
                Arrays.fill(values, 0, ids.length, 1);
            }
            return values;
        }
    }
}
