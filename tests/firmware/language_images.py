"""stories260k generated and built for microcontrollers: what tests and scripts/bench mcu count and weigh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from edgeslm.artifacts import Checkpoint, KvCache, QuantPlan
from edgeslm.backends.cortexm.budget import FirmwareBudget
from edgeslm.backends.cortexm.language import program_language, write_language
from edgeslm.backends.cortexm.memory import live_bytes
from edgeslm.backends.cortexm.variant import Variant, choose_variant
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.firmware.board import Board
from edgeslm.firmware.image import Image, build_image
from edgeslm.firmware.qemu import emulated, instructions
from edgeslm.firmware.told import Position
from edgeslm.formats.moments import open_moments
from edgeslm.formats.safetensors_weights import SafetensorsWeights
from edgeslm.quantize.constants import plan_constants
from edgeslm.stages.firmware import static_limits
from edgeslm.stages.firmware_graph import step_graph
from edgeslm.stages.firmware_plan import FirmwareSizes, firmware_choices
from edgeslm.stages.language import weight_files_of
from edgeslm.stages.tokenizer import tokenizer_of
from edgeslm.target import load_target
from edgeslm.tokenizer.table import compile_table

if TYPE_CHECKING:
    from edgeslm.backends import LimitsOf, MomentsOf

MODEL = Path(__file__).parents[3] / "shared" / "models" / "stories260k"


@dataclass(frozen=True)
class Made:
    """The model generated for a target, with the budget it was planned with. `needed`: live set and KV cache, bytes."""

    folder: Path
    target: str
    context: int
    budget: FirmwareBudget
    variant: Variant
    needed: int


class StoriesImages:
    """Generates and builds below a folder, everything once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.checkpoint: Checkpoint = open_checkpoint(str(MODEL))
        self._table = compile_table(tokenizer_of(self.checkpoint))
        self._made = cache(self._make)
        self._built = cache(self._build)

    def make(
        self, target: str, scheme: str, context: int, kv_cache: KvCache = "float32", seen: Path | None = None
    ) -> Made:
        """The generated C. `seen` in calibration: moments for int4, which else is rounded plainly, or magnitudes for
        int8-static, whose ranges else are all the same."""
        return self._made(target, scheme, context, kv_cache, seen)

    def _make(self, target: str, scheme: str, context: int, kv_cache: KvCache, seen: Path | None) -> Made:
        out = self._folder / f"{target}-{scheme}-{context}-{kv_cache}{'-calibrated' if seen else ''}"
        out.mkdir()
        static = scheme == "int8-static"
        if seen is None:
            return self._write(target, scheme, context, kv_cache, None, (lambda _: 8.0) if static else None, out)
        with open_moments(seen) as known:
            moments, limits = (None, static_limits(known)) if static else (known, None)
            return self._write(target, scheme, context, kv_cache, moments, limits, out)

    def _write(
        self,
        target: str,
        scheme: str,
        context: int,
        kv_cache: KvCache,
        moments: MomentsOf | None,
        limits: LimitsOf | None,
        out: Path,
    ) -> Made:
        checkpoint, device = self.checkpoint, load_target(target)
        decoder, generation = checkpoint.decoder, checkpoint.generation
        assert decoder is not None
        assert generation is not None
        choices, variant = firmware_choices(checkpoint, scheme), choose_variant(device.cpu.isa)
        plan = QuantPlan(target, "cortexm", scheme, choices, (), (), (context,), 0, 0, kv_cache=kv_cache)
        with SafetensorsWeights(*weight_files_of(checkpoint)) as weights:
            graph = plan_constants(step_graph(decoder, context, weights), choices)
            planned = program_language(graph, kv_cache, variant, moments, limits)
            write_language(planned, decoder, checkpoint.name, plan, generation, self._table, out, "")
        budget = FirmwareSizes(checkpoint, context).budget(device, scheme, context, kv_cache)
        live = live_bytes(planned.memory.buffers)
        assert planned.memory.bytes <= 1.10 * live
        return Made(out, target, context, budget, variant, live + planned.all_cache_bytes)

    def image(self, made: Made) -> Image:
        """Compiled and linked."""
        return self._built(made.folder, made.target)

    def _build(self, folder: Path, target: str) -> Image:
        return build_image(load_target(target), folder, folder / "image")


def token_instructions(image: Image, target: str, positions: int) -> Iterator[int]:
    """Instructions of greedy steps at the first positions, each of one token."""
    device = load_target(target)
    with emulated(device, image.elf, image.elf.parent / "qemu.log") as line:
        board = Board(line, target, starts=True)
        for came in board.probe(0, positions):
            if isinstance(came, Position):
                yield instructions(device, came.ticks)
        board.stop()
