"""Small .tflite files that between them have every operator that is read: what fuzzing begins with."""

from __future__ import annotations

import numpy as np

from tests.unit.tflite_int8 import Net, sample


def every_operator() -> Net:
    """One net through all the operators that take and give (2, 4) or what becomes of it."""
    net = Net()
    x = net.input([2, 4], 0.05, 3)
    weight = net.constant(sample([4, 4], 5), [0.01, 0.02, 0.03, 0.04])
    bias = net.constant(np.arange(4, dtype=np.int32), [0.0005, 0.001, 0.0015, 0.002])
    y = net.add("FULLY_CONNECTED", [x, weight, bias], [2, 4], 0.1, -5, fusedActivationFunction=1)
    for kind in ("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE"):
        y = net.add(kind, [y, x], [2, 4], 0.2, -7)
    y = net.add("TANH", [y], [2, 4], 1 / 128, 0)
    y = net.add("GELU", [y], [2, 4], 0.01, -100, approximate=True)
    for kind in ("RELU", "RELU_N1_TO_1", "RELU_0_TO_1"):
        y = net.add(kind, [y], [2, 4], 0.02, -128)
    y = net.add("RELU6", [y], [2, 4], 0.02, -128)
    y = net.add("RSQRT", [y], [2, 4], 0.1, -128)
    y = net.add("TRANSPOSE", [y, net.constant(np.array([1, 0], np.int32))], [4, 2], 0.1, -128)
    y = net.add("BATCH_MATMUL", [x, y], [2, 2], 0.5, 1, options_of="BatchMatMulOptions")
    y = net.add("SOFTMAX", [y], [2, 2], 1 / 256, -128, beta=1.0)
    y = net.add("CONCATENATION", [y, y], [2, 4], 1 / 256, -128, axis=1)
    y = net.add(
        "MEAN", [y, net.constant(np.array([1], np.int32))], [2, 1], 0.1, 0, options_of="ReducerOptions", keepDims=True
    )
    y = net.add("PAD", [y, net.constant(np.array([[1, 0], [0, 2]], np.int32))], [3, 3], 0.1, 0)
    y = net.add("LOGISTIC", [y], [3, 3], 1 / 256, -128)
    y = net.add("QUANTIZE", [y], [3, 3], 0.01, 0)
    begin, size = net.constant(np.array([1, 0], np.int32)), net.constant(np.array([-1, 3], np.int32))
    y = net.add("SLICE", [y, begin, size], [2, 3], 0.01, 0)
    ends = [net.constant(np.array(one, np.int32)) for one in ([0, 0], [2, -1], [1, 1])]
    y = net.add("STRIDED_SLICE", [y, *ends], [2, 2], 0.01, 0)
    parts = [net.tensor(f"part{number}", [1, 2], 0.01) for number in range(2)]
    net.place("SPLIT", [net.constant(np.array(0, np.int32)), y], parts, numSplits=2)
    ids = net.input([2], dtype=np.int32)
    y = net.add("GATHER", [parts[1], ids], [1, 2], 0.01, axis=1)
    y = net.add("RESHAPE", [y, net.constant(np.array([2], np.int32))], [2], 0.01)
    rows = net.add("EMBEDDING_LOOKUP", [ids, net.constant(sample([3, 2], 6), [0.01])], [2, 2], 0.01)
    y = net.add("ADD", [rows, y], [2, 2], 0.02)
    net.outputs = [net.add("DEQUANTIZE", [y], [2, 2], dtype=np.float32)]
    return net


def in_floats(is_dynamic: bool) -> Net:
    """A layer that computes in floats, its weights int8 or floats."""
    net = Net()
    x = net.input([2, 4], dtype=np.float32)
    weight = net.constant(sample([3, 4], 5), [0.01]) if is_dynamic else net.constant(np.ones((3, 4), np.float32))
    net.outputs = [net.add("FULLY_CONNECTED", [x, weight, -1], [2, 3], dtype=np.float32)]
    return net


def a_classifier() -> Net:
    """One layer and its softmax: a small file is read often."""
    net = Net()
    x = net.input([1, 4], 0.05, 3)
    weight, bias = net.constant(sample([2, 4], 5), [0.01]), net.constant(np.zeros(2, np.int32), [0.0005])
    y = net.add("FULLY_CONNECTED", [x, weight, bias], [1, 2], 0.1, -5)
    net.outputs = [net.add("SOFTMAX", [y], [1, 2], 1 / 256, -128, beta=1.0)]
    return net


def a_pooled_slice() -> Net:
    """Axes, starts and steps are what the file says."""
    net = Net()
    x = net.input([2, 3, 4], 0.05, 3)
    ends = [net.constant(np.array(one, np.int32)) for one in ([0, -2, 1], [2, 3, 4], [1, 1, 2])]
    y = net.add("STRIDED_SLICE", [x, *ends], [2, 2], 0.05, 3, shrinkAxisMask=4)
    y = net.add("PAD", [y, net.constant(np.array([[1, 0], [0, 1]], np.int32))], [3, 3], 0.05, 3)
    y = net.add("MEAN", [y, net.constant(np.array([0], np.int32))], [3], 0.1, options_of="ReducerOptions")
    net.outputs = [net.add("MUL", [y, net.constant(sample([1], 5), [0.02])], [3], 0.1)]
    return net


def seeds() -> dict[str, bytes]:
    nets = {"every_operator": every_operator(), "classifier": a_classifier(), "pooled_slice": a_pooled_slice()}
    nets |= {"float": in_floats(False), "dynamic_range": in_floats(True)}
    return {name: net.pack() for name, net in nets.items()}
