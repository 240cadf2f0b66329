"""Decoders of every family as generated C, run on the host: PyTorch's logits, and those of the decoder in numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeslm.artifacts import GenerationSpec, KvCache, QuantPlan, Samples
from edgeslm.backends import LimitsOf
from edgeslm.backends.cortexm.host import HostLanguage
from edgeslm.backends.cortexm.language import program_language, write_language
from edgeslm.backends.cortexm.memory import BEFORE, TEXT, live_bytes
from edgeslm.backends.cortexm.packing import FIXED_ONE, Layout
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.errors import InternalError, UnsupportedError, UnsupportedOpError
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.export.language_reference import input_magnitudes
from edgeslm.firmware.wire import MOST_REQUEST
from edgeslm.formats.moments import open_moments
from edgeslm.formats.samples import write_samples
from edgeslm.ir.nodes import Unary
from edgeslm.quantize.constants import plan_constants
from edgeslm.stages.firmware import static_limits
from edgeslm.stages.firmware_graph import step_graph
from edgeslm.stages.firmware_plan import FirmwareSizes, firmware_choices
from edgeslm.target import load_target
from edgeslm.tokenizer.read import read_specification
from edgeslm.tokenizer.table import compile_table
from tests.decoders import CASES, Made, kept_in, pytorch_logits
from tests.firmware.host_program import require_tool
from tests.firmware.kernel_programs import build_model, run_model
from tests.unit.decoder_reference import run

TOKENS = 24
ROWS, FIXED = Variant(Layout.ROWS), Variant(Layout.ROWS, fixed=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return kept_in(tmp_path_factory.mktemp("decoders"))


table_of = cache(lambda tokenizer: compile_table(read_specification(tokenizer, "tokenizer.json")))
"""Most cases have one tokenizer."""


class Built:
    """A random decoder as C; `engine` runs it."""

    def __init__(
        self,
        folder: Path,
        out: Path,
        variant: Variant,
        scheme: str,
        kv_cache: KvCache,
        context: int,
        limits: LimitsOf | None,
    ) -> None:
        from safetensors.numpy import load_file

        self.folder = folder

        checkpoint = open_checkpoint(str(folder))
        assert checkpoint.decoder is not None
        self.decoder = checkpoint.decoder
        self.weights = {
            name: value.astype(np.float32) for name, value in load_file(folder / "model.safetensors").items()
        }
        choices = firmware_choices(checkpoint, scheme)
        self.graph = plan_constants(step_graph(self.decoder, context, self.weights.__getitem__), choices)
        self.program = program_language(self.graph, kv_cache, variant, limits=limits)
        table = table_of((folder / "tokenizer.json").read_bytes())
        plan = QuantPlan("mps2-an386", "cortexm", scheme, choices, (), (), (context,), 0, 0, kv_cache=kv_cache)
        self.compiled = write_language(
            self.program, self.decoder, "a */ b", plan, GenerationSpec(1, (2,), add_bos=True), table, out, "0"
        )
        self.engine = HostLanguage(out, variant, context, self.decoder.vocabulary)

    def tokens(self, count: int = TOKENS) -> list[int]:
        return [int(token) for token in np.random.default_rng(0).integers(0, self.decoder.vocabulary, count)]

    def logits(self, tokens: list[int]) -> NDArray[np.float32]:
        return np.array([self.engine.step(token, place).copy() for place, token in enumerate(tokens)])

    def expected(self, tokens: list[int]) -> NDArray[Any]:
        return run(self.decoder, self.weights.__getitem__, tokens)


Build = Callable[..., Built]


@pytest.fixture
def build(made: Made, tmp_path: Path) -> Iterator[Build]:
    opened: list[Built] = []

    def make(
        case: str,
        variant: Variant = ROWS,
        scheme: str = "fp32",
        kv_cache: KvCache = "float32",
        context: int = TOKENS,
        limits: LimitsOf | None = None,
    ) -> Built:
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        opened.append(Built(made(case), out, variant, scheme, kv_cache, context, limits))
        return opened[-1]

    yield make
    for one in opened:
        one.engine.close()


def far(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """The greatest difference, against the spread of logits."""
    return float(np.abs(found - expected).max() / np.std(expected))


def cosine(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """The mean over tokens."""
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return float(((found * expected).sum(axis=1) / lengths).mean())


@pytest.mark.parametrize("case", CASES)
def test_a_family_computes_what_pytorch_does(case: str, build: Build) -> None:
    """Every step, in float32. Cores without an FPU have kernels for all of it as well."""
    built = build(case)
    tokens = built.tokens()
    assert far(built.logits(tokens), pytorch_logits(built.folder, tokens)) < 1e-4
    choices = firmware_choices(open_checkpoint(str(built.folder)), "int8")
    for program in (built.program, program_language(plan_constants(built.graph, choices), "int8", FIXED)):
        assert program.memory.bytes <= 1.10 * live_bytes(program.memory.buffers)


@pytest.mark.parametrize(("kv_cache", "most"), [("float16", 0.01), ("int8", 0.15)])
def test_a_small_cache_is_near(kv_cache: KvCache, most: float, build: Build) -> None:
    built = build("llama-512", kv_cache=kv_cache)
    tokens = built.tokens()
    assert 0 < far(built.logits(tokens), built.expected(tokens)) < most


@pytest.mark.parametrize(("scheme", "least"), [("int8", 0.998), ("int4", 0.9)])
def test_integers_are_near_and_layouts_are_equal(scheme: str, least: float, build: Build) -> None:
    """How a core wants its matrices packed changes no bit."""
    built = [build("llama-512", Variant(layout), scheme) for layout in Layout]
    tokens = built[0].tokens()
    found = [one.logits(tokens) for one in built]
    assert cosine(found[0], built[0].expected(tokens)) > least
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_static_ranges_are_those_of_what_was_seen(made: Made, build: Build, tmp_path: Path) -> None:
    """In all layouts, and without an FPU; a range that is far too small shows that it is used."""
    checkpoint = open_checkpoint(str(made("gemma2")))
    tokens = np.random.default_rng(0).integers(0, 131, TOKENS).astype(np.int32)
    seen, texts = tmp_path / "seen", tmp_path / "texts"
    seen.mkdir()
    texts.mkdir()
    write_samples(texts / "t.npz", [{"tokens": tokens}])
    counted = input_magnitudes(checkpoint, Samples(texts, "", "some", 1, arrays="t.npz"), seen)
    with open_moments(counted.path) as counts:
        limits = static_limits(counts)
        variants = (*(Variant(layout) for layout in Layout), FIXED)
        *same, fixed = [build("gemma2", variant, "int8-static", limits=limits) for variant in variants]
        narrow = build("gemma2", ROWS, "int8-static", limits=lambda name: 0.3)
    expected = same[0].expected(list(tokens))
    found = [one.logits(list(tokens)) for one in same]
    assert cosine(found[0], expected) > 0.998
    assert cosine(fixed.logits(list(tokens)), expected) > 0.998
    assert cosine(narrow.logits(list(tokens)), expected) < 0.99
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)
    schedule = (same[0].compiled.root / "model_schedule.c").read_text()
    assert "edgeslm_quantize_static(normed_q, normed, layer->normed_limit, 48u, 0u);" in schedule


def test_a_range_that_was_never_seen_is_a_bug() -> None:
    with pytest.raises(InternalError, match=r"flows into a\.weight"):
        static_limits(lambda name: None)("a.weight")


@pytest.mark.parametrize("case", ["llama-512", "mistral-whole", "gemma2"])
def test_fixed_point_is_near(case: str, build: Build) -> None:
    """Gates of SiLU, ReLU and GELU; scores and logits with caps."""
    built = build(case, FIXED, "int8")
    tokens = built.tokens()
    assert cosine(built.logits(tokens), built.expected(tokens)) > 0.998


@pytest.mark.parametrize(
    ("case", "board", "variant", "kv_cache"),
    [
        ("gemma2", "m4", Variant(Layout.PAIRS), "int8"),
        ("llama-wide-heads", "m3", FIXED, "float32"),
    ],
)
def test_a_board_gives_the_hosts_logits_bit_for_bit(
    case: str, board: str, variant: Variant, kv_cache: KvCache, build: Build, tmp_path: Path
) -> None:
    """Caps of scores and logits, windows, gates of the error function."""
    require_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    require_tool("qemu-system-arm", "qemu-system-arm")
    built = build(case, variant, "int8", kv_cache)
    tokens = built.tokens()
    expected = built.logits(tokens)
    found = run_model(build_model(tmp_path, board, built.compiled.root), board, tokens, tmp_path)
    kind = np.int32 if variant.fixed else np.float32
    logits = np.frombuffer(found, kind).astype(np.float32) / np.float32(FIXED_ONE if variant.fixed else 1)
    np.testing.assert_array_equal(logits.reshape(expected.shape), expected)


def test_a_prompt_at_once_and_going_back(build: Build) -> None:
    built = build("llama-512", scheme="int8")
    tokens = built.tokens(12)
    stepped = built.logits(tokens)
    np.testing.assert_array_equal(built.engine.prefill(np.array(tokens, np.int32), 0), stepped[-1])
    np.testing.assert_array_equal(built.engine.step(tokens[5], 5), stepped[5])


def test_what_has_no_kernel_is_refused_with_its_layer(build: Build) -> None:
    graph = build("phi").graph  # its feed-forward has an activation, and no gate
    place, found = next((place, one) for place, one in enumerate(graph.nodes) if isinstance(one.kind, Unary))
    changed = (*graph.nodes[:place], replace(found, kind=Unary("exp")), *graph.nodes[place + 1 :])
    with pytest.raises(UnsupportedOpError, match="exp has no kernel") as raised:
        program_language(replace(graph, nodes=changed), "float32", ROWS)
    assert "layers.0" in (raised.value.layer or "")
    with pytest.raises(UnsupportedError, match="not as float16"):
        build("llama-512", FIXED, "int8", "float16")
    with pytest.raises(UnsupportedOpError, match="takes no float32 matrices"):
        build("llama-512", FIXED, "fp32")


def test_a_prompt_has_memory_before_it_is_entered(made: Made) -> None:
    """Of the shortest context and the smallest cache there is too little: the arena grows by what is missing."""
    sizes = FirmwareSizes(open_checkpoint(str(made("llama-512"))), 16)
    planned = sizes.program(load_target("mps2-an386"), "int8", 16, "int8")
    (text,) = [one for one, _ in planned.memory.placed if one.name == TEXT]
    assert (text.first, text.last) == (BEFORE, BEFORE)
    assert planned.all_cache_bytes < sizes.text_bytes <= planned.all_cache_bytes + planned.memory.bytes
    assert sizes.text_bytes >= 2 * MOST_REQUEST
    ample = sizes.program(load_target("mps2-an386"), "int8", 16, "float32")
    assert TEXT not in ample.memory.offsets


def test_the_c_reads_well(build: Build) -> None:
    built = build("qwen2-window", scheme="int8")
    schedule = (built.compiled.root / "model_schedule.c").read_text()
    assert "/* a ?? b as int8:" in schedule
    assert "edgeslm_gemv_i8(x, layer->self_attn_o_proj," in schedule
    assert "first_seen(position, layer->window)" in schedule
    assert schedule.count("for (uint32_t l") == 1
    assert "EDGESLM_ACCUMULATE" in schedule
