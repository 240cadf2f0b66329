"""The cost model: kernels measured on emulated cores and on this machine, and how far its laws are off.

`scripts/bench cost` prints the figures from what is recorded in tests/golden/kernel_points. `--measure CORE` measures
that core's kernels anew (about two minutes under QEMU; x86-64-v3 is this machine, which wants to be quiet), and writes
the points and the profile that is shipped. With `--backend openvino` it measures OpenVINO's, on x86-64-v3 alone.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edgeslm.cost.measured import INSTRUCTIONS, RESIDENT
from edgeslm.cost.points import Points, dump_points, load_points
from edgeslm.cost.predict import Task, predict
from edgeslm.cost.profile import RunLaw, Slow, TargetProfile, dump_profile, fit_profile, join_profiles, shipped_profiles
from edgeslm.target import CORES

ROOT = Path(__file__).resolve().parent.parent
POINTS = ROOT / "tests" / "golden" / "kernel_points"
RUNS = POINTS / "runs.json"
PROFILES = ROOT / "edgeslm" / "cost" / "profiles"
MICROCONTROLLERS = ("cortex-m4", "cortex-m7", "cortex-m55")
TARGETS = {"cortex-a53": "rpi3", "cortex-a72": "rpi4", "cortex-a76": "rpi5", "x86-64-v3": "linux-x86_64"}
NAMES = {"x86-64-v3": "linux-x86_64"}


@dataclass(frozen=True)
class Run:
    """A whole model's inference or step. `kernels`: predicted without what is around the runtime; `measured` by
    `edgeslm probe --via qemu`. `fitted`: what is around the runtime is fitted to it; the others are held out."""

    core: str
    model: str
    task: Task
    kernels: float
    operators: int
    measured: float
    fitted: bool
    backend: str = "tflite"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench cost", description=__doc__)
    parser.add_argument(
        "--measure", action="append", choices=[*TARGETS, *MICROCONTROLLERS], default=[], help="a core to measure anew"
    )
    parser.add_argument(
        "--model", nargs=3, metavar=("BUNDLE", "CORE", "COST"), help="what a probe measured of a whole model, to record"
    )
    parser.add_argument("--fit", action="store_true", help="what is around kernels is fitted to that model")
    parser.add_argument("--backend", choices=["tflite", "openvino"], default="tflite", help="whose kernels to measure")
    asked = parser.parse_args()
    if asked.model:
        bundle, core, cost = asked.model
        add_run(Path(bundle), core, float(cost), fitted=asked.fit)
    for core in asked.measure:
        points = _measure(core, asked.backend)
        points_of(core, points.backend).write_text(dump_points(points))
    for core in (*TARGETS, *MICROCONTROLLERS):
        known = [points_of(core, backend) for backend in ("tflite", "openvino")]
        parts = [shipped(load_points(path.read_text()), recorded_runs()) for path in known if path.exists()]
        if parts:
            profile = functools.reduce(join_profiles, parts)
            (PROFILES / f"{profile.name}.toml").write_text(dump_profile(profile))
            print_profile(profile)
    print_runs(recorded_runs())
    return 0


def points_of(core: str, backend: str) -> Path:
    return POINTS / (f"{core}.json" if backend == "tflite" else f"{core}-{backend}.json")


def _measure(core: str, backend: Literal["tflite", "openvino"]) -> Points:
    if core in MICROCONTROLLERS:
        from scripts.bench_cost_mcu import measure

        return measure(core)
    from edgeslm.probe.kernel_run import KernelRequest, measure_kernels
    from edgeslm.target import load_target

    via = "local" if core == "x86-64-v3" else "qemu"
    request = KernelRequest(load_target(TARGETS[core]), via, backend=backend)
    return measure_kernels(request, lambda title: contextlib.nullcontext())


def shipped(points: Points, runs: Sequence[Run]) -> TargetProfile:
    """The profile that is shipped for the points' core."""
    name = NAMES.get(points.core, points.core)
    if points.core in MICROCONTROLLERS:
        return fit_profile(points, name, "scripts/bench cost, arm-none-eabi-gcc 12.2, qemu-system-arm 7.2")
    emulator = "qemu-aarch64 7.2, " if points.emulated else ""
    runtime = "openvino 2026.4.1" if points.backend == "openvino" else "ai-edge-litert 2.3.0"
    profile = fit_profile(points, name, f"scripts/bench cost, {emulator}{runtime}", run=list(run_laws(points, runs)))
    if points.backend == "openvino":
        return profile
    return profile.model_copy(update={"slow": (*profile.slow, *expanded(points.core))})


