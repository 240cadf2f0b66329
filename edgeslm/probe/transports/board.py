"""A microcontroller's firmware on its emulated board: instructions of each position, read from the board's own counter.

Events, in this order: `board` (what it says of itself), `position` for each position that was entered without logits,
then for each greedy step from the first position on, `end`. Of an encoder: `board`, `text` for each length, `end`. Of a
net: `board`, `run`, `end`.
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
from edgeslm.firmware.board import Board, Position
from edgeslm.firmware.emulate import emulated_board
from edgeslm.firmware.net_board import BoardNet
from edgeslm.firmware.qemu import instructions
from edgeslm.formats.archive import open_archive
from edgeslm.probe.settings import OnEvent, ProbeSettings
from edgeslm.target import Target

STEPS = "model/model_steps.json"
LENGTHS = (8, 16, 32, 64, 128, 256, 512)
"""Tokens of an encoder's texts, unless others are asked for; and the longest there is."""
MOST_POSITIONS = 512
"""Unless longer ones are asked for: each is emulated twice."""


def measure(
    bundle: Path,
    manifest: Manifest,
    settings: ProbeSettings,
    announce: Callable[[str], AbstractContextManager[None]],
    on_event: OnEvent,
) -> None:
    """Hand over what the board tells, as it comes.

    Raises MissingToolError, ProbeTimeoutError, DeviceError; what was handed over until then stands.
    """
    ends = time.monotonic() + settings.time_limit_s
    title = f"run on an emulated {manifest.target.name}"
    with announce(title), emulated_board(bundle, manifest) as board:
        on_event({"section": "board", **dataclasses.asdict(board.hello)})
        if manifest.task == "tensors":
            _measure_net(board, bundle, manifest, on_event)
            return
        if manifest.model.language is None:
            _measure_texts(board, manifest.target, settings, on_event, ends)
            return
        count = max(settings.lengths, default=min(board.hello.context, MOST_POSITIONS))
        for prompt, steps in ((count, 0), (0, count)):
            for came in board.probe(prompt, steps):
                if isinstance(came, Position):
                    on_event({"section": "position", **_counted(came, manifest.target)})
                else:
                    last = came
                _require_in_time(ends, settings)
        on_event({"section": "end", "stack_used": last.stack_used, "arena_used": last.arena_used})


def _measure_net(board: Board, bundle: Path, manifest: Manifest, on_event: OnEvent) -> None:
    """`run`: a whole run, and one told step by step; then `end`."""
    engine = BoardNet(board, manifest.model)
    inputs = tensor_inputs(manifest.model.model_dump(mode="json"))
    whole, by_step = engine.measure(inputs), engine.measure(inputs, by_step=True)
    counts = [instructions(manifest.target, ticks) for ticks in by_step.steps]
    steps = _steps(bundle, manifest)
    on_event({"section": "run", "whole": instructions(manifest.target, whole.ticks), "parts": counts, "steps": steps})
    on_event({"section": "end", "stack_used": by_step.stack_used, "arena_used": None})


def _steps(bundle: Path, manifest: Manifest) -> list[str]:
    """What each step is: its kernel, and the operator of the file that it is for."""
    with open_archive(bundle) as archive:
        told = json.loads(archive.read(STEPS, manifest.files[STEPS].bytes))
    return [f"{number} {one['kernel']}: {one['operator']}" for number, one in enumerate(told)]


def _measure_texts(board: Board, target: Target, settings: ProbeSettings, on_event: OnEvent, ends: float) -> None:
    """An encoder's texts: `text` for each length, then `end`."""
    context = board.hello.context
    lengths = settings.lengths or (*(length for length in LENGTHS if length < context), context)
    stack = arena = 0
    for length in lengths:
        told = board.probe_text(length)
        counts = [instructions(target, ticks) for ticks in told.parts]
        on_event({"section": "text", "tokens": length, "whole": instructions(target, told.ticks), "parts": counts})
        stack, arena = max(stack, told.stack_used), max(arena, told.arena_used)
        _require_in_time(ends, settings)
    on_event({"section": "end", "stack_used": stack, "arena_used": arena})


def _require_in_time(ends: float, settings: ProbeSettings) -> None:
    if time.monotonic() > ends:
        raise ProbeTimeoutError(
            f"the probe was not done within {settings.time_limit_s:g} s",
            "--time-limit gives it longer, --length N looks at N tokens alone",
        )


def _counted(position: Position, target: Target) -> dict[str, object]:
    return {
        "position": position.position,
        "logits": position.logits,
        "step": instructions(target, position.ticks),
        "whole": instructions(target, position.whole_ticks),
        "parts": [instructions(target, ticks) for ticks in position.parts],
    }
