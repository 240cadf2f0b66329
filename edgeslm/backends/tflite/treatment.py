"""What happens to each weight in the .tflite: the plan's choice for its parameter, or why it cannot be that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeslm.artifacts import Precision, QuantPlan, TensorChoice
from edgeslm.backends.tflite.graph import Graph
from edgeslm.quantize.schemes import Activations, Scheme, plan_scheme

WEIGHT_INPUT = {"FULLY_CONNECTED": 1, "EMBEDDING_LOOKUP": 1, "CONV_2D": 1, "DEPTHWISE_CONV_2D": 1}
"""Operators whose weights are quantized, and which of their inputs those are."""
BLOCKWISE = ("FULLY_CONNECTED", "EMBEDDING_LOOKUP")
BLOCKS = (32, 64, 128, 256)  # weights to a scale that the runtime has kernels for
FEWEST_ROWS = 16
"""A table of fewer rows (token types: 2) is a few kB and in every token's sum: rounding it costs, and gains nothing."""
FEWEST_ELEMENTS = 1024


@dataclass(frozen=True)
class Treatment:
    """One operator's weight: `tensor` and `operator` are names in the .tflite, the latter that of its result."""

    kind: str
    operator: str
    tensor: str
    parameter: str | None
    precision: Precision
    group: int | None
    activations: Activations
    note: str = ""


def treat(model: Any, plan: QuantPlan, tensors: Mapping[str, str]) -> list[Treatment]:
    """One treatment for every operator with a constant float weight, in the order of the graphs."""
    scheme = plan_scheme(plan)
    treatments = []
    for position in range(len(model.subgraphs)):
        graph = Graph(model, position)
        for operator in graph.operators:
            kind = graph.kind(operator)
            if kind not in WEIGHT_INPUT:
                continue
            tensor = int(operator.inputs[WEIGHT_INPUT[kind]])
            if graph.constant(tensor) is None or graph.dtype(tensor) != "FLOAT32":
                continue
            name = graph.name(tensor)
            parameter = tensors.get(name)
            choice = plan.choices.get(parameter) if parameter else None
            precision, group, note = _possible(choice or _default(kind, scheme), kind, graph.shape(tensor))
            if choice is None and not note:
                note = "a constant of the graph, treated as the scheme's others"
            result, activations = graph.name(int(operator.outputs[0])), scheme.activations
            if activations == "static" and kind.endswith("CONV_2D"):
                activations, note = "dynamic", note or "activations scaled as they come: linear layers are calibrated"
            treatments.append(Treatment(kind, result, name, parameter, precision, group, activations, note))
    return treatments


def _default(kind: str, scheme: Scheme) -> TensorChoice:
    if kind == "EMBEDDING_LOOKUP":
        return TensorChoice(scheme.embedding, "a table")
    return TensorChoice(scheme.linear, "a weight", scheme.group)


def _possible(choice: TensorChoice, kind: str, shape: tuple[int, ...]) -> tuple[Precision, int | None, str]:
    """The choice as far as the runtime can carry it out: precision, block length, and what differs."""
    if choice.precision in ("fp32", "fp16"):
        return choice.precision, None, ""
    elements = 1
    for extent in shape:
        elements *= extent
    if kind == "EMBEDDING_LOOKUP" and shape[0] < FEWEST_ROWS:
        return "fp32", None, f"a table of {shape[0]} rows: rounding it gains nothing"
    if elements < FEWEST_ELEMENTS:
        return "fp32", None, f"{elements} elements: rounding them gains nothing"
    if choice.precision == "int4" and (kind not in BLOCKWISE or choice.group is None):
        return "int8", None, f"{kind} has int8 kernels only" if choice.group else "int8: int4 is stored in blocks"
    if choice.group is not None and choice.group not in BLOCKS:
        group = min(BLOCKS, key=lambda block: abs(block - choice.group))  # type: ignore[operator]  # not None here
        return _whole(
            choice.precision, group, f"blocks of {group}: the runtime has none of {choice.group}", kind, shape
        )
    return _whole(choice.precision, choice.group, "", kind, shape)


def _whole(
    precision: Precision, group: int | None, note: str, kind: str, shape: tuple[int, ...]
) -> tuple[Precision, int | None, str]:
    """A looked-up row is not padded: its blocks are the widest that fill it, at most of `group`."""
    if group is None or kind != "EMBEDDING_LOOKUP" or shape[1] % group == 0:
        return precision, group, note
    fitting = [block for block in BLOCKS if block < group and shape[1] % block == 0]
    if not fitting:
        return "int8", None, f"int8: a row of {shape[1]} has no whole blocks"
    return precision, max(fitting), f"blocks of {max(fitting)}: a row of {shape[1]} has no whole ones of {group}"
