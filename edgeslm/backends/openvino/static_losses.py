"""What one scale for all texts costs the model's answers, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.openvino.flows import Flow
from edgeslm.backends.openvino.installed import import_openvino
from edgeslm.backends.openvino.static_graph import Layers, constant, quantize_inputs, source_name

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

Sample = Mapping[str, NDArray[Any]]
TEXTS, TOKENS = 24, 64
"""Of how many written texts, and of how many made ones, of at most how many tokens losses are measured."""
SWITCHES = "static layers"


def pick_samples(samples: Sequence[Sample], written: int) -> list[Sample]:
    """Some of the written ones (the first `written`) and some of those that were made, spread evenly."""
    chosen: list[Sample] = []
    for part in (samples[:written], samples[written:]):
        short = [one for one in part if max(array.size for array in one.values()) <= TOKENS] or list(part[:1])
        places = np.linspace(0, len(short) - 1, min(TEXTS, len(short))).round().astype(int)
        chosen += [short[place] for place in places]
    return chosen


def measure_losses(
    model: openvino.Model, layers: Sequence[tuple[Layers, Flow]], samples: Sequence[Sample]
) -> NDArray[np.float64]:
    """[layers, samples]: 1 - cosine of the answers with that layer's activations as its flow says and all else in
    float, weights included, to those with all in float; of several outputs, the worst."""
    if not layers:
        return np.zeros((0, len(samples)))
    openvino = import_openvino()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 2}
    switched = _with_switches(model, layers)
    request = openvino.Core().compile_model(switched, "CPU", settings).create_infer_request()

    def answers(switches: NDArray[np.float32]) -> list[list[NDArray[np.float64]]]:
        runs = (request.infer({**sample, SWITCHES: switches}) for sample in samples)
        return [[np.asarray(run[place], np.float64).ravel() for place in range(len(run))] for run in runs]

    plain = answers(np.zeros(len(layers), np.float32))
    losses = []
    for switches in np.eye(len(layers), dtype=np.float32):
        pairs = zip(plain, answers(switches), strict=True)
        losses.append([max(_loss(*both) for both in zip(one, other, strict=True)) for one, other in pairs])
    return np.array(losses)


def _with_switches(model: openvino.Model, layers: Sequence[tuple[Layers, Flow]]) -> openvino.Model:
    """A copy in float with an input more: where it is 1, a layer's activations are quantized."""
    from openvino import opset13 as ops

    copy = model.clone()
    named = {operation.get_friendly_name(): operation for operation in copy.get_ordered_ops()}
    switches = ops.parameter([len(layers)], np.float32, name=SWITCHES)
    switches.output(0).set_names({SWITCHES})
    copy.add_parameters([switches])
    for number, (one, flow) in enumerate(layers):
        switch = ops.gather(switches, ops.constant(np.int64(number)), ops.constant(np.int64(0)))
        products = {name: named[name] for name in one.products}
        for name, (codes, _) in quantize_inputs(products, flow).items():
            scaled = codes.input_value(0)
            mixed = ops.add(scaled, ops.multiply(switch, ops.subtract(codes, scaled)))
            weights = one.weights[source_name(products[name])]
            products[name].input(0).replace_source_output(mixed.output(0))
            products[name].input(1).replace_source_output(constant(weights / flow.shares).output(0))
    copy.validate_nodes_and_infer_types()
    return copy


def _loss(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    sizes = float(np.linalg.norm(one) * np.linalg.norm(other))
    return 1 - float(one @ other) / sizes if sizes > 0 else 0.0
