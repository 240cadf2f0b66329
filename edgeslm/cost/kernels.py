"""What a run of a model calls: kernels by kind and shape, whatever their weights are stored as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeslm.artifacts import Precision, TensorChoice

LINEAR = ("gemv", "gemm")
STATIC = " static"
"""Behind a product's name: its activations are int8 by ranges that were fixed beforehand."""
SHORT = "gemv 64"
"""A row of 64 numbers, which our kernels for microcontrollers keep in registers."""
WEIGHTED = (*LINEAR, *(f"{kind}{STATIC}" for kind in LINEAR), SHORT, "lookup")
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
