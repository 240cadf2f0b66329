"""Whole nets of static int8 as converters write them, seeded: those that are measured on boards, a small encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.unit.tflite_int8 import Net, sample


def integers(net: Net, *values: int) -> int:
    return net.constant(np.array(values, np.int32))


def dense(net: Net, random: np.random.Generator, x: int, rows: int, scale: float, zero: int = 0, **options: Any) -> int:
    """A layer with weights by channel and a bias."""
    shape = net.graph.shape(x)
    x_scale = net.graph.subgraph.tensors[x].quantization.scale[0]
    scales = [float(one) for one in random.uniform(0.002, 0.01, rows).astype(np.float32)]
    weight = net.constant(random.integers(-127, 128, (rows, shape[-1])).astype(np.int8), scales)
    bias = net.constant(
        random.integers(-2000, 2000, rows).astype(np.int32), [float(x_scale * np.float32(one)) for one in scales]
    )
    made = [*shape[:-1], rows]
    return net.add("FULLY_CONNECTED", [x, weight, bias], made, scale, zero, keepNumDims=len(shape) > 2, **options)


def normalized(net: Net, random: np.random.Generator, x: int) -> int:
    """LayerNorm, as converters take it apart."""
    shape = net.graph.shape(x)
    axis, ones = integers(net, len(shape) - 1), [*shape[:-1], 1]
    keep = {"options_of": "ReducerOptions", "keepDims": True}
    mean = net.add("MEAN", [x, axis], ones, 0.01, 1, **keep)
    squares = net.add("SQUARED_DIFFERENCE", [x, mean], shape, 0.06, -128)
    variance = net.add("MEAN", [squares, axis], ones, 0.03, -128, **keep)
    epsilon = net.constant(np.full([1], -127, np.int8), [0.001], [-128])
    root = net.add("RSQRT", [net.add("ADD", [variance, epsilon], ones, 0.03, -128)], ones, 0.03, -128)
    centred = net.add("SUB", [x, mean], shape, 0.03, -2)
    scaled_ = net.add("MUL", [centred, root], shape, 0.03, 3)
    gain = net.constant(random.integers(1, 128, shape[-1]).astype(np.int8), [0.01])
    shift = net.constant(random.integers(-128, 128, shape[-1]).astype(np.int8), [0.01])
    return net.add("ADD", [net.add("MUL", [scaled_, gain], shape, 0.03, 3), shift], shape, 0.03, 2)


def a_stack() -> Net:
    """Four layers of 256 and a softmax: what is measured on boards."""
    random, net = np.random.default_rng(2), Net()
    x = net.input([1, 256], 0.02, -5)
    for _ in range(4):
        x = dense(net, random, x, 256, 0.2, -128, fusedActivationFunction=1)
    net.outputs = [net.add("SOFTMAX", [x], [1, 256], 1 / 256, -128, beta=1.0)]
    return net


def a_layer(activation: str, tokens: int = 16, width: int = 64, heads: int = 4, inner: int = 256) -> Net:
    """An encoder's layer over rows of numbers, norms behind both sums: what is measured on boards."""
    random, net = np.random.default_rng(7), Net()
    x = net.input([tokens, width], 0.03, 2)
    x = normalized(net, random, net.add("ADD", [attended(net, random, x, heads), x], [tokens, width], 0.05, 3))
    net.outputs = [normalized(net, random, net.add("ADD", [fed_forward(net, random, x, inner, activation), x],
                                                   [tokens, width], 0.05, 3))]  # fmt: skip
    return net


def attended(net: Net, random: np.random.Generator, x: int, heads: int) -> int:
    """Each row over all rows, by heads."""
    tokens, width = net.graph.shape(x)
    head = width // heads

    def by_heads(y: int, order: Sequence[int], shape: Sequence[int]) -> int:
        scale = (float(net.graph.subgraph.tensors[y].quantization.scale[0]), 0)
        split = net.add("RESHAPE", [y, integers(net, tokens, heads, head)], [tokens, heads, head], *scale)
        return net.add("TRANSPOSE", [split, integers(net, *order)], shape, *scale)

    query, key, value = (dense(net, random, x, width, 0.05) for _ in range(3))
    query, value = (by_heads(one, (1, 0, 2), [heads, tokens, head]) for one in (query, value))
    key = by_heads(key, (1, 2, 0), [heads, head, tokens])
    options: dict[str, Any] = {"options_of": "BatchMatMulOptions"}
    scores = net.add("BATCH_MATMUL", [query, key], [heads, tokens, tokens], 0.1, 4, **options)
    eighth = net.constant(np.array([90], np.int8), [0.004])
    scores = net.add("MUL", [scores, eighth], [heads, tokens, tokens], 0.05, 0)
    shares = net.add("SOFTMAX", [scores], [heads, tokens, tokens], 1 / 256, -128, beta=1.0)
    mixed = net.add("BATCH_MATMUL", [shares, value], [heads, tokens, head], 0.04, 0, **options)
    joined = net.add("TRANSPOSE", [mixed, integers(net, 1, 0, 2)], [tokens, heads, head], 0.04)
    joined = net.add("RESHAPE", [joined, integers(net, tokens, width)], [tokens, width], 0.04)
    return dense(net, random, joined, width, 0.05)


