"""The story of a probe: what is measured, in which order. Each section is one event, told as soon as it is known.

Memory is read before the profile, which opens the model a second time; the profile comes last, because it goes
through native interfaces that could end the process.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DeviceError, NoEnergyError, UsageError
from .emulator import is_emulated
from .machine import condition, describe_device, has_throttled
from .memory import memory
from .stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..model import Model

Event = dict[str, Any]

PROTOCOL = 1
REFERENCE_TOKENS = 64
"""The length whose figures stand at the top of a report, or the nearest that the model has."""
WARM_UP = 3
COUNTED_RUNS = 2
"""Under an emulator, instead of the runs asked for: it is slow, and counts hardly vary."""
SLOW_S = 0.5
SMALL_WARM_UP, SMALL_COUNTED_RUNS = 24, 9
"""For a model whose inference takes the emulator less than SLOW_S. Beside a large model Python's own share is nothing;
beside a small one it shows, until its loops have been specialized (PEP 659), and by some hundred instructions after."""
PROFILED_RUNS = 5
PROFILE_FACTOR = 3
"""Times the model's peak memory: MiniLM in fp32 takes 287 MiB without the cache of packed weights, 86 with it."""
BATCHES = (1, 8, 32)
BATCH_S = 0.5
"""At least this long for each batch size, and at least one batch."""
EXAMPLE_LENGTHS = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    bundle: Path
    runs: int = 50
    threads: int = 2
    lengths: tuple[int, ...] = ()  # all, if not given
    meter: str | None = None
    counted: bool = False  # an emulator counts instructions between marks


def probe(options: Options) -> Iterator[Event]:
    """Every section in order. Raises DeviceError where the bundle cannot be run at all."""
    emulated = is_emulated()
    wall, monotonic = time.time(), time.monotonic()
    yield _start(options, emulated)
    before = condition()
    yield {"section": "device", **describe_device(), "condition": before}

    stopwatch = Stopwatch()
    opened: list[Model] = []
    load_ms = stopwatch.time(lambda: opened.append(_open(options)))
    model = opened[0]
    feeds = _feeds(model, options.lengths)
    reference = reference_length(list(feeds))
    first_run_ms = stopwatch.time(lambda: model.runner.run(feeds[reference]))
    yield {
        "section": "load",
        "runtime": model.runner.engine.name,
        "runtime_version": _version(model.runner.engine.name),
        "reference_tokens": reference,
        "load_ms": None if emulated else load_ms,
        "first_run_ms": None if emulated else first_run_ms,
    }

    if options.counted:
        _mark()  # what two marks take with nothing in between
        _mark()
    for tokens, inputs in feeds.items():
        yield {"section": "length", "tokens": tokens, **_length(model, inputs, options, emulated, stopwatch)}
    if not emulated:
        for batch in BATCHES:
            yield {"section": "throughput", **_throughput(model, feeds, batch)}
    taken = memory(emulated)
    yield {"section": "memory", **taken}
    yield {"section": "energy", **_energy(options, emulated, lambda: model.runner.run(feeds[reference]))}

    model.close()
    reload_ms = None
    if not emulated:
        reload_ms = stopwatch.time(lambda: opened.append(_open(options)))
        opened[-1].close()
    after = condition()
    yield {
        "section": "after",
        "condition": after,
        "throttled": has_throttled(before, after),
        "reload_ms": reload_ms,
        "clock_backwards": stopwatch.discarded,
    }
    if _is_short_of_memory(after, taken["peak_rss"], emulated):
        why_not = "the device has too little free memory to open the model once more"
        yield {
            "section": "profile",
            "tokens": reference,
            "signature": None,
            "runs": 0,
            "operators": [],
            "why_not": why_not,
        }
    else:
        yield {"section": "profile", **_profile(model, feeds[reference], reference, options)}
    # A wall clock that was set in the meantime explains odd dates in logs; no duration here rests on it.
    stepped = (time.time() - wall) - (time.monotonic() - monotonic)
    yield {"section": "end", "wall_clock_stepped_s": round(stepped, 3)}


def reference_length(lengths: Sequence[int | None]) -> int | None:
    """The length nearest to REFERENCE_TOKENS; None for a model without lengths."""
    known = [length for length in lengths if length is not None]
    return min(known, key=lambda length: (abs(length - REFERENCE_TOKENS), length), default=None)


