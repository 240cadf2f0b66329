"""How well the losses of single tensors, of the choices that a search measures, foretell that of a plan: random mixed
plans, expected against measured.

python -m scripts.sensitivity demo tflite          # MiniLM
python -m scripts.sensitivity FOLDER tflite --plans 20
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time

import numpy as np

from edgeslm.backends import round_values
from edgeslm.cache import StageCache, cache_folder
from edgeslm.export.language_reference import written_texts
from edgeslm.export.tensor_losses import LossMeter
from edgeslm.formats.samples import read_samples
from edgeslm.pipeline import BuildRequest, encoder_stages, plan
from edgeslm.quantize.choices import allowed_choices
from edgeslm.search.losses import measured_choices
from edgeslm.stages.sensitivity import ROWS, sensitivity_stage


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("backend", choices=sorted(ROWS))
    parser.add_argument("--plans", type=int, default=12)
    arguments = parser.parse_args()
    cache = StageCache(cache_folder(), lambda *_: contextlib.nullcontext())
    request = BuildRequest("linux-x86_64", arguments.model, scheme="int4", backend=arguments.backend)
    decision = plan(request, cache)
    checkpoint = decision.checkpoint
    language = checkpoint.decoder is not None
    calibration = None
    if not language:
        stages = encoder_stages(cache, decision)
        calibration = stages.calibration_samples(stages.export())
    allowed = {one.name: allowed_choices(one, arguments.backend, language=language) for one in checkpoint.parameters}
    choices = {name: measured_choices(found) for name, found in allowed.items() if len(found) > 1}
    started, used = time.monotonic(), time.process_time()
    found = sensitivity_stage(cache, checkpoint, arguments.backend, calibration, choices)
    spent = f"{time.monotonic() - started:.0f} s, processor time {time.process_time() - used:.0f} s"
    print(f"{checkpoint.name}: {len(found.tensors)} tensors, {found.samples} texts, {found.tokens} tokens, {spent}")
    read = read_samples(calibration.path)[: calibration.count] if calibration else written_texts(checkpoint)
    meter = LossMeter(checkpoint, read, found.texts)
    chance = random.Random(0)
    losses = found.losses
    expected, measured = [], []
    for _ in range(arguments.plans):
        share = chance.random()
        drawn = {
            name: ("int8", None) if chance.random() < share else chance.choice([*known])
            for name, known in losses.items()
        }
        expected.append(sum(losses[name][choice] for name, choice in drawn.items()))
        row = ROWS[arguments.backend]
        measured.append(meter.measure_plan(drawn, lambda *asked: round_values(arguments.backend, *asked), row)[0])
        print(
            f"expected {expected[-1]:.5f} measured {measured[-1]:.5f} ratio {measured[-1] / expected[-1]:.3f}",
            flush=True,
        )
    ratios = np.array(measured) / np.array(expected)
    order = float(np.corrcoef(np.argsort(np.argsort(expected)), np.argsort(np.argsort(measured)))[0, 1])
    print(f"rank correlation {order:.3f}; measured ÷ expected {ratios.mean():.3f} ± {ratios.std():.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
