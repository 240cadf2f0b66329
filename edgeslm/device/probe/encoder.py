"""What is measured of a model that answers at once: an encoder, or a plain module."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..container import open_container
from ..errors import DeviceError, UsageError
from .inputs import batch_of_texts, tensor_inputs, text_inputs
from .mark import mark, steady
from .options import Options
from .profile import profile_operators
from .stopwatch import Stopwatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..model import Model

Event = dict[str, Any]

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
BATCHES = (1, 8, 32)
BATCH_S = 0.5
"""At least this long for each batch size, and at least one batch."""
EXAMPLE_LENGTHS = (16, 32, 64, 128, 256)


class EncoderSubject:
    """One inference at each length bucket, and batches of texts."""

    wanted = REFERENCE_TOKENS

    def __init__(self, model: Model, options: Options, emulated: bool, stopwatch: Stopwatch) -> None:
        self._model = model
        self._options = options
        self._emulated = emulated
        self._stopwatch = stopwatch
        self._feeds = _feeds(model, options.lengths)

    @property
    def runtime(self) -> str:
        return self._model.runner.engine.name

    @property
    def lengths(self) -> list[int | None]:
        return list(self._feeds)

    def first(self, reference: int | None) -> None:
        self.run(reference)

    def run(self, reference: int | None) -> None:
        """One inference at the reference length."""
        self._model.runner.run(self._feeds[reference])

    def measure(self) -> Iterator[Event]:
        for tokens, inputs in self._feeds.items():
            yield {"section": "length", "tokens": tokens, **self._length(inputs)}
        if not self._emulated:
            for batch in BATCHES:
                yield {"section": "throughput", **_throughput(self._model, self._feeds, batch)}

    def measure_device(self, available_mib: float | None) -> Iterator[Event]:
        yield from ()

    def profile(self, reference: int | None) -> Event:
        """The runtime's profile, for which the model is opened once more."""
        options, described = self._options, self._model.manifest["model"]
        signature = described["signatures"].get(str(reference))
        runs = COUNTED_RUNS if options.counted else PROFILED_RUNS
        files, marked = open_container(options.bundle).files, mark if options.counted else None
        try:
            inputs = self._feeds[reference]
            found = profile_operators(described, files, options.threads_used, inputs, signature, runs, marked)
        except DeviceError as error:
            return {"signature": signature, "runs": 0, "operators": [], "why_not": error.message}
        return {"signature": signature, "runs": runs, **found.event()}

    def _length(self, inputs: dict[str, NDArray[Any]]) -> Event:
        if self._options.counted:
            return self._counted(inputs)
        run = self._model.runner.run
        for _ in range(WARM_UP):
            run(inputs)
        if self._emulated:
            return {"warm_up_runs": WARM_UP, "samples_ms": [], "discarded": 0, "counted_runs": 0}
        samples, discarded = self._stopwatch.sample(lambda: run(inputs), self._options.runs)
        return {"warm_up_runs": WARM_UP, "samples_ms": samples, "discarded": discarded, "counted_runs": 0}

    def _counted(self, inputs: dict[str, NDArray[Any]]) -> Event:
        run = self._model.runner.run
        with steady():
            started = time.monotonic()
            run(inputs)
            slow = time.monotonic() - started > SLOW_S
            warm_up, runs = (1, COUNTED_RUNS) if slow else (SMALL_WARM_UP, SMALL_COUNTED_RUNS)
            for _ in range(warm_up - 1):
                run(inputs)
            for _ in range(runs):
                mark()
                run(inputs)
                mark()
        return {"warm_up_runs": warm_up, "samples_ms": [], "discarded": 0, "counted_runs": runs}


def _feeds(model: Model, asked: tuple[int, ...]) -> dict[int | None, dict[str, NDArray[Any]]]:
    """Length bucket -> inputs that fill it; None -> the inputs of a plain module."""
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


def _throughput(model: Model, feeds: dict[int | None, dict[str, NDArray[Any]]], batch: int) -> Event:
    """Batches of texts through the method of the model's task, tokenizing included."""
    from ..answer import answer_texts

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
