"""Made-up times of OpenVINO's kernels: every kernel's work at so many numbers a millisecond."""

from __future__ import annotations

from edgeslm.cost.kernels import KernelCall
from edgeslm.cost.points import KernelPoint, Points
from edgeslm.quantize.choices import ENCODERS

PER_MS = {"fp32": 1e6, "fp16": 1e6, "int8": 2e6, "int4": 1.5e6}
SIDES = ((64, 64), (64, 256), (256, 64), (384, 1536), (128, 512), (512, 128))


def made_up_points() -> Points:
    points = []
    for precision, group in ENCODERS["openvino"].matrices:
        for inputs, outputs in SIDES:
            for rows in (1, 8, 64):
                for form in ("", " activated"):
                    call = KernelCall(f"gem{'v' if rows == 1 else 'm'}{form}", rows, inputs, outputs)
                    cost = rows * inputs * outputs / PER_MS[precision]
                    points.append(KernelPoint(call, precision, group, (inputs, rows) == (128, 8), cost))
    for precision, _ in ENCODERS["openvino"].tables:
        points += [
            KernelPoint(KernelCall("lookup", 8, 1, size), precision, None, False, size / 1e6) for size in (64, 512)
        ]
    for kind in ("mvn", "softmax", "add both", "transpose", "self_attention", "batch_matmul"):
        points += [
            KernelPoint(KernelCall(kind, 1, 1, size), "fp32", None, False, size / 1e6) for size in (64, 1024, 4096)
        ]
    return Points("x86-64-v3", "ms", "made up", False, False, 0.05, 0.001, tuple(points), "openvino")
