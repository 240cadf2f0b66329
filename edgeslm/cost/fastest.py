"""Which scheme a CPU runs fastest, where nobody asked for one: by measured counts, and by what the core is made for."""

from __future__ import annotations

from collections.abc import Sequence

from edgeslm.cost.measured import DECODE_INSTRUCTIONS
from edgeslm.cost.speed import MEASURED_AS, scheme_cost
from edgeslm.quantize.schemes import SCHEMES
from edgeslm.target import Target

AS_FAST = 1.1
"""Counts within this factor of each other are no difference: an instruction is not a unit of time."""
INTEGER_UNITS = {"i8mm": "products of matrices of int8", "dotprod": "dot products of int8"}
"""ISA features that integer kernels are written for, the better one first."""


def fastest_scheme(backend: str, target: Target, names: Sequence[str], *, decodes: bool) -> tuple[str, str] | None:
    """The one of these schemes to take by default, and why; None where nothing was measured for the target's core.

    The fewest instructions decide (milliseconds, where those were measured). Of schemes that are as fast as that, the
    one that promises to keep the most is taken. `decodes`: for a language model, whose time goes into one token at a
    time.
    """
    costs: dict[str, float] = {}
    unit = "M instructions"
    for name in names:
        found = _decode_cost(backend, target, name) if decodes else scheme_cost(backend, target, name)
        if found is not None:
            costs[name], unit = found
    if not costs:
        return None
    fewest = min(costs.values())
    as_fast = [name for name in costs if costs[name] <= AS_FAST * fewest]
    best = max(as_fast, key=lambda name: (SCHEMES[name].cosine_gate, -costs[name]))
    core = MEASURED_AS.get(target.cpu.core, target.cpu.core)
    what = "a token of a 15M Llama" if decodes else "MiniLM, 64 tokens"
    numbers = ", ".join(f"{name} {costs[name]:,.4g}" for name in sorted(costs, key=lambda name: costs[name]))
    others = [name for name in as_fast if name != best]
    kept = f"; {' and '.join(others)} would be as fast, and keep less" if others else ""
    return best, f"{_made_for(target)}measured on {core}, {what}: {numbers} {unit}{kept}"


def _made_for(target: Target) -> str:
    for feature, what in INTEGER_UNITS.items():
        if feature in target.cpu.isa:
            return f"{target.cpu.core} has {what} ({feature}); "
    return "" if target.cpu.arch == "x86_64" else f"{target.cpu.core} has no dot products of int8; "


def _decode_cost(backend: str, target: Target, scheme: str) -> tuple[float, str] | None:
    core = MEASURED_AS.get(target.cpu.core, target.cpu.core)
    found = DECODE_INSTRUCTIONS.get((backend, core, scheme))
    return None if found is None else (found, "M instructions")
