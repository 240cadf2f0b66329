"""How well the losses of single tensors, of the choices that a search measures, foretell that of a plan: random mixed
plans, expected against measured in PyTorch; and with --at, plans of a search and uniform ones, predicted against built.

python -m scripts.sensitivity demo tflite                        # MiniLM
python -m scripts.sensitivity demo tflite --plans 0 --at 13.2MB 14MB 18MB 24MB
python -m scripts.sensitivity FOLDER tflite --plans 20
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeslm.backends import MODULES, find_rounding
from edgeslm.cache import StageCache, cache_folder
from edgeslm.export.language_reference import written_texts
from edgeslm.export.tensor_losses import LossMeter
from edgeslm.formats.samples import read_samples
from edgeslm.limits import Limits, parse_bytes
from edgeslm.pipeline import BuildRequest, encoder_stages, plan
from edgeslm.quantize.choices import allowed_choices
from edgeslm.quantize.schemes import SCHEMES
from edgeslm.search.choose import Candidate, candidate, propose, tensor_plan
from edgeslm.search.front import uniform_plan
from edgeslm.search.losses import measured_choices, measured_whole
from edgeslm.search.open_subject import open_bounds
from edgeslm.search.run import measuring
from edgeslm.stages.sensitivity import sensitivity_stage


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("backend", choices=sorted(MODULES))
    parser.add_argument("--plans", type=int, default=12)
    parser.add_argument("--at", nargs="*", default=[], metavar="SIZE", help="limits of plans that are built")
    parser.add_argument("--eval", type=Path, help="texts that score what is built; the built-in ones unless given")
    arguments = parser.parse_args()
    if arguments.plans:
        _add_up(arguments.model, arguments.backend, arguments.plans)
    if arguments.at:
        _build(arguments.model, arguments.backend, arguments.at, arguments.eval)
    return 0


def _add_up(model: str, backend: str, plans: int) -> None:
    cache = StageCache(cache_folder(), lambda *_: contextlib.nullcontext())
    decision = plan(BuildRequest("linux-x86_64", model, scheme="int4", backend=backend), cache)
    checkpoint = decision.checkpoint
    language = checkpoint.decoder is not None
    calibration = None
    if not language:
        stages = encoder_stages(cache, decision)
        calibration = stages.calibration_samples(stages.export())
    allowed = {one.name: allowed_choices(one, backend, language=language) for one in checkpoint.parameters}
    allowed = {name: found for name, found in allowed.items() if len(found) > 1}
    choices = {name: measured_choices(found) for name, found in allowed.items()}
    started, used = time.monotonic(), time.process_time()
    found = sensitivity_stage(
        cache, checkpoint, backend, calibration, choices, measured_whole(allowed, language=language)
    )
    spent = f"{time.monotonic() - started:.0f} s, processor time {time.process_time() - used:.0f} s"
    print(f"{checkpoint.name}: {len(found.tensors)} tensors, {found.samples} texts, {found.tokens} tokens, {spent}")
    losses = found.losses
    for one in found.whole:
        known = [by_choice.get((one.precision, one.group), 0.0) for by_choice in losses.values()]
        print(f"all {one.precision} {one.group or ''}: sum {sum(known):.3g} mean {one.mean:.3g} worst {one.worst:.3g}")
    read = read_samples(calibration.path) if calibration else written_texts(checkpoint)
    count = calibration.count if calibration else len(read)
    meter = LossMeter(checkpoint, read[:count], found.texts, find_rounding(backend, language=language), read[count:])
    chance = random.Random(0)
    expected, measured = [], []
    for _ in range(plans):
        share = chance.random()
        drawn = {
            name: ("int8", None) if chance.random() < share else chance.choice([*known])
            for name, known in losses.items()
        }
        expected.append(sum(losses[name][choice] for name, choice in drawn.items()))
        measured.append(meter.measure_plan(drawn)[0])
        print(
            f"expected {expected[-1]:.5f} measured {measured[-1]:.5f} ratio {measured[-1] / expected[-1]:.3f}",
            flush=True,
        )
    ratios = np.array(measured) / np.array(expected)
    order = float(np.corrcoef(np.argsort(np.argsort(expected)), np.argsort(np.argsort(measured)))[0, 1])
    print(f"rank correlation {order:.3f}; measured ÷ expected {ratios.mean():.3f} ± {ratios.std():.3f}")


def _build(model: str, backend: str, sizes: Sequence[str], scoring: Path | None) -> None:
    request = BuildRequest("linux-x86_64", model, backend=backend, eval=scoring, limits=Limits(size=1 << 50))
    bounds = open_bounds(request, lambda *_: contextlib.nullcontext())
    problem = bounds.subject.problem()
    made: dict[str, Candidate] = {
        f"uniform {name}": candidate(bounds, problem, uniform_plan(bounds, problem, SCHEMES[name]))
        for name in ("fp16", "int8", "int4")
    }
    for size in sizes:
        made[size] = propose(dataclasses.replace(bounds, limits=Limits(size=parse_bytes(size))))
    measure = measuring(bounds, request, lambda *_: contextlib.nullcontext(), lambda _: None, costs=False)
    for name, one in made.items():
        got = measure(tensor_plan(bounds, one))
        lost, foretold = 1 - got.fidelity, 1 - one.predicted["fidelity"]
        print(
            f"{name:14} {got.size / 1e6:7.3f} MB ({one.predicted['size'] / 1e6:.3f})  lost {lost:.6f} "
            f"({foretold:.2g}, {foretold / max(lost, 1e-6):.2f} times)",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
