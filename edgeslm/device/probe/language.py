"""What is measured of a language model: the first token of prompts, and steps at several depths.

All of it goes through the loop that answers users (generate.py): choosing the likeliest token and making text of it are
part of a step. A depth is how many tokens prompt and answer have when the last of its steps is done.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..generate import Generation
from ..sampling import Sampling
from ..text_stream import TextStream
from .bandwidth import read_bandwidth
from .inputs import prompt_ids
from .language_profile import profile_step
from .mark import mark, steady
from .options import Options
from .stopwatch import Stopwatch

if TYPE_CHECKING:
    from ..model import Model

Event = dict[str, Any]

REFERENCE_TOKENS = 128
PROMPTS = (16, 128, 512)
DEPTHS = (16, 128, 256, 512, 1024, 2048, 4096, 8192)
LEAST_DEPTH = 4
PROMPT_SHARE, LEAST_PROMPTS = 10, 3
"""A prompt takes as long as many steps: one for PROMPT_SHARE steps that were asked for, and LEAST_PROMPTS at least."""
SPAN = 24
"""Tokens of an answer, at most: its steps lie close before the depth that is measured, and it begins again."""
WARM_UP = 8
"""Steps of each answer that are not measured: the text's window fills."""
COUNTED_RUNS = 2
SLOW_S, SLOW_SPAN = 0.05, 4
"""A step that takes the emulator longer is a large model's: few of them are counted, as Python's share is nothing."""
SMALL_WARM_UP, SMALL_COUNTED_RUNS = 5, 3
"""Answers: those before are needed until Python's loops have been specialized (PEP 659)."""
SLOW_PROMPT_S, SMALL_PROMPT_WARM_UP = 0.5, 24
"""Prompts: each runs the loop but once."""
EMULATED_S = 60.0
"""What entering one length's prompts may take an emulator; longer ones are left out unless they are asked for."""


@dataclass(frozen=True)
class Answer:
    """How a depth is reached: from a prompt of `prompt` tokens by `steps` steps, the first `warm_up` not measured."""

    prompt: int
    steps: int
    warm_up: int

    @property
    def measured(self) -> int:
        return self.steps - self.warm_up