def fed_forward(net: Net, random: np.random.Generator, x: int, inner: int, activation: str) -> int:
    """Wider, and back again."""
    tokens, width = net.graph.shape(x)
    if activation == "GELU":
        up = net.add("GELU", [dense(net, random, x, inner, 0.05, 6)], [tokens, inner], 0.03, -100, approximate=False)
    else:
        up = dense(net, random, x, inner, 0.05, -128, fusedActivationFunction=1)
    return dense(net, random, up, width, 0.05)


def an_encoder(activation: str, tokens: int = 6, width: int = 16, heads: int = 2, inner: int = 32) -> Net:
    """Token ids to two logits: embeddings, a layer of heads, the first token's row, a softmax."""
    random, net = np.random.default_rng(5), Net()
    ids = net.input([tokens], dtype=np.int32)
    words = net.constant(sample([11, width], 4), [0.03], [2])
    places = net.constant(sample([tokens, width], 8), [0.01], [-3])
    rows = net.add("GATHER", [words, ids], [tokens, width], 0.03, 2)
    x = normalized(net, random, net.add("ADD", [rows, places], [tokens, width], 0.035, 1))
    x = normalized(net, random, net.add("ADD", [attended(net, random, x, heads), x], [tokens, width], 0.05, 3))
    up = fed_forward(net, random, x, inner, activation)
    x = normalized(net, random, net.add("ADD", [up, x], [tokens, width], 0.05, 3))
    first = net.add("SLICE", [x, integers(net, 0, 0), integers(net, 1, width)], [1, width], 0.03, 2)
    logits = dense(net, random, net.add("TANH", [first], [1, width], 1 / 128, 0), 2, 0.05)
    net.outputs = [logits, net.add("SOFTMAX", [logits], [1, 2], 1 / 256, -128, beta=1.0)]
    return net


def a_mixture() -> Net:
    """An encoder, and beside it every other operator that TensorFlow Lite Micro has: ids, int8 and floats come in, int8
    and floats go out."""
    net = an_encoder("RELU")
    given = (0.05, 3)
    x = net.input([2, 3, 4], *given)
    reals = net.input([2, 3, 4], dtype=np.float32)
    y = net.add("QUANTIZE", [reals], [2, 3, 4], *given)
    y = net.add("CONCATENATION", [x, y], [2, 6, 4], *given, axis=1)
    parts = [net.tensor(f"split{number}", [2, 3, 4], *given) for number in range(2)]
    net.place("SPLIT", [net.constant(np.array(1, np.int32)), y], parts, numSplits=2)
    first = net.add("LOGISTIC", [parts[0]], [2, 3, 4], 1 / 256, -128)
    second = net.add("RELU6", [parts[1]], [2, 3, 4], *given)
    y = net.add("SQUARED_DIFFERENCE", [first, second], [2, 3, 4], 0.02, -128)
    ends = [integers(net, *one) for one in ((0, -2, 0), (2, 3, 4), (1, 1, 1))]
    y = net.add("STRIDED_SLICE", [y, *ends], [2, 2, 4], 0.02, -128)
    y = net.add("PAD", [y, net.constant(np.array([[0, 0], [1, 0], [0, 2]], np.int32))], [2, 3, 6], 0.02, -128)
    y = net.add("TRANSPOSE", [y, integers(net, 2, 0, 1)], [6, 2, 3], 0.02, -128)
    y = net.add("QUANTIZE", [y], [6, 2, 3], 0.03, 5)
    table = net.constant(sample([11, 3], 12), [0.03], [5])
    rows = net.add("EMBEDDING_LOOKUP", [net.inputs[0], table], [6, 3], 0.03, 5)
    rows = net.add("EXPAND_DIMS", [rows, integers(net, 1)], [6, 1, 3], 0.03, 5)
    y = net.add("SUB", [y, rows], [6, 2, 3], 0.06, 1, fusedActivationFunction=1)
    net.outputs += [y, net.add("DEQUANTIZE", [y], [6, 2, 3], dtype=np.float32)]
    return net
