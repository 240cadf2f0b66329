"""Plans chosen under a limit on instructions or latency, against uniform schemes: all built, scored and measured.

scripts/bench choice --target rpi4                       # MiniLM, at what uniform int8 takes, and a little more
scripts/bench choice --target rpi4 --model FOLDER --at 1.1

A plan's share is what it takes against the fastest uniform scheme that keeps no less.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
import time

from edgeslm.limits import Limits, amount
from edgeslm.pipeline import BuildRequest
from edgeslm.quantize.plan import TensorPlan, choose_precisions
from edgeslm.quantize.schemes import SCHEMES
from edgeslm.search.choose import Measurement, choose
from edgeslm.search.open_subject import open_bounds
from edgeslm.search.run import measuring

UNIFORM = ("int8", "fp32", "fp16", "int8-static")
"""int4 is no rival on any core that has a profile: it takes more than int8 and keeps less."""
LANGUAGE = ("int8", "fp32")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench choice", description=__doc__)
    parser.add_argument("--target", default="rpi4")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--at", type=float, nargs="+", default=[1.0], help="limits, as shares of uniform int8's")
    given = parser.parse_args()
    started = time.monotonic()
    request = BuildRequest(given.target, given.model, backend="tflite", limits=Limits(size=1 << 50))
    bounds = open_bounds(request, lambda *_: contextlib.nullcontext())
    name = bounds.cost_name
    print(f"{bounds.subject.checkpoint.name}, {given.target}: known after {time.monotonic() - started:.0f} s")
    measure = measuring(bounds, request, lambda *_: contextlib.nullcontext(), _tell, costs=True)
    uniform: dict[str, Measurement] = {}
    for scheme in LANGUAGE if bounds.language else UNIFORM:
        choices = choose_precisions(bounds.subject.checkpoint.parameters, SCHEMES[scheme])
        uniform[scheme] = measure(TensorPlan(scheme, "tflite", choices, f"uniform {scheme}"))
        _show(f"uniform {scheme}", uniform[scheme])
    for share in given.at:
        limit = share * uniform["int8"].known()[name]
        limits = Limits(latency_ms=limit) if name == "latency" else Limits(instructions=limit)
        winner = choose(dataclasses.replace(bounds, limits=limits), measure).winner
        assert winner.measured is not None
        _show(f"chosen at {share:g} of int8's {name}", winner.measured)
        rivals = {one: known for one, known in uniform.items() if known.fidelity >= winner.measured.fidelity}
        if rivals:
            best = min(rivals, key=lambda one: rivals[one].known()[name])
            share_of = winner.known[name] / rivals[best].known()[name]
            print(f"  {share_of:.3f} of the fastest uniform scheme of no less fidelity, {best}")
    print(f"{time.monotonic() - started:.0f} s")
    return 0


def _tell(line: str) -> None:
    if "predicted alone" in line:
        sys.exit(line)


def _show(title: str, measured: Measurement) -> None:
    print(f"{title:32}", *(f"{name} {amount(name, value)}" for name, value in measured.known().items()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
