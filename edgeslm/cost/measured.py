"""What was measured of the backends on the ISAs we build for. Facts only; docs/measurements says how.

RESIDENT: resident memory of one process with the model loaded and run, as `bytes = factor * model file bytes +
constant`. INSTRUCTIONS: millions of instructions of one MiniLM inference of 64 tokens, by core. Both are keyed by
backend, then ISA or core, then scheme.
"""

from __future__ import annotations

from typing import NamedTuple


class Resident(NamedTuple):
    factor: float
    constant_mib: float


RESIDENT: dict[tuple[str, str, str], Resident] = {}
"""(backend, arch, scheme) -> resident bytes."""

INSTRUCTIONS: dict[tuple[str, str, str], float] = {}
"""(backend, core, scheme) -> millions of instructions per inference."""

LATENCY_MS: dict[tuple[str, str, str], float] = {}
"""(backend, "x86_64", scheme) -> milliseconds, MiniLM, 64 tokens, 2 threads, all taken in one interleaved run."""
