"""stories260k on every emulated board: the ids of the host build, which are those of PyTorch; memories as planned."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edgeslm.artifacts import Checkpoint, KvCache, QuantPlan
from edgeslm.backends.cortexm.budget import FirmwareBudget
from edgeslm.backends.cortexm.host import HostLanguage, compile_kernels
from edgeslm.backends.cortexm.language import program_language, write_language
from edgeslm.backends.cortexm.memory import live_bytes
from edgeslm.backends.cortexm.variant import Variant, choose_variant
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.export.language_reference import input_magnitudes, input_moments
from edgeslm.fidelity.language_score import negative_log_likelihood
from edgeslm.fidelity.language_texts import tokenize_language
from edgeslm.fidelity.texts import load_texts
from edgeslm.firmware.board import Board, Token
from edgeslm.firmware.image import build_image
from edgeslm.firmware.qemu import emulated
from edgeslm.firmware_graph import step_graph
from edgeslm.firmware_planning import FirmwareSizes, firmware_choices, tokenizer_of
from edgeslm.firmware_stages import static_limits
from edgeslm.formats.moments import open_moments
from edgeslm.formats.safetensors_weights import SafetensorsWeights
from edgeslm.formats.samples import read_samples
from edgeslm.language_stages import weight_files_of
from edgeslm.quantize.constants import plan_constants
from edgeslm.target import load_target
from edgeslm.tokenizer.table import compile_table
from tests.firmware.host_program import require_tool

MODEL = Path(__file__).parents[3] / "shared" / "models" / "stories260k"
BOS = 1
TOKENS = 24
BOARDS: list[tuple[str, str, int, KvCache]] = [
    ("mps2-an385", "int8", 64, "float32"),
    ("mps2-an386", "int4", 64, "float16"),
    ("mps2-an386", "int8-static", 64, "float32"),
    ("mps2-an500", "int8", 64, "float32"),
    ("mps2-an505", "int8", 512, "float32"),
    ("mps3-an547", "int8", 64, "float32"),
    ("netduinoplus2", "int8", 128, "int8"),
]
SCORED = "mps2-an386"

pytestmark = pytest.mark.skipif(not MODEL.is_dir(), reason="shared/models/stories260k is not here")


@dataclass(frozen=True)
class Made:
    """The model generated for a target, with the budget it was planned with."""

    folder: Path
    context: int
    budget: FirmwareBudget
    variant: Variant


Make = Callable[..., Made]


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return open_checkpoint(str(MODEL))


@pytest.fixture(scope="module")
def make(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Make:
    decoder, generation = checkpoint.decoder, checkpoint.generation
    assert decoder is not None
    assert generation is not None
    table = compile_table(tokenizer_of(checkpoint))

    @cache
    def made(target: str, scheme: str, context: int, kv_cache: KvCache, seen: Path | None = None) -> Made:
        out = tmp_path_factory.mktemp(f"{target}-{scheme}")
        device, choices = load_target(target), firmware_choices(checkpoint, scheme)
        variant = choose_variant(device.cpu.isa)
        plan = QuantPlan(target, "cortexm", scheme, choices, (), (), (context,), 0, 0, kv_cache=kv_cache)
        with SafetensorsWeights(*weight_files_of(checkpoint)) as weights:
            graph = plan_constants(step_graph(decoder, context, weights), choices)
            if seen is None:
                limits = (lambda parameter: 8.0) if scheme == "int8-static" else None
                planned = program_language(graph, kv_cache, variant, limits=limits)
                write_language(planned, decoder, checkpoint.name, plan, generation, table, out, "")
            else:
                with open_moments(seen) as known:
                    moments, limits = (None, static_limits(known)) if scheme == "int8-static" else (known, None)
                    planned = program_language(graph, kv_cache, variant, moments, limits)
                    write_language(planned, decoder, checkpoint.name, plan, generation, table, out, "")
        assert planned.memory.bytes <= 1.10 * live_bytes(planned.memory.buffers)
        budget = FirmwareSizes(checkpoint, context).budget(device, scheme, context, kv_cache)
        return Made(out, context, budget, variant)

    return made


@pytest.fixture(scope="module")
def host(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Made], HostLanguage]:
    assert checkpoint.decoder is not None
    vocabulary = checkpoint.decoder.vocabulary

    @cache
    def kernels(macros: tuple[str, ...], variant: Variant) -> Path:
        return compile_kernels(variant, tmp_path_factory.mktemp("kernels"))

    return lambda made: HostLanguage(
        made.folder, made.variant, made.context, vocabulary, kernels(made.variant.host_macros, made.variant)
    )


Host = Callable[[Made], HostLanguage]


def greedy(engine: HostLanguage, count: int) -> list[int]:
    """Ids from the one that begins a text, it included."""
    ids = [BOS]
    while len(ids) <= count:
        ids.append(int(engine.step(ids[-1], len(ids) - 1).argmax()))
    engine.close()
    return ids


def board_ids(made: Made, target: str, count: int, out: Path) -> tuple[list[int], int, int]:
    """The same on the emulated board; bytes of flash and RAM by the linker's map."""
    device = load_target(target)
    image = build_image(device, made.folder, out)
    with emulated(device, image.elf, out / "qemu.log") as line:
        board = Board(line, target)
        board.set_options(count)
        told = [piece.id for piece in board.answer("") if isinstance(piece, Token) and piece.id is not None]
        board.stop()
    return [BOS, *told], image.memory.flash_bytes, image.memory.ram_bytes