def answer_to(depth: int, span: int = SPAN, warm_up: int = WARM_UP) -> Answer:
    """The answer after which prompt and answer have `depth` tokens, at least LEAST_DEPTH; the last one's logits are
    never asked for, as the context may end there."""
    prompt = max(depth // 2, depth - span)
    steps = depth - prompt - 1
    return Answer(prompt, steps, min(warm_up, steps // 2))


class LanguageSubject:
    """Prompts of several lengths, and steps at several depths; the same of both where lengths were asked for."""

    wanted = REFERENCE_TOKENS

    def __init__(self, model: Model, options: Options, emulated: bool, stopwatch: Stopwatch) -> None:
        language, tokenizer = model._language, model.tokenizer
        assert language is not None
        assert tokenizer is not None  # no language model is opened without one
        self._model = model
        self._context = language.context
        self._tokenizer = tokenizer
        self._options = options
        self._emulated = emulated
        self._stopwatch = stopwatch
        engine = language.context.engine
        self._room = engine.context
        self._ids = prompt_ids(engine.context, engine.vocabulary)
        self._prompts, self._depths = self._choose(options.lengths)
        self._running: Iterator[object] = iter(())
        self._prompt_token_s = 0.0  # what one takes here, as last seen

    @property
    def runtime(self) -> str:
        return self._context.engine.name

    @property
    def lengths(self) -> list[int | None]:
        return list(self._depths or self._prompts)

    def first(self, reference: int | None) -> None:
        """The first token to the prompt nearest to the reference."""
        prompt = min(self._prompts or [1], key=lambda tokens: abs(tokens - (reference or 0)))
        next(self._answer(prompt, 1, reuse=False))

    def run(self, reference: int | None) -> None:
        """A step near the reference depth; where an answer ends, the next one begins by a step as well."""
        if next(self._running, None) is None:
            answer = answer_to(max(reference or 0, LEAST_DEPTH))
            self._running = iter(self._answer(answer.prompt, answer.steps + 1, reuse=True))
            next(self._running)

    def measure(self) -> Iterator[Event]:
        for tokens in self._prompts:
            yield {"section": "prompt", "tokens": tokens, **self._prompt(tokens)}
        for depth in self._depths:
            yield {"section": "decode", "depth": depth, **self._decode(depth)}

    def measure_device(self, available_mib: float | None) -> Iterator[Event]:
        yield {"section": "bandwidth", **read_bandwidth(self._options.threads_used, available_mib)}

    def profile(self, reference: int | None) -> Event:
        """The runtime's profile of one step, for which the model is opened once more."""
        return profile_step(self._model.manifest, self._options, max(reference or 0, 1))

    def _choose(self, asked: tuple[int, ...]) -> tuple[list[int], list[int]]:
        too_long = [tokens for tokens in asked if tokens > self._room]
        if too_long:
            raise UsageError(
                f"{self._model.name} has no length of {too_long[0]} tokens",
                f"prompt and answer together have room for {self._room}",
            )
        prompts = [tokens for tokens in asked or PROMPTS if tokens < self._room]
        depths = [depth for depth in asked or DEPTHS if LEAST_DEPTH <= depth <= self._room]
        return prompts or ([] if asked else [max(1, self._room // 2)]), depths

    def _answer(self, prompt: int, tokens: int, *, reuse: bool, timings: bool = False) -> Generation:
        return Generation(
            self._context,
            self._ids[:prompt],
            TextStream(self._tokenizer),
            end_ids=frozenset(),  # it goes on: a model may end its answer at any token
            sampling=Sampling(),
            max_tokens=tokens,
            reuse_cache=reuse,
            timings=timings,
        )

    def _prompt(self, tokens: int) -> Event:
        if self._options.counted:
            return self._counted_prompt(tokens)
        if self._emulated:
            return _prompt_event(0)
        prefills: list[float] = []

        def first_token() -> None:
            answer = self._answer(tokens, 1, reuse=False, timings=True)
            next(answer)
            if answer.finish is not None and answer.finish.timings is not None:
                prefills.append(1e3 * answer.finish.timings.prefill)

        first_token()
        prefills.clear()
        runs = max(LEAST_PROMPTS, self._options.runs // PROMPT_SHARE)
        samples, discarded = self._stopwatch.sample(first_token, runs)
        known = [value for value in prefills if value > 0]
        return _prompt_event(1, samples, discarded, statistics.median(known) if known else None)

    def _decode(self, depth: int) -> Event:
        if self._options.counted:
            return self._counted_decode(depth)
        answer = answer_to(depth)
        if self._emulated:
            return _decode_event(answer)
        samples: list[float] = []
        outside: list[float] = []
        discarded = 0
        while len(samples) + discarded < self._options.runs:
            running = self._begun(answer, timings=True)
            left = self._options.runs - len(samples) - discarded
            taken, gone = self._stopwatch.sample(lambda: next(running), min(left, answer.measured))  # noqa: B023
            samples, discarded = samples + taken, discarded + gone
            running.close()
            if running.finish is not None and running.finish.timings is not None:
                outside += running.finish.timings.outside[answer.warm_up :]
        outside_ms = 1e3 * statistics.median(outside)
        return _decode_event(answer, samples, discarded, outside_ms if outside_ms > 0 else None)

    def _begun(self, answer: Answer, timings: bool = False) -> Generation:
        """An answer whose first token and warm-up are done. Of the prompt only what is new is entered."""
        running = self._answer(answer.prompt, answer.steps + 1, reuse=True, timings=timings)
        for _ in range(1 + answer.warm_up):
            next(running)
        return running

    def _counted_prompt(self, tokens: int) -> Event:
        runs = COUNTED_RUNS
        why_not = self._too_slow(tokens, 1 + runs)
        if why_not:
            return _prompt_event(0, why_not=why_not)
        with steady():
            started = time.monotonic()
            next(self._answer(tokens, 1, reuse=False))
            seconds = time.monotonic() - started
            self._prompt_token_s = seconds / tokens
            warm_up, runs = (1, runs) if seconds > SLOW_PROMPT_S else (SMALL_PROMPT_WARM_UP, SMALL_COUNTED_RUNS)
            for _ in range(warm_up - 1):
                next(self._answer(tokens, 1, reuse=False))
            for _ in range(runs):
                mark()
                next(self._answer(tokens, 1, reuse=False))
                mark()
        return _prompt_event(warm_up, counted_runs=runs)

    def _counted_decode(self, depth: int) -> Event:
        answer = answer_to(depth)
        entered = len(self._context.ids)
        why_not = self._too_slow(answer.prompt - min(entered, answer.prompt), 1)
        if why_not:
            return _decode_event(answer, why_not=why_not)
        with steady():
            running = self._answer(answer.prompt, 2, reuse=True)
            next(running)
            started = time.monotonic()
            next(running)
            warm_up, runs = SMALL_WARM_UP, SMALL_COUNTED_RUNS
            if time.monotonic() - started > SLOW_S:
                answer, warm_up, runs = answer_to(depth, SLOW_SPAN, 1), 0, COUNTED_RUNS
            for number in range(warm_up + runs):
                running = self._begun(answer)
                if number < warm_up:
                    running.read()
                    continue
                mark()
                for _ in range(answer.measured):
                    next(running)
                mark()
        return _decode_event(answer, counted_runs=runs)

    def _too_slow(self, tokens: int, times: int) -> str | None:
        expected = self._prompt_token_s * tokens * times
        if expected <= EMULATED_S or self._options.lengths:
            return None
        return f"entering its prompt would take the emulator about {expected:.0f} s; --length asks for it all the same"


def _prompt_event(
    warm_up: int,
    samples: list[float] | None = None,
    discarded: int = 0,
    prefill_ms: float | None = None,
    counted_runs: int = 0,
    why_not: str | None = None,
) -> Event:
    return {
        "warm_up_runs": warm_up,
        "samples_ms": samples or [],
        "discarded": discarded,
        "prefill_ms": prefill_ms,
        "counted_runs": counted_runs,
        "why_not": why_not,
    }


def _decode_event(
    answer: Answer,
    samples: list[float] | None = None,
    discarded: int = 0,
    outside_ms: float | None = None,
    counted_runs: int = 0,
    why_not: str | None = None,
) -> Event:
    return {
        "warm_up_steps": answer.warm_up,
        "samples_ms": samples or [],
        "discarded": discarded,
        "outside_ms": outside_ms,
        "counted_runs": counted_runs,
        "counted_steps": answer.measured,
        "why_not": why_not,
    }
