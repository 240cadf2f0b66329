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


# Preliminary: one model size each (96 MiB of int8 weights: 1,101 MiB resident with openvino on aarch64, 287 MiB on
# x86_64; tflite with its weight cache 97 MB for a 138 MB file), the constants estimated. scripts/measure replaces them.
RESIDENT: dict[tuple[str, str, str], Resident] = {
    ("tflite", "aarch64", "int8"): Resident(2.0, 60.0),
    ("tflite", "x86_64", "int8"): Resident(2.0, 60.0),
    ("openvino", "aarch64", "int8"): Resident(10.2, 120.0),
    ("openvino", "x86_64", "int8"): Resident(2.0, 95.0),
}
"""(backend, arch, scheme) -> resident bytes."""

INSTRUCTIONS: dict[tuple[str, str, str], float] = {
    ("openvino", "cortex-a72", "fp16"): 275.9,
    ("openvino", "cortex-a72", "fp32"): 275.9,
    ("openvino", "cortex-a72", "int4"): 276.0,
    ("openvino", "cortex-a72", "int8"): 276.0,
    ("openvino", "cortex-a72", "int8-static"): 240.5,
    ("openvino", "cortex-a72", "int8-weight-only"): 276.0,
    ("openvino", "cortex-a76", "fp16"): 275.9,
    ("openvino", "cortex-a76", "fp32"): 275.8,
    ("openvino", "cortex-a76", "int4"): 275.9,
    ("openvino", "cortex-a76", "int8"): 275.9,
    ("openvino", "cortex-a76", "int8-static"): 127.6,
    ("openvino", "cortex-a76", "int8-weight-only"): 275.9,
}
"""(backend, core, scheme) -> millions of instructions per inference."""

LATENCY_MS: dict[tuple[str, str, str], float] = {}
"""(backend, "x86_64", scheme) -> milliseconds, MiniLM, 64 tokens, 2 threads, all taken in one interleaved run."""