@pytest.fixture
def _tools() -> None:
    require_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    require_tool("qemu-system-arm", "qemu-system-arm")


@pytest.mark.usefixtures("_tools")
@pytest.mark.parametrize(("target", "scheme", "context", "kv_cache"), BOARDS)
def test_a_board_emits_the_hosts_ids_and_the_map_agrees_with_the_plan(
    target: str, scheme: str, context: int, kv_cache: KvCache, make: Make, host: Host, tmp_path: Path
) -> None:
    made = make(target, scheme, context, kv_cache)
    ids, flash, ram = board_ids(made, target, TOKENS, tmp_path)
    assert ids == greedy(host(made), TOKENS)
    assert made.budget.flash_bytes == pytest.approx(flash, rel=0.02)
    assert made.budget.ram_bytes == pytest.approx(ram, rel=0.02)


@pytest.mark.usefixtures("_tools")
def test_floats_tell_pytorchs_story_on_host_and_board(make: Make, host: Host, tmp_path: Path) -> None:
    golden = json.loads((MODEL / "golden_ids.json").read_text())
    made = make(SCORED, "fp32", 512, "float32")
    assert greedy(host(made), len(golden) - 1) == golden
    ids, _, _ = board_ids(made, SCORED, len(golden) - 1, tmp_path)
    assert ids == golden


def test_integers_keep_the_perplexity(
    checkpoint: Checkpoint, make: Make, host: Host, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On the built-in texts, against float32 weights by the same kernels."""
    seen = {"int4": tmp_path_factory.mktemp("moments"), "int8-static": tmp_path_factory.mktemp("magnitudes")}
    known = {
        "int4": input_moments(checkpoint, None, seen["int4"]).path,
        "int8-static": input_magnitudes(checkpoint, None, seen["int8-static"]).path,
    }
    texts = tokenize_language(checkpoint, load_texts(None, None)[1], 512, tmp_path_factory.mktemp("texts"))
    samples = [sample["tokens"] for sample in read_samples(texts.path)]

    def perplexity(scheme: str, kv_cache: KvCache) -> float:
        engine = host(make(SCORED, scheme, 512, kv_cache, known.get(scheme)))
        nll = [
            negative_log_likelihood(engine.step(int(tokens[place]), place), int(tokens[place + 1]))
            for tokens in samples
            for place in range(len(tokens) - 1)
        ]
        engine.close()
        return float(np.exp(np.mean(nll)))

    floats = perplexity("fp32", "float32")
    assert perplexity("int8", "float32") / floats <= 1.005
    assert perplexity("int8", "int8") / floats <= 1.005
    assert perplexity("int8-static", "float32") / floats <= 1.005
    assert perplexity("int4", "float32") / floats <= 1.10