def _start(options: Options, emulated: bool) -> Event:
    return {
        "section": "start",
        "protocol": PROTOCOL,
        "pid": os.getpid(),
        "pgid": os.getpgrp(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "emulated": emulated,
        "runs": options.runs,
        "threads": _threads(options),
    }


def _threads(options: Options) -> int:
    return 1 if options.counted else options.threads


def _open(options: Options) -> Model:
    from ..model import Model  # here: numpy's import is part of what a user waits for

    return Model.open(options.bundle, threads=_threads(options))


def _feeds(model: Model, asked: tuple[int, ...]) -> dict[int | None, dict[str, NDArray[Any]]]:
    """Length bucket -> inputs that fill it; None -> the inputs of a plain module."""
    from .inputs import tensor_inputs, text_inputs

    described = model.manifest["model"]
    if model.tokenizer is None:
        return {None: tensor_inputs(described)}
    lengths = model.runner.lengths or [n for n in EXAMPLE_LENGTHS if n <= model.tokenizer.max_length]
    unknown = sorted(set(asked) - set(lengths))
    if unknown:
        there = ", ".join(map(str, lengths))
        raise UsageError(f"{model.name} has no length of {unknown[0]} tokens", f"its lengths are {there}")
    return {
        tokens: text_inputs(described, tokens, model.tokenizer.vocabulary)
        for tokens in lengths
        if not asked or tokens in asked
    }


def _length(
    model: Model, inputs: dict[str, NDArray[Any]], options: Options, emulated: bool, stopwatch: Stopwatch
) -> Event:
    if options.counted:
        return _counted(model, inputs)
    for _ in range(WARM_UP):
        model.runner.run(inputs)
    if emulated:
        return {"warm_up_runs": WARM_UP, "samples_ms": [], "discarded": 0, "counted_runs": 0}
    samples, discarded = stopwatch.sample(lambda: model.runner.run(inputs), options.runs)
    return {"warm_up_runs": WARM_UP, "samples_ms": samples, "discarded": discarded, "counted_runs": 0}


def _counted(model: Model, inputs: dict[str, NDArray[Any]]) -> Event:
    gc.collect()
    gc.disable()  # when it comes depends on all that was allocated before
    started = time.monotonic()
    model.runner.run(inputs)
    slow = time.monotonic() - started > SLOW_S
    warm_up, runs = (1, COUNTED_RUNS) if slow else (SMALL_WARM_UP, SMALL_COUNTED_RUNS)
    for _ in range(warm_up - 1):
        model.runner.run(inputs)
    for _ in range(runs):
        _mark()
        model.runner.run(inputs)
        _mark()
    gc.enable()
    return {"warm_up_runs": warm_up, "samples_ms": [], "discarded": 0, "counted_runs": runs}


def _mark() -> None:
    """A system call that nothing here makes by itself: the emulator's plugin sees it and writes its count down."""
    os.getppid()


def _throughput(model: Model, feeds: dict[int | None, dict[str, NDArray[Any]]], batch: int) -> Event:
    """Batches of texts through the method of the model's task, tokenizing included."""
    from ..answer import answer_texts
    from .inputs import batch_of_texts

    tokens: int | None = None
    run: Callable[[], object]
    if model.tokenizer is None:
        inputs = next(iter(feeds.values()))

        def run() -> object:
            return [model.runner.run(inputs) for _ in range(batch)]
    else:
        mask = f" {model.tokenizer.mask_token}" if model.task == "fill-mask" else ""
        texts = [text + mask for text in batch_of_texts(batch)]
        tokens = sum(len(model.encode(text).ids) for text in texts)

        def run() -> object:
            return answer_texts(model, texts)

    run()
    done, started = 0, time.perf_counter()
    while done == 0 or time.perf_counter() - started < BATCH_S:
        run()
        done += 1
    seconds = time.perf_counter() - started
    return {
        "batch": batch,
        "batches": done,
        "texts_per_s": done * batch / seconds if seconds > 0 else None,
        "tokens_per_s": done * tokens / seconds if tokens and seconds > 0 else None,
    }


def _energy(options: Options, emulated: bool, run: Callable[[], object]) -> Event:
    from .energy import find_source, measure_energy

    if emulated:
        return {"measured": False, "why_not": "an emulator takes its host's energy, not a device's"}
    try:
        return measure_energy(find_source(options.meter), run)
    except NoEnergyError as error:
        if options.meter is not None:
            raise
        return {"measured": False, "why_not": error.message}


def _is_short_of_memory(after: dict[str, Any], peak_rss: int | None, emulated: bool) -> bool:
    """Whether a profile might cost the whole probe: it packs the weights without the engine's cache of them."""
    available = after["memory_available_mib"]
    if emulated or available is None or peak_rss is None:
        return False
    return bool(available * (1 << 20) < PROFILE_FACTOR * peak_rss)


def _profile(model: Model, inputs: dict[str, NDArray[Any]], tokens: int | None, options: Options) -> Event:
    from ..container import open_container
    from .profile import profile_operators

    described, files = model.manifest["model"], open_container(options.bundle).files
    signature = described["signatures"].get(str(tokens))
    runs = COUNTED_RUNS if options.counted else PROFILED_RUNS
    mark = _mark if options.counted else None
    try:
        found = profile_operators(described, files, _threads(options), inputs, signature, runs, mark)
    except DeviceError as error:
        return {"tokens": tokens, "signature": signature, "runs": 0, "operators": [], "why_not": error.message}
    return {"tokens": tokens, "signature": signature, "runs": runs, **found.event()}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
