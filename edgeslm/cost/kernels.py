"""What a run of a model calls: kernels by kind and shape, whatever their weights are stored as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeslm.artifacts import Precision, TensorChoice

LINEAR = ("gemv", "gemm")
STATIC = " static"
"""Behind a product's name: its activations are int8 by ranges that were fixed beforehand."""
ACTIVATED = " activated"
"""Behind a product's name: GELU, or another function of each number, is computed in the same kernel."""
SHORT = "gemv 64"
"""A row of 64 numbers, which our kernels for microcontrollers keep in registers."""
WEIGHTED = (*LINEAR, *(f"{kind}{form}" for form in (STATIC, ACTIVATED) for kind in LINEAR), SHORT, "lookup")
"""Kinds whose cost depends on how their parameter is stored: a matrix by one row, by several, and rows of a table."""
ORDER: tuple[Precision, ...] = ("fp32", "fp16", "int8", "int4")
"""The finest first."""


@dataclass(frozen=True)
class KernelCall:
    """`batch` times [rows, inputs] by [inputs, outputs], or what a kind makes of these numbers.

    `kind` is one of WEIGHTED; or a backend's operator in lower case ("softmax": `rows` rows of `inputs` numbers;
    "add both": `rows` loops over `outputs` numbers). `parameters` are the checkpoint's, several where matrices lie side
    by side; empty for what has no weights. `times`: how often a run does the same.
    """

    kind: str
    rows: int
    inputs: int
    outputs: int
    batch: int = 1
    parameters: tuple[str, ...] = ()
    times: int = 1


def choice_of(call: KernelCall, choices: Mapping[str, TensorChoice]) -> tuple[Precision, int | None]:
    """(precision, group) of a call with weights: of matrices side by side the finest. Unknown parameters are floats."""
    chosen = [choices[name] for name in call.parameters if name in choices]
    if not chosen:
        return "fp32", None
    finest = min(chosen, key=lambda choice: ORDER.index(choice.precision))
    return finest.precision, finest.group if finest.precision == "int4" else None


@dataclass(frozen=True)
class Kernel:
    """One thing that a device measures: `calls` is what it stands for, all alike. `inputs` and `outputs`: name, dtype
    and shape of each. `files`: of a backend that has one for each, what it lies in."""

    signature: str
    calls: tuple[KernelCall, ...]
    precision: Precision
    group: int | None
    held_out: bool
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]
    files: tuple[str, ...] = ()

    @property
    def weight_bytes(self) -> int:
        """Of its matrices as they are read; halves are expanded."""
        bits = {"int8": 8, "int4": 4}.get(self.precision, 32)
        return sum(one.inputs * one.outputs * bits // 8 for one in self.calls if one.kind.startswith(LINEAR))


EMPTY, WIDE, MANY, CHAIN = "empty", "wide", "many", "chain"
"""Kernels with hardly anything in them: an operator; one with MOST_COPIES results; one of as many inputs, where they
cost otherwise than results do; as many operators one after the other. Of all but the last there are several, with a
number behind their names."""
MOST_COPIES, WORTH_TIMING = 16, 1 << 20
BASELINE_EVERY = 40
"""Kernels between two measurements of a run that computes hardly anything: what a run takes may grow from one kernel to
the next, as LiteRT's does with the tensors that it was given before."""


def copies_of(call: KernelCall) -> int:
    """As many as together have a work worth timing; each with a matrix of its own, as the layers of a model have."""
    work = call.batch * call.rows * max(call.inputs * call.outputs, 16 * call.outputs, 16 * call.inputs)
    return max(1, min(MOST_COPIES, WORTH_TIMING // work))
