"""Decoders of every family as generated C, run on the host: the logits of the same decoder in numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeslm.artifacts import GenerationSpec, KvCache, QuantPlan
from edgeslm.backends.cortexm.host import HostLanguage, compile_kernels
from edgeslm.backends.cortexm.language import program_language, write_language
from edgeslm.backends.cortexm.memory import BEFORE, TEXT, live_bytes
from edgeslm.backends.cortexm.packing import Layout
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.errors import UnsupportedError, UnsupportedOpError
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.firmware.wire import MOST_REQUEST
from edgeslm.firmware_graph import step_graph
from edgeslm.firmware_planning import FirmwareSizes, firmware_choices, tokenizer_of
from edgeslm.quantize.constants import plan_constants
from edgeslm.target import load_target
from edgeslm.tokenizer.table import compile_table
from tests.decoders import Made, kept_in
from tests.unit.decoder_reference import run

TOKENS = 24
ROWS, FIXED = Variant(Layout.ROWS), Variant(Layout.ROWS, fixed=True)
Kernels = Callable[[Variant], Path]
COMPUTED = (
    *("llama-512", "llama-biases", "mistral", "qwen2-window", "qwen2-yarn", "qwen3"),
    *("phi-norms", "phi3", "gemma-untied", "gemma3", "gpt2"),
)
"""Ties, biases, windows in all layers and in some, scaled rotations, norms of heads, parallel blocks, gates of both
kinds, scaled embeddings, two rotations, learned positions."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return kept_in(tmp_path_factory.mktemp("decoders"))


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return cache(lambda variant: compile_kernels(variant, tmp_path_factory.mktemp("kernels")))


class Built:
    """A random decoder as C; `engine` runs it."""

    def __init__(
        self, folder: Path, kernels: Path, out: Path, variant: Variant, scheme: str, kv_cache: KvCache, context: int
    ) -> None:
        from safetensors.numpy import load_file

        checkpoint = open_checkpoint(str(folder))
        assert checkpoint.decoder is not None
        self.decoder = checkpoint.decoder
        self.weights = {
            name: value.astype(np.float32) for name, value in load_file(folder / "model.safetensors").items()
        }
        choices = firmware_choices(checkpoint, scheme)
        graph = plan_constants(step_graph(self.decoder, context, self.weights.__getitem__), choices)
        self.program = program_language(graph, kv_cache, variant)
        table = compile_table(tokenizer_of(checkpoint))
        plan = QuantPlan("mps2-an386", "cortexm", scheme, choices, (), (), (context,), 0, 0, kv_cache=kv_cache)
        self.compiled = write_language(
            self.program, self.decoder, "a */ b", plan, GenerationSpec(1, (2,), add_bos=True), table, out, "0"
        )
        self.engine = HostLanguage(out, variant, context, self.decoder.vocabulary, kernels)

    def tokens(self, count: int = TOKENS) -> list[int]:
        return [int(token) for token in np.random.default_rng(0).integers(0, self.decoder.vocabulary, count)]

    def logits(self, tokens: list[int]) -> NDArray[np.float32]:
        return np.array([self.engine.step(token, place).copy() for place, token in enumerate(tokens)])

    def expected(self, tokens: list[int]) -> NDArray[Any]:
        return run(self.decoder, self.weights.__getitem__, tokens)


Build = Callable[..., Built]


@pytest.fixture
def build(made: Made, kernels: Kernels, tmp_path: Path) -> Iterator[Build]:
    opened: list[Built] = []

    def make(
        case: str, variant: Variant = ROWS, scheme: str = "fp32", kv_cache: KvCache = "float32", context: int = TOKENS
    ) -> Built:
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        opened.append(Built(made(case), kernels(variant), out, variant, scheme, kv_cache, context))
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


@pytest.mark.parametrize("case", COMPUTED)
def test_a_family_computes_what_numpy_does(case: str, build: Build) -> None:
    built = build(case)
    tokens = built.tokens()
    assert far(built.logits(tokens), built.expected(tokens)) < 1e-4
    memory = built.program.memory
    assert memory.bytes <= 1.10 * live_bytes(memory.buffers)


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


def test_fixed_point_is_near(build: Build) -> None:
    built = build("llama-512", FIXED, "int8")
    tokens = built.tokens()
    assert cosine(built.logits(tokens), built.expected(tokens)) > 0.998


def test_a_prompt_at_once_and_going_back(build: Build) -> None:
    built = build("llama-512", scheme="int8")
    tokens = built.tokens(12)
    stepped = built.logits(tokens)
    np.testing.assert_array_equal(built.engine.prefill(np.array(tokens, np.int32), 0), stepped[-1])
    np.testing.assert_array_equal(built.engine.step(tokens[5], 5), stepped[5])


def test_what_has_no_kernel_is_refused_with_its_layer(build: Build) -> None:
    with pytest.raises(UnsupportedOpError, match=r"caps attention scores") as raised:
        build("gemma2")
    assert "layers.0" in (raised.value.layer or "")
    with pytest.raises(UnsupportedOpError, match="gates of gelu have no kernel"):
        build("llama-wide-heads")
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
