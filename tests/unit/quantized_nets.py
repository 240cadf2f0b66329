"""A float encoder layer, made static int8 by ai-edge-quantizer: a file that edgeslm has had no hand in."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.unit.tflite_int8 import Array, Net

TOKENS, WIDTH, INNER = 5, 8, 16


def a_float_layer() -> Net:
    """Attention with one head, a feed-forward net, sums around both; floats."""
    random, net = np.random.default_rng(3), Net()
    floats: dict[str, Any] = {"dtype": np.float32}

    def dense(x: int, rows: int, **options: Any) -> int:
        weight = net.constant(random.normal(0, 0.4, (rows, net.graph.shape(x)[-1])).astype(np.float32))
        bias = net.constant(random.normal(0, 0.1, rows).astype(np.float32))
        return net.add("FULLY_CONNECTED", [x, weight, bias], [TOKENS, rows], **floats, **options)

    x = net.input([TOKENS, WIDTH], **floats)
    query, key, value = (dense(x, WIDTH) for _ in range(3))
    products: dict[str, Any] = {"options_of": "BatchMatMulOptions"}
    scores = net.add("BATCH_MATMUL", [query, key], [TOKENS, TOKENS], **floats, **products, adjY=True)
    shares = net.add("SOFTMAX", [scores], [TOKENS, TOKENS], **floats, beta=1.0)
    mixed = net.add("BATCH_MATMUL", [shares, value], [TOKENS, WIDTH], **floats, **products)
    x = net.add("ADD", [x, dense(mixed, WIDTH)], [TOKENS, WIDTH], **floats)
    up = dense(x, INNER, fusedActivationFunction=1)
    x = net.add("ADD", [x, dense(up, WIDTH)], [TOKENS, WIDTH], **floats)
    net.outputs = [net.add("TANH", [x], [TOKENS, WIDTH], **floats)]
    return net


def quantized_layer() -> bytes:
    """By the recipe static_wi8_ai8, its ranges from LiteRT's own run over random inputs."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType  # type: ignore[import-untyped]
    from ai_edge_quantizer import quantizer, recipe  # type: ignore[import-untyped]

    raw = a_float_layer().pack()
    by_reference = {"experimental_op_resolver_type": OpResolverType.BUILTIN_REF}
    interpreter = Interpreter(model_content=raw, experimental_preserve_all_tensors=True, **by_reference)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    ends: dict[str, dict[str, Array]] = {}
    for number in range(8):
        interpreter.set_tensor(entry["index"], inputs(number))
        interpreter.invoke()
        for one in interpreter.get_tensor_details():
            values = interpreter.get_tensor(one["index"])
            known = ends.setdefault(one["name"], {"min": values.min(), "max": values.max()})
            known["min"], known["max"] = min(known["min"], values.min()), max(known["max"], values.max())
    ranges = {
        name: {end: np.array([[value]], np.float32) for end, value in found.items()} for name, found in ends.items()
    }
    worker = quantizer.Quantizer(bytearray(raw), recipe.static_wi8_ai8())
    return bytes(worker.quantize(ranges).quantized_model)


def inputs(seed: int) -> Array:
    return np.random.default_rng(seed).normal(0, 1, (TOKENS, WIDTH)).astype(np.float32)
