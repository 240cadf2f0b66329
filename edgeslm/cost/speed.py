"""Which backend is the better one for a scheme on a target, and which schemes are slower than float there.

Both answers rest on cost/measured.py. Instruction counts compare two programs on one core; they are no times.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgeslm.cost.measured import INSTRUCTIONS, LATENCY_MS
from edgeslm.cost.memory import resident_facts
from edgeslm.quantize.schemes import Scheme
from edgeslm.target import Target

# A core that was not measured is judged by the nearest one that was: same ISA features for integer kernels.
MEASURED_AS = {
    "cortex-a53": "cortex-a72",
    "cortex-a55": "cortex-a76",
    "cortex-a78": "cortex-a76",
    "cortex-a510": "cortex-a76",  # and i8mm, which makes integers no slower
    "cortex-a710": "cortex-a76",
    "x86-64-v2": "x86_64",
    "x86-64-v3": "x86_64",
}
NO_GAIN = 0.97
"""A scheme that needs more than this share of float32's cost is called "not faster"."""
MUCH_MORE = 1.5
"""Resident memory this many times the other backend's decides, whatever the speed."""
BACKENDS = ("tflite", "openvino")


def scheme_cost(backend: str, target: Target, scheme: str) -> tuple[float, str] | None:
    """(cost, unit) of one MiniLM inference of 64 tokens, or None where it was not measured."""
    core = MEASURED_AS.get(target.cpu.core, target.cpu.core)
    for table, unit in ((LATENCY_MS, "ms"), (INSTRUCTIONS, "M instructions")):
        if (backend, core, scheme) in table:
            return table[backend, core, scheme], unit
    return None


def compare_backends(target: Target, scheme: Scheme) -> tuple[str, str]:
    """The backend to take, and why, with both numbers.

    A board has little memory: where one backend takes much less, that decides, else the instructions do.
    """
    costs = {name: scheme_cost(name, target, scheme.name) for name in BACKENDS}
    memory = {name: resident_facts(name, target.cpu.arch, scheme.name).factor for name in BACKENDS}
    measured = f"measured: resident memory {_both(memory, '.1f')} × the file's bytes" + "".join(
        f"; MiniLM, 64 tokens: {_both({name: cost[0] for name, cost in costs.items() if cost}, ',.4g')} {unit}"
        for unit in sorted({cost[1] for cost in costs.values() if cost})
    )
    if target.cpu.arch == "x86_64":
        # Its graph has no buckets to choose; where speed matters more, the numbers say so.
        tflite, openvino = (costs[name] for name in BACKENDS)
        faster = tflite and openvino and tflite[0] <= NO_GAIN * openvino[0]
        also = f"; --backend tflite is faster for {scheme.name}" if faster else ""
        return "openvino", f"OpenVINO takes texts of every length on x86-64 with one graph ({measured}){also}"
    lighter, heavier = sorted(BACKENDS, key=lambda name: memory[name])
    if memory[heavier] >= MUCH_MORE * memory[lighter]:
        expands = {
            "openvino": "OpenVINO expands compressed weights to floats",
            "tflite": "TFLite unpacks such weights to floats for every length",
        }[heavier]
        return lighter, f"on {target.cpu.core} {expands} ({measured})"
    fewer = min(BACKENDS, key=lambda name: (costs[name] or (float("inf"), ""))[0])
    return fewer, f"it takes fewer instructions on {target.cpu.core} ({measured})"


def _both(values: Mapping[str, float], form: str) -> str:
    return ", ".join(f"{name} {value:{form}}" for name, value in values.items())


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
