package org.edgeslm;

import com.google.ai.edge.litert.Accelerator;
import com.google.ai.edge.litert.CompiledModel;
import com.google.ai.edge.litert.LiteRtException;
import com.google.ai.edge.litert.TensorBuffer;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** LiteRT's CompiledModel on the CPU, that is XNNPACK. */
final class LiteRtEngine implements Engine {
    private final CompiledModel compiled;
    private final List<TensorBuffer> buffers = new ArrayList<>();
    private long nanos;

    private LiteRtEngine(CompiledModel compiled) {
        this.compiled = compiled;
    }

    /**
     * Open a model's file. XNNPACK repacks its weights for the phone's processor; they are kept in {@code packed} and
     * mapped from there, or in memory where that is null or cannot be written.
     *
     * @throws RuntimeFailedException where LiteRT refuses the model
     */
    static LiteRtEngine open(File model, int threads, WeightCache packed) throws RuntimeFailedException {
        String path = packed == null ? null : packed.begin();
        if (path != null) {
            try {
                LiteRtEngine made = compile(model, threads, path);
                packed.finish();
                return made;
            } catch (LiteRtException refused) {
                packed.discard();
            }
        }
        try {
            return compile(model, threads, null);
        } catch (LiteRtException error) {
            throw new RuntimeFailedException(
                    "LiteRT cannot open the model: " + error.getMessage(),
                    "use the LiteRT version that the bundle's build.gradle names, or a newer one",
                    error);
        }
    }

    private static LiteRtEngine compile(File model, int threads, String path) throws LiteRtException {
        CompiledModel.Options options = new CompiledModel.Options(Accelerator.CPU);
        options.setCpuOptions(new CompiledModel.CpuOptions(threads, null, path));
        return new LiteRtEngine(CompiledModel.create(model.getPath(), options));
    }

    @Override
    public TensorBuffer createInputBuffer(String name, String signature) throws RuntimeFailedException {
        try {
            return kept(compiled.createInputBuffer(name, signature));
        } catch (LiteRtException error) {
            throw missing("input", name, signature, error);
        }
    }

    @Override
    public TensorBuffer createOutputBuffer(String name, String signature) throws RuntimeFailedException {
        try {
            return kept(compiled.createOutputBuffer(name, signature));
        } catch (LiteRtException error) {
            throw missing("output", name, signature, error);
        }
    }

    @Override
    public void run(Map<String, TensorBuffer> inputs, Map<String, TensorBuffer> outputs, String signature)
            throws RuntimeFailedException {
        long start = System.nanoTime();
        try {
            compiled.run(inputs, outputs, signature);
        } catch (LiteRtException error) {
            throw new RuntimeFailedException(
                    "LiteRT failed while it ran " + signature + ": " + error.getMessage(),
                    "close and open it again; if it stays, the phone may be out of memory",
                    error);
        } finally {
            nanos += System.nanoTime() - start;
        }
    }

    @Override
    public long nanosInside() {
        return nanos;
    }

    @Override
    public void close() {
        for (TensorBuffer buffer : buffers) {
            buffer.close();
        }
        buffers.clear();
        compiled.close();
    }

    /** What a TensorBuffer refused. */
    static RuntimeFailedException exchangeFailed(String signature, LiteRtException error) {
        return new RuntimeFailedException(
                "LiteRT did not take or give the tensors of " + signature + ": " + error.getMessage(),
                "take library and model from the same bundle",
                error);
    }

    private TensorBuffer kept(TensorBuffer buffer) {
        buffers.add(buffer);
        return buffer;
    }

    private static RuntimeFailedException missing(String side, String name, String signature, LiteRtException error) {
        return new RuntimeFailedException(
                "the model's signature " + signature + " has no " + side + " " + name + ": " + error.getMessage(),
                "take library and model from the same bundle",
                error);
    }
}
