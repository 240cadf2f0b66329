package org.edgeslm;

import com.google.ai.edge.litert.TensorBuffer;
import java.util.Map;

/**
 * A model that can be run, in the shape of LiteRT's CompiledModel; {@link LiteRtEngine} is one. Used by one thread at a
 * time. A tensor buffer is made for one signature and may be given to every other that has the same tensor, also as
 * input and output at once.
 */
interface Engine extends AutoCloseable {
    TensorBuffer createInputBuffer(String name, String signature) throws RuntimeFailedException;

    TensorBuffer createOutputBuffer(String name, String signature) throws RuntimeFailedException;

    /** Every input and output of the signature must have its buffer. */
    void run(Map<String, TensorBuffer> inputs, Map<String, TensorBuffer> outputs, String signature)
            throws RuntimeFailedException;

    /** Nanoseconds spent inside {@link #run} until now. */
    long nanosInside();

    /** Free the model's memory, with all tensor buffers that were made here. */
    @Override
    void close();
}
