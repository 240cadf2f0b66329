"""What was measured of the backends on the ISAs we build for. Facts only; docs/measurements says how.

RESIDENT: resident memory of one process with the model loaded and run, as `bytes = factor * model file bytes +
constant`. INSTRUCTIONS: millions of instructions of one MiniLM inference of 64 tokens, by core. DECODE_INSTRUCTIONS:
the same of one token that a language model writes. All are keyed by backend, then ISA or core, then scheme.
"""

from __future__ import annotations

from typing import NamedTuple


class Resident(NamedTuple):
    factor: float
    constant_mib: float


RESIDENT: dict[tuple[str, str, str], Resident] = {
    ("openvino", "aarch64", "fp16"): Resident(3.64, 95),
    ("openvino", "aarch64", "fp32"): Resident(1.78, 95),
    ("openvino", "aarch64", "int4"): Resident(8.83, 95),
    ("openvino", "aarch64", "int8"): Resident(7.03, 95),
    ("openvino", "aarch64", "int8-static"): Resident(4.36, 142),
    ("openvino", "aarch64", "int8-weight-only"): Resident(7.05, 95),
    ("openvino", "x86_64", "fp16"): Resident(4.05, 103),
    ("openvino", "x86_64", "fp32"): Resident(2.00, 103),
    ("openvino", "x86_64", "int4"): Resident(1.66, 131),
    ("openvino", "x86_64", "int8"): Resident(1.61, 134),
    ("openvino", "x86_64", "int8-static"): Resident(2.90, 172),
    ("openvino", "x86_64", "int8-weight-only"): Resident(2.35, 127),
    ("tflite", "aarch64", "fp16"): Resident(8.85, 38),
    ("tflite", "aarch64", "fp32"): Resident(1.57, 38),
    ("tflite", "aarch64", "int4"): Resident(1.59, 65),
    ("tflite", "aarch64", "int8"): Resident(1.72, 65),
    ("tflite", "aarch64", "int8-static"): Resident(1.78, 66),
    ("tflite", "aarch64", "int8-weight-only"): Resident(16.76, 38),
    ("tflite", "x86_64", "fp16"): Resident(2.28, 67),
    ("tflite", "x86_64", "fp32"): Resident(0.81, 67),
    ("tflite", "x86_64", "int4"): Resident(0.92, 80),
    ("tflite", "x86_64", "int8"): Resident(0.94, 80),
    ("tflite", "x86_64", "int8-static"): Resident(1.08, 78),
    ("tflite", "x86_64", "int8-weight-only"): Resident(16.34, 67),
}
"""(backend, arch, scheme) -> resident bytes."""


class Process(NamedTuple):
    """Resident memory of a process with a model, by what it is made of. `rest_share`: of the file without what is
    packed, the share that is mapped after a probe, and by how much either way that may be wrong; `again`: what more of
    the layers' float32 matrices is kept, which packs them for steps and for prompts."""

    base_mib: float  # Python, the runtime, numpy
    token_bytes: float  # of the tokenizer, for each token that it knows
    rest_share: float
    rest_doubt: float
    again: float = 0.0


PROCESSES: dict[tuple[str, str, str], Process] = {
    ("tflite", "encoder", "x86_64"): Process(63.5, 540, 0.84, 0.2),
    ("tflite", "encoder", "aarch64"): Process(56.0, 742, 0.82, 0.18),
    ("tflite", "decoder", "x86_64"): Process(54.7, 714, 0.15, 0.1, again=1.0),
    ("tflite", "decoder", "aarch64"): Process(51.9, 592, 1.0, 0.05, again=1.0),
    ("openvino", "encoder", "x86_64"): Process(136.0, 540, 1.0, 0.01),
}
"""(backend, task, ISA) -> what a probe's peak is made of."""

INSTRUCTIONS: dict[tuple[str, str, str], float] = {
    ("openvino", "cortex-a72", "fp16"): 275.9,
    ("openvino", "cortex-a72", "fp32"): 275.9,
    ("openvino", "cortex-a72", "int4"): 276.0,
    ("openvino", "cortex-a72", "int8"): 276.0,
    ("openvino", "cortex-a72", "int8-static"): 311.8,
    ("openvino", "cortex-a72", "int8-weight-only"): 276.0,
    ("openvino", "cortex-a76", "fp16"): 275.9,
    ("openvino", "cortex-a76", "fp32"): 275.8,
    ("openvino", "cortex-a76", "int4"): 275.9,
    ("openvino", "cortex-a76", "int8"): 275.9,
    ("openvino", "cortex-a76", "int8-static"): 198.9,
    ("openvino", "cortex-a76", "int8-weight-only"): 275.9,
    ("tflite", "cortex-a72", "fp16"): 250.3,
    ("tflite", "cortex-a72", "fp32"): 249.6,
    ("tflite", "cortex-a72", "int4"): 371.5,
    ("tflite", "cortex-a72", "int8"): 223.1,
    ("tflite", "cortex-a72", "int8-static"): 218.5,
    ("tflite", "cortex-a72", "int8-weight-only"): 250.2,
    ("tflite", "cortex-a76", "fp16"): 244.7,
    ("tflite", "cortex-a76", "fp32"): 243.9,
    ("tflite", "cortex-a76", "int4"): 120.7,
    ("tflite", "cortex-a76", "int8"): 89.0,
    ("tflite", "cortex-a76", "int8-static"): 87.0,
    ("tflite", "cortex-a76", "int8-weight-only"): 244.5,
}
"""(backend, core, scheme) -> millions of instructions per inference."""

DECODE_INSTRUCTIONS: dict[tuple[str, str, str], float] = {
    ("tflite", "cortex-a72", "fp32"): 8.49,
    ("tflite", "cortex-a72", "int4"): 8.50,
    ("tflite", "cortex-a72", "int8"): 6.77,
    ("tflite", "cortex-a76", "fp32"): 8.49,
    ("tflite", "cortex-a76", "int4"): 4.72,
    ("tflite", "cortex-a76", "int8"): 4.48,
}
"""(backend, core, scheme) -> millions of instructions per token, a Llama of 15 million parameters at 128 tokens."""

LATENCY_MS: dict[tuple[str, str, str], float] = {
    ("openvino", "x86_64", "fp16"): 8.24,
    ("openvino", "x86_64", "fp32"): 8.50,
    ("openvino", "x86_64", "int4"): 5.15,
    ("openvino", "x86_64", "int8"): 5.16,
    ("openvino", "x86_64", "int8-static"): 3.64,
    ("openvino", "x86_64", "int8-weight-only"): 7.26,
    ("tflite", "x86_64", "fp16"): 9.65,
    ("tflite", "x86_64", "fp32"): 9.84,
    ("tflite", "x86_64", "int4"): 6.62,
    ("tflite", "x86_64", "int8"): 2.78,
    ("tflite", "x86_64", "int8-static"): 2.88,
    ("tflite", "x86_64", "int8-weight-only"): 9.63,
}
"""(backend, "x86_64", scheme) -> milliseconds, MiniLM, 64 tokens, 2 threads, all taken in one interleaved run."""
