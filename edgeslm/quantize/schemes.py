"""The quantization schemes edgeslm knows: one table, read by the planner, the backends and the gates.

Notation as in architecture.md: w8a32 is 8-bit weights with 32-bit float activations, -g32 is blockwise with
32 weights to a scale. "Dynamic" activations are quantized per call by the runtime, "static" ones with ranges
found on calibration text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from edgeslm.artifacts import Precision, QuantPlan, TensorChoice
from edgeslm.errors import UnsupportedSchemeError

Activations = Literal["float", "dynamic", "static"]


@dataclass(frozen=True)
class Scheme:
    name: str
    notation: str
    linear: Precision
    embedding: Precision
    activations: Activations
    group: int | None  # weights to a scale along the input dimension; None is one scale per output channel
    cosine_gate: float  # least cosine to PyTorch on any scoring sample
    size_gate: float | None  # largest share of the float32 file, embeddings included; None: no promise
    title: str

    @property
    def needs_calibration(self) -> bool:
        """Integer weights are rounded with error feedback, which wants to know what flows into each layer."""
        return self.linear in {"int8", "int4"}


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme("fp32", "w32a32", "fp32", "fp32", "float", None, 0.99999, None, "as trained"),
        Scheme("fp16", "w16a32", "fp16", "fp16", "float", None, 0.9999, 0.52, "half-precision weights"),
        Scheme(
            "int8",
            "w8a8",
            "int8",
            "int8",
            "dynamic",
            None,
            0.997,
            0.27,
            "int8 weights, dynamic int8 activations",
        ),
        Scheme(
            "int8-weight-only",
            "w8a32",
            "int8",
            "int8",
            "float",
            None,
            0.997,
            0.27,
            "int8 weights, float activations",
        ),
        Scheme(
            "int8-static",
            "w8a8-static",
            "int8",
            "int8",
            "static",
            None,
            0.98,
            0.27,
            "int8 weights, calibrated int8 activations",
        ),
        Scheme(
            "int4",
            "w4a8-g32",
            "int4",
            "int8",
            "dynamic",
            32,
            0.93,
            0.22,
            "int4 weights in blocks of 32, int8 embeddings",
        ),
    )
}

MIXED = "mixed"
"""The scheme of a plan whose tensors were chosen one by one, by a search or by a plan file."""
NOTATIONS: dict[str, str] = {scheme.notation: scheme.name for scheme in SCHEMES.values()}


def find_scheme(name: str) -> Scheme:
    """The scheme of that name or notation. Raises UnsupportedSchemeError with the names there are."""
    found = SCHEMES.get(NOTATIONS.get(name, name))
    if name == MIXED:
        raise UnsupportedSchemeError(
            "no scheme says what a mixed plan stores each tensor as",
            "--plan FILE gives one, and limits have one found: --max-size 14MB",
        )
    if found is None:
        known = ", ".join(f"{scheme.name} ({scheme.notation})" for scheme in SCHEMES.values())
        raise UnsupportedSchemeError(f"no scheme is named {name!r}", f"known: {known}")
    return found


def plan_scheme(plan: QuantPlan) -> Scheme:
    """The scheme that a plan carries out: see mixed_scheme for those that name none."""
    return mixed_scheme(plan.choices) if plan.scheme == MIXED else find_scheme(plan.scheme)


def mixed_scheme(choices: Mapping[str, TensorChoice]) -> Scheme:
    """Dynamic activations, and the promises of the coarsest choice; how small it is, the plan itself says."""
    coarsest = max(choices.values(), key=lambda choice: _COARSER.index(choice.precision), default=None)
    precision = "fp32" if coarsest is None else coarsest.precision
    like = SCHEMES[precision]
    return replace(
        like,
        name=MIXED,
        notation=MIXED,
        activations="dynamic" if precision in {"int8", "int4"} else "float",
        group=None if coarsest is None else coarsest.group,
        size_gate=None,
        title="precision by tensor",
    )


_COARSER: tuple[Precision, ...] = ("fp32", "int32", "fp16", "int8", "int4")