WITHOUT_XNNPACK = 2.42
"""Times what dynamic int8 takes with it: TFLite's own kernels of static int8 on x86-64, 512 by 512, a row and 64."""


def expanded(core: str) -> Iterator[Slow]:
    """What a runtime has no fast kernels for: static int8 without XNNPACK; what OpenVINO makes floats of, instructions
    and memory as cost/measured.py has them."""
    if CORES[core].arch == "x86_64":
        why = f"TFLite's own kernels of static int8 take {WITHOUT_XNNPACK} times what dynamic int8 takes in XNNPACK"
        facts = {"backend": "tflite", "precision": "int8", "than": "int8", "times": WITHOUT_XNNPACK, "why": why}
        yield Slow.model_validate(facts | {"only": "static activations, without XNNPACK"})
    if CORES[core].arch != "aarch64":
        return
    known = core if ("openvino", core, "fp32") in INSTRUCTIONS else "cortex-a72"
    for precision in ("int8", "int4"):
        times = round(INSTRUCTIONS["openvino", known, precision] / INSTRUCTIONS["openvino", known, "fp32"], 2)
        memory = RESIDENT["openvino", "aarch64", precision].factor
        cost = f"{times:.2f} times the instructions, {memory} times the file in memory"
        why = f"OpenVINO expands it to floats on arm64: {cost}"
        yield Slow(backend="openvino", precision=precision, than="fp32", times=max(1.0, times), why=why)


def run_laws(points: Points, runs: Sequence[Run]) -> Iterator[RunLaw]:
    """Around the runtime: a constant and a number for each operator, through the runs that are fitted."""
    tasks: tuple[Task, ...] = ("encoder", "decoder") if points.backend == "tflite" else ("encoder",)
    runs = [one for one in runs if one.backend == points.backend]
    for task in tasks:
        if points.unit == "ms":  # what starts an operator is a part of its cost
            here = [one for one in runs if (one.core, one.task) == (points.core, task) and one.fitted]
            call = max([points.empty, *(one.measured - one.kernels for one in here)])
            yield RunLaw(backend=points.backend, task=task, call=round(call, 5))
            continue
        # Python and the runtime's own loop are the same code on all cores.
        same = [one for one in runs if one.task == task and one.fitted and one.core not in NAMES]
        if not same:
            continue
        matrix = np.array([[1.0, one.operators] for one in same])
        rest = np.array([one.measured - one.kernels for one in same])
        call, operator = np.linalg.lstsq(matrix, rest, rcond=None)[0]
        yield RunLaw(backend="tflite", task=task, call=round(float(call)), operator=round(float(operator)))


def recorded_runs() -> list[Run]:
    return [Run(**row) for row in json.loads(RUNS.read_text())] if RUNS.exists() else []


def print_profile(profile: TargetProfile) -> None:
    print(f"{profile.name}: {profile.device}, {profile.unit}; laws on held-out shapes")
    for law in profile.kernel:
        stored = f"{law.precision}{f'-g{law.group}' if law.group else ''}"
        print(f"  {law.kind:28} {stored:9} ± {law.spread:6.2%} ({law.held_out})")


def print_runs(runs: Sequence[Run]) -> None:
    print("whole models: predicted, measured")
    profiles = {profile.core: profile for profile in shipped_profiles()}
    for one in runs:
        law = next(law for law in profiles[one.core].run if (law.backend, law.task) == (one.backend, one.task))
        predicted = one.kernels + law.call + law.operator * one.operators
        form = ".3f" if profiles[one.core].unit == "ms" else ",.0f"
        held = "" if one.fitted else "  held out"
        figures = f"{predicted:13{form}} {one.measured:13{form}} {predicted / one.measured - 1:+.2%}{held}"
        print(f"  {one.core:11} {one.backend:8} {one.model:28} {figures}")


def add_run(bundle: Path, core: str, measured: float, *, fitted: bool) -> None:
    """A line of runs.json: what the recorded points foretell of a bundle's kernels, and what a probe measured."""
    from scripts.cost_models import read_built

    built = read_built(bundle)
    points = load_points(points_of(core, built.backend).read_text())
    profile = fit_profile(points, "points", "recorded")
    found = predict(profile.model_copy(update={"run": ()}), built.backend, built.calls, built.choices, built.task)
    title = f"{bundle.stem}, {built.tokens} tokens"
    run = Run(core, title, built.task, round(found.value, 5), len(built.calls), measured, fitted, built.backend)
    same = (run.core, run.model, run.backend)
    kept = [one for one in recorded_runs() if (one.core, one.model, one.backend) != same]
    lines = ",\n".join(json.dumps(dataclasses.asdict(one)) for one in [*kept, run])
    RUNS.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    sys.exit(main())
