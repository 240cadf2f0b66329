"""A microcontroller's firmware on its board, at a serial port or emulated: what the board's own counter tells of each
position.

Events, in this order: `board` (what it says of itself), `position` for each position that was entered without logits,
then for each greedy step from the first position on, `end`. Of an encoder: `board`, `text` for each length, `end`. Of a
net: `board`, `run` (a whole run, and one told step by step), `end`.
Counts are cycles of the core's clock; of an emulated board they are instructions. `end` has the sum of them, and the
seconds that passed here meanwhile.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from edgeslm.bundle.manifest import Manifest
from edgeslm.device.probe.inputs import tensor_inputs
from edgeslm.errors import ProbeTimeoutError
from edgeslm.firmware.board import Board
from edgeslm.firmware.net_board import BoardNet, Ran
from edgeslm.firmware.open_board import open_board
from edgeslm.firmware.qemu import instructions
from edgeslm.firmware.told import Done, Position
from edgeslm.formats.archive import open_archive
from edgeslm.probe.firmware_counts import uncounted
from edgeslm.probe.settings import OnEvent, ProbeSettings

STEPS = "model/model_steps.json"
LENGTHS = (8, 16, 32, 64, 128, 256, 512)
"""Tokens of an encoder's texts, unless others are asked for; and the longest there is."""
MOST_POSITIONS = 512
"""Unless longer ones are asked for: each is run twice."""


def measure(
    bundle: Path,
    manifest: Manifest,
    via: str,
    settings: ProbeSettings,
    announce: Callable[[str], AbstractContextManager[None]],
    on_event: OnEvent,
) -> None:
    """Hand over what the board tells, as it comes.

    Raises MissingToolError, ProbeTimeoutError, DeviceError; what was handed over until then stands.
    """
    where = f"an emulated {manifest.target.name}" if via == "qemu" else via
    with announce(f"run on {where}"), open_board(bundle, manifest, via) as board:
        on_event({"section": "board", **dataclasses.asdict(board.hello)})
        steps = _steps(bundle, manifest) if manifest.task == "tensors" else []
        measuring = _Measuring(board, manifest, settings, on_event, steps)
        if via != "qemu" and board.hello.emulated:
            measuring.require_counted_instructions()
        measuring.run()


def _steps(bundle: Path, manifest: Manifest) -> list[str]:
    """What each step of a net is: its kernel, and the operator of the file that it is for."""
    with open_archive(bundle) as archive:
        told = json.loads(archive.read(STEPS, manifest.files[STEPS].bytes))
    return [f"{number} {one['kernel']}: {one['operator']}" for number, one in enumerate(told)]


class _Measuring:
    """`steps`: what those of a net are; none of other models."""

    def __init__(
        self, board: Board, manifest: Manifest, settings: ProbeSettings, on_event: OnEvent, steps: list[str]
    ) -> None:
        self._board = board
        self._model = manifest.model
        self._steps = steps
        self._target = manifest.target
        self._speaks = manifest.model.language is not None
        self._settings = settings
        self._on_event = on_event
        self._started = time.monotonic()
        self._counted = 0

    def require_counted_instructions(self) -> None:
        """Raises DeviceError where an emulator that somebody else started does not let its clock count instructions."""
        first, second = (self._once() for _ in range(2))
        if first != second:
            raise uncounted()

    def _once(self) -> object:
        if self._steps:
            return self._run_net(by_step=True)
        if not self._speaks:
            told = self._board.probe_text(1)
            return told.ticks, told.parts
        return [(came.ticks, came.parts) for came in self._board.probe(0, 1) if isinstance(came, Position)]

    def run(self) -> None:
        if self._steps:
            self._net()
        elif self._speaks:
            self._positions()
        else:
            self._texts()

    def _positions(self) -> None:
        count = max(self._settings.lengths, default=min(self._board.hello.context, MOST_POSITIONS))
        for prompt, steps in ((count, 0), (0, count)):
            for came in self._board.probe(prompt, steps):
                if isinstance(came, Done):
                    last = came
                    continue
                self._on_event(
                    {
                        "section": "position",
                        "position": came.position,
                        "logits": came.logits,
                        "step": self._count(came.ticks),
                        "whole": self._count(came.whole_ticks),
                        "parts": [self._count(ticks) for ticks in came.parts],
                    }
                )
                self._counted += came.whole_ticks
                self._require_in_time()
        self._end(last.stack_used, last.arena_used)

    def _run_net(self, *, by_step: bool) -> Ran:
        inputs = tensor_inputs(self._model.model_dump(mode="json"))
        return BoardNet(self._board, self._model).measure(inputs, by_step=by_step)

    def _net(self) -> None:
        whole, by_step = self._run_net(by_step=False), self._run_net(by_step=True)
        parts = [self._count(ticks) for ticks in by_step.steps]
        told = {"tokens": None, "whole": self._count(whole.ticks), "parts": parts, "steps": self._steps}
        self._on_event({"section": "run", **told})
        self._counted = whole.ticks + by_step.ticks
        self._end(by_step.stack_used, None)

    def _texts(self) -> None:
        context = self._board.hello.context
        lengths = self._settings.lengths or (*(length for length in LENGTHS if length < context), context)
        stack = arena = 0
        for length in lengths:
            told = self._board.probe_text(length)
            counts = [self._count(ticks) for ticks in told.parts]
            self._on_event({"section": "text", "tokens": length, "whole": self._count(told.ticks), "parts": counts})
            self._counted += told.ticks
            stack, arena = max(stack, told.stack_used), max(arena, told.arena_used)
            self._require_in_time()
        self._end(stack, arena)

    def _end(self, stack_used: int, arena_used: int | None) -> None:
        elapsed = time.monotonic() - self._started
        told = {"stack_used": stack_used, "arena_used": arena_used, "counted": self._counted, "elapsed_s": elapsed}
        self._on_event({"section": "end", **told})

    def _count(self, ticks: int) -> int:
        return instructions(self._target, ticks) if self._board.hello.emulated else ticks

    def _require_in_time(self) -> None:
        if time.monotonic() - self._started > self._settings.time_limit_s:
            raise ProbeTimeoutError(
                f"the probe was not done within {self._settings.time_limit_s:g} s",
                "--time-limit gives it longer, --length N looks at N tokens alone",
            )
