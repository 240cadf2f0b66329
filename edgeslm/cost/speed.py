"""Which backend is the better one for a scheme on a target, and which schemes are slower than float there.

Both answers rest on cost/measured.py. Instruction counts compare two programs on one core; they are no times.
"""

from __future__ import annotations

from edgeslm.cost.measured import INSTRUCTIONS, LATENCY_MS, RESIDENT
from edgeslm.quantize.schemes import Scheme
from edgeslm.target import Target

# A core that was not measured is judged by the nearest one that was: same ISA features for integer kernels.
MEASURED_AS = {"cortex-a53": "cortex-a72", "x86-64-v3": "x86_64"}
NO_GAIN = 0.97
"""A scheme that needs more than this share of float32's cost is called "not faster"."""


def scheme_cost(backend: str, target: Target, scheme: str) -> tuple[float, str] | None:
    """(cost, unit) of one MiniLM inference of 64 tokens, or None where it was not measured."""
    core = MEASURED_AS.get(target.cpu.core, target.cpu.core)
    for table, unit in ((LATENCY_MS, "ms"), (INSTRUCTIONS, "M instructions")):
        if (backend, core, scheme) in table:
            return table[backend, core, scheme], unit
    return None


def compare_backends(target: Target, scheme: Scheme) -> tuple[str, str]:
    """The backend to take, and why, with both numbers."""
    tflite, openvino = (scheme_cost(name, target, scheme.name) for name in ("tflite", "openvino"))
    memory = {name: RESIDENT.get((name, target.cpu.arch, scheme.name)) for name in ("tflite", "openvino")}
    numbers = []
    if tflite and openvino:
        numbers.append(f"MiniLM, 64 tokens, measured: tflite {tflite[0]:,.4g}, openvino {openvino[0]:,.4g} {tflite[1]}")
    if memory["tflite"] and memory["openvino"]:
        numbers.append(
            f"resident memory: tflite {memory['tflite'].factor:.1f}×, openvino {memory['openvino'].factor:.1f}× "
            "the file's bytes"
        )
    measured = f" ({'; '.join(numbers)})" if numbers else ""
    if target.cpu.arch == "x86_64":
        return "openvino", f"OpenVINO runs texts at their own length on x86-64 from one copy of the weights{measured}"
    if scheme.linear == "fp32" or scheme.activations == "static":
        return "tflite", f"TFLite takes fewer instructions on {target.cpu.core}{measured}"
    return "tflite", f"on {target.cpu.core} OpenVINO expands compressed weights to floats{measured}"


def speed_warnings(backend: str, target: Target, scheme: Scheme) -> tuple[str, ...]:
    """What the user must know before shipping this: a scheme that is no faster than float on this core."""
    if scheme.name == "fp32":
        return ()
    quantized, single = scheme_cost(backend, target, scheme.name), scheme_cost(backend, target, "fp32")
    if quantized is None or single is None:
        return ()
    share = quantized[0] / single[0]
    if share <= NO_GAIN:
        return ()
    word = "not faster" if share <= 1.03 else "slower"
    return (
        f"{scheme.name} is smaller but {word} than fp32 with {backend} on {target.cpu.core}: "
        f"{share:.2f} times fp32's {quantized[1].removeprefix('M ')} (MiniLM, 64 tokens)",
    )
