package com.google.ai.edge.litert;

/** What a model may run on; on this machine it is the CPU. */
public enum Accelerator {
    NONE(0),
    CPU(1),
    GPU(2),
    NPU(3);

    private final int value;

    Accelerator(int value) {
        this.value = value;
    }

    public int getValue() {
        return value;
    }
}
