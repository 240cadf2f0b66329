package com.google.ai.edge.litert;

import android.content.res.AssetManager;
import java.util.Map;

/** A model that can be run. The names of tensors are those of the signature. */
public final class CompiledModel extends JniHandle {
    static {
        System.loadLibrary("litert_jni");
    }

    /** Null is LiteRT's own choice. */
    public static final class CpuOptions {
        private final Integer numThreads;
        private final Integer xnnPackFlags;
        private final String xnnPackWeightCachePath;

        public CpuOptions(Integer numThreads, Integer xnnPackFlags, String xnnPackWeightCachePath) {
            this.numThreads = numThreads;
            this.xnnPackFlags = xnnPackFlags;
            this.xnnPackWeightCachePath = xnnPackWeightCachePath;
        }

        public Integer getNumThreads() {
            return numThreads;
        }

        public Integer getXnnPackFlags() {
            return xnnPackFlags;
        }

        public String getXnnPackWeightCachePath() {
            return xnnPackWeightCachePath;
        }

        String toml() {
            String path = xnnPackWeightCachePath;
            return (numThreads == null ? "" : "num_threads = " + numThreads + "\n")
                    + (xnnPackFlags == null ? "" : "flags = " + xnnPackFlags + "\n")
                    + (path == null ? "" : "weight_cache_file_path = \"" + path + "\"\n");
        }
    }

    /** What a model is compiled for. */
    public static final class Options {
        private CpuOptions cpuOptions;

        public Options(Accelerator... accelerators) {}

        public CpuOptions getCpuOptions() {
            return cpuOptions;
        }

        public void setCpuOptions(CpuOptions options) {
            cpuOptions = options;
        }
    }

    private final Model model;
    private final boolean modelManaged;

    private CompiledModel(long handle, Model model, boolean modelManaged) {
        super(handle);
        this.model = model;
        this.modelManaged = modelManaged;
    }

    public static CompiledModel create(Model model, Options options) throws LiteRtException {
        return create(model, options, false);
    }

    public static CompiledModel create(AssetManager assetManager, String assetName, Options options)
            throws LiteRtException {
        return create(Model.load(assetManager, assetName), options, true);
    }

    public static CompiledModel create(String filePath, Options options) throws LiteRtException {
        return create(Model.load(filePath), options, true);
    }

    private static CompiledModel create(Model model, Options options, boolean managed) throws LiteRtException {
        String chosen = options.getCpuOptions() == null ? "" : options.getCpuOptions().toml();
        return new CompiledModel(nativeCreate(model.handle, chosen), model, managed);
    }

    public TensorBuffer createInputBuffer(String inputName, String signature) throws LiteRtException {
        assertNotDestroyed();
        return new TensorBuffer(nativeCreateBuffer(handle, model.handle, signature, inputName, true));
    }

    public TensorBuffer createOutputBuffer(String outputName, String signature) throws LiteRtException {
        assertNotDestroyed();
        return new TensorBuffer(nativeCreateBuffer(handle, model.handle, signature, outputName, false));
    }

    public void run(Map<String, TensorBuffer> inputs, Map<String, TensorBuffer> outputs, String signature)
            throws LiteRtException {
        assertNotDestroyed();
        nativeRun(
                handle, model.handle, signature, names(inputs), handles(inputs), names(outputs), handles(outputs));
    }

    @Override
    protected void destroy() {
        nativeDestroy(handle);
        if (modelManaged) {
            model.close();
        }
    }

    private static String[] names(Map<String, TensorBuffer> buffers) {
        return buffers.keySet().toArray(new String[0]);
    }

    private static long[] handles(Map<String, TensorBuffer> buffers) {
        long[] handles = new long[buffers.size()];
        int place = 0;
        for (TensorBuffer buffer : buffers.values()) {
            handles[place++] = buffer.handle;
        }
        return handles;
    }

    private static native long nativeCreate(long model, String cpuOptions) throws LiteRtException;

    private static native void nativeDestroy(long handle);

    private static native long nativeCreateBuffer(
            long handle, long model, String signature, String name, boolean input) throws LiteRtException;

    private static native void nativeRun(
            long handle,
            long model,
            String signature,
            String[] inputNames,
            long[] inputs,
            String[] outputNames,
            long[] outputs)
            throws LiteRtException;
}
