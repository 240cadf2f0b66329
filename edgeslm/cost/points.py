"""What was measured of single kernels on one core: the raw points that laws are fitted to, kept beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edgeslm.artifacts import Precision
from edgeslm.cost.kernels import KernelCall

Unit = Literal["instructions", "ms"]


@dataclass(frozen=True)
class KernelPoint:
    """One kernel's cost at one shape. `held_out`: no law is fitted to it."""

    call: KernelCall
    precision: Precision
    group: int | None
    held_out: bool
    cost: float


@dataclass(frozen=True)
class Points:
    """`empty`: what a run with hardly anything in it takes, which is taken off every cost; `operator`: what each
    operator takes in it, a part of its cost. 0 for instructions, of which a profiler tells each operator's."""

    core: str
    unit: Unit
    device: str  # the board or processor, in its own words
    emulated: bool
    throttled: bool
    empty: float
    operator: float
    points: tuple[KernelPoint, ...]
    backend: Literal["tflite", "openvino"] = "tflite"  # of a microcontroller they are our own


def dump_points(points: Points) -> str:
    """JSON, a kernel a line: kind, precision, group, held out, then batch, rows, inputs, outputs, cost."""
    lines = [json.dumps(_row(point), separators=(",", ":")) for point in points.points]
    head = {"core": points.core, "unit": points.unit, "device": points.device}
    head |= {} if points.backend == "tflite" else {"backend": points.backend}
    flags = {
        "emulated": points.emulated,
        "throttled": points.throttled,
        "empty": points.empty,
        "operator": points.operator,
    }
    return json.dumps(head | flags)[:-1] + ', "points": [\n' + ",\n".join(lines) + "\n]}\n"


def load_points(text: str) -> Points:
    told = json.loads(text)
    return Points(
        core=told["core"],
        unit=told["unit"],
        device=told["device"],
        emulated=told["emulated"],
        throttled=told["throttled"],
        empty=told["empty"],
        operator=told["operator"],
        points=tuple(_points(told["points"])),
        backend=told.get("backend", "tflite"),
    )


def _row(point: KernelPoint) -> list[object]:
    call = point.call
    shape = [call.batch, call.rows, call.inputs, call.outputs]
    return [call.kind, point.precision, point.group or 0, int(point.held_out), *shape, float(f"{point.cost:.6g}")]


def _points(rows: list[list[object]]) -> Iterator[KernelPoint]:
    for kind, precision, group, held, batch, count, inputs, outputs, cost in rows:
        call = KernelCall(str(kind), int(count), int(inputs), int(outputs), int(batch))  # type: ignore[call-overload]
        yield KernelPoint(call, precision, group or None, bool(held), float(cost))  # type: ignore[arg-type]
