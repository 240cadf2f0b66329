"""Language models in OpenVINO: every family against transformers, the cache's ways, and what rounding costs."""

from __future__ import annotations

import json
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeslm.artifacts import CompiledModel, KvCache, Parameter, QuantPlan
from edgeslm.backends import load_backend
from edgeslm.backends.openvino.ir import FILES, read_ir
from edgeslm.backends.openvino.language import write_language
from edgeslm.decoder import Decoder
from edgeslm.device.errors import UsageError
from edgeslm.device.language import LanguageEngine
from edgeslm.device.open_language import open_language
from edgeslm.errors import UnsupportedError
from edgeslm.formats.description import describe_language
from edgeslm.quantize.plan import choose_precisions
from edgeslm.quantize.schemes import SCHEMES
from tests.decoders import CASES, Made, headers_of, kept_in, read

missing = load_backend("openvino").missing()
pytestmark = pytest.mark.skipif(missing is not None, reason=f"openvino: {missing}")

SHARED = Path(__file__).resolve().parents[3] / "shared"
STORIES = SHARED / "models" / "stories260k"
EVALUATION = SHARED / "data" / "tinystories_eval.txt"
needs_stories = pytest.mark.skipif(not STORIES.is_dir(), reason=f"{STORIES} is not here")

CONTEXT = 64
COUNT = 43  # tokens: chunks of 32, 8, 2 and 1
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Built:
    compiled: CompiledModel
    decoder: Decoder

    def open(self) -> LanguageEngine:
        return open_language(describe_language(self.compiled), self.compiled.root, 1)

    @property
    def tokens(self) -> NDArray[np.int32]:
        return np.random.default_rng(0).integers(0, self.decoder.vocabulary, COUNT).astype(np.int32)


Build = Callable[..., Built]


def plan_of(folder: Path, scheme: str, context: int, kv_cache: KvCache) -> QuantPlan:
    parameters = [
        Parameter(header.name, header.shape, "other" if len(header.shape) != 2 else _role(header.name))
        for header in headers_of(folder)
    ]
    choices = choose_precisions(parameters, SCHEMES[scheme])
    return QuantPlan("linux-x86_64", "openvino", scheme, choices, (), (), (context,), 0, 0, kv_cache=kv_cache)


def _role(name: str) -> Any:
    return "embedding" if any(part in name for part in ("embed_tokens", "wte", "wpe")) else "linear"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return kept_in(tmp_path_factory.mktemp("decoders"))


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    from safetensors.numpy import load_file

    def carry_out(folder: Path, scheme: str = "fp32", context: int = CONTEXT, kv_cache: KvCache = "float32") -> Built:
        decoder, tensors = read(folder), load_file(folder / "model.safetensors")
        out = tmp_path_factory.mktemp("built")
        plan = plan_of(folder, scheme, context, kv_cache)

        def weights(name: str) -> NDArray[np.float32]:
            return tensors[name].astype(np.float32)

        return Built(write_language(decoder, weights, plan, lambda _: None, out, "checkpoint"), decoder)

    return carry_out


def opened(built: Built) -> Iterator[LanguageEngine]:
    engine = built.open()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def llama(made: Made, build: Build) -> Built:
    return build(made("llama"))


@pytest.fixture
def engine(llama: Built) -> Iterator[LanguageEngine]:
    yield from opened(llama)


def steps(engine: LanguageEngine, tokens: NDArray[np.int32], position: int = 0) -> NDArray[np.float32]:
    return np.array([engine.step(int(token), position + place).copy() for place, token in enumerate(tokens)])


def assert_close(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("case", CASES)
def test_family_step_by_step_and_in_chunks(case: str, made: Made, build: Build) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    built = build(made(case))
    model: Any = AutoModelForCausalLM.from_pretrained(made(case), attn_implementation="eager", dtype=torch.float32)
    with torch.no_grad():
        wanted = model.eval()(torch.from_numpy(built.tokens.astype(np.int64))[None]).logits[0].numpy()
    for engine in opened(built):
        assert_close(steps(engine, built.tokens), wanted)
        assert_close(engine.prefill(built.tokens, 0), wanted[-1])
        assert_close(engine.prefill(built.tokens[20:], 20), wanted[-1])
    assert {one.parameter for one in built.compiled.stored} == {header.name for header in headers_of(made(case))}


@needs_stories
def test_stories_are_told_as_they_were(build: Build) -> None:
    golden = json.loads((STORIES / "golden_ids.json").read_text())
    for engine in opened(build(STORIES, context=512)):
        told = golden[:1]
        while len(told) < len(golden):
            told.append(int(engine.step(told[-1], len(told) - 1).argmax()))
        assert told == golden
        assert int(engine.prefill(np.array(golden[:200], np.int32), 0).argmax()) == golden[200]


def test_going_back(engine: LanguageEngine, llama: Built) -> None:
    tokens = llama.tokens
    wanted = steps(engine, tokens)
    other = (tokens[10:20] + 1) % llama.decoder.vocabulary
    changed = steps(engine, other, 10)
    assert np.abs(changed - wanted[10:20]).max() > TOLERANCE
    assert_close(steps(engine, tokens[10:], 10), wanted[10:])
    assert_close(engine.prefill(tokens[:5], 0), wanted[4])
    assert_close(steps(engine, tokens[5:8], 5), wanted[5:8])
    assert_close(engine.step(int(tokens[0]), 0), wanted[0])


def test_context_is_filled_to_its_last_row(engine: LanguageEngine, llama: Built) -> None:
    tokens = np.resize(llama.tokens, CONTEXT)
    wanted = steps(engine, tokens)
    assert_close(engine.prefill(tokens, 0), wanted[-1])
    assert_close(engine.step(int(tokens[-1]), CONTEXT - 1), wanted[-1])


def test_rows_that_were_never_entered(engine: LanguageEngine, llama: Built) -> None:
    wanted = steps(engine, llama.tokens[:4])
    with pytest.raises(UsageError, match="holds 4 tokens"):
        engine.step(1, 5)
    assert_close(engine.step(int(llama.tokens[3]), 3), wanted[3])


def operators(compiled: CompiledModel) -> Counter[str]:
    import openvino  # type: ignore[import-untyped]  # the package has no types

    graph = openvino.Core().compile_model(read_ir(compiled.root), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return Counter(operation.get_rt_info()["layerType"] for operation in graph.get_runtime_model().get_ordered_ops())


@pytest.mark.parametrize("case", ["llama", "llama-biases", "mistral", "qwen3", "phi", "gemma3", "gpt2"])
def test_cache_is_added_to_and_not_copied(case: str, made: Made, build: Build) -> None:
    built = build(made(case))
    found = operators(built.compiled)
    assert found["ScaledDotProductAttention"] == len(built.decoder.layers)
    assert not {"Concatenation", "MatMul", "ScatterUpdate"} & found.keys()


def test_same_bytes_twice(llama: Built, made: Made, build: Build) -> None:
    assert build(made("llama")).compiled.digest == llama.compiled.digest


def perplexity(built: Built, every: int) -> float:
    """As shared/README.md counts it, of one line in `every`."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(STORIES / "tokenizer.json"))
    losses = []
    for engine in opened(built):
        for line in EVALUATION.read_text().splitlines()[::every]:
            tokens = [1, *tokenizer.encode(line, add_special_tokens=False).ids][:512]
            if len(tokens) < 8:
                continue
            logits = steps(engine, np.array(tokens[:-1], np.int32)).astype(np.float64)
            peaks = logits.max(axis=1)
            sums = np.log(np.exp(logits - peaks[:, None]).sum(axis=1)) + peaks
            losses.append(sums - logits[np.arange(len(logits)), tokens[1:]])
    return float(np.exp(np.concatenate(losses).mean()))


@pytest.fixture(scope="module")
def floats_perplexity(build: Build) -> float:
    return perplexity(build(STORIES, context=512), 4)


@needs_stories
def test_perplexity_of_floats(build: Build) -> None:
    assert perplexity(build(STORIES, context=512), 1) == pytest.approx(5.1747, abs=0.0005)


@needs_stories
@pytest.mark.parametrize(
    ("scheme", "kv_cache", "most"), [("int8", "float32", 1.005), ("int4", "float32", 1.10), ("fp32", "int8", 1.005)]
)
def test_perplexity_of_integers(
    scheme: str, kv_cache: KvCache, most: float, build: Build, floats_perplexity: float
) -> None:
    ratio = perplexity(build(STORIES, scheme, 512, kv_cache), 4) / floats_perplexity
    assert ratio != 1  # something was rounded
    assert ratio < most


def test_int8_cache_goes_back(made: Made, build: Build) -> None:
    built = build(made("llama"), kv_cache="int8")
    for engine in opened(built):
        wanted = steps(engine, built.tokens)
        np.testing.assert_allclose(steps(engine, built.tokens[20:], 20), wanted[20:], rtol=0, atol=0.02)


def test_int8_cache_where_there_is_none(made: Made, build: Build) -> None:
    with pytest.raises(UnsupportedError, match="gemma2"):
        build(made("gemma2"), kv_cache="int8")


@pytest.mark.parametrize("scheme", ["fp16", "int8", "int4"])
def test_weights_are_stored_as_planned(scheme: str, made: Made, build: Build) -> None:
    folder = made("gpt2")
    compiled = build(folder, scheme).compiled
    choices = plan_of(folder, scheme, CONTEXT, "float32").choices
    for one in compiled.stored:
        assert one.note or one.precision in (choices[one.parameter].precision, "fp32")
        if len(next(header.shape for header in headers_of(folder) if header.name == one.parameter)) == 2:
            assert one.precision != "fp32"
    written = (compiled.root / FILES[1]).stat().st_size
    assert sum(one.bytes for one in compiled.stored) == pytest.approx(written, rel=0.35)


@pytest.mark.parametrize("scheme", ["fp32", "int8"])
def test_one_weight_in_memory_at_a_time(scheme: str, made: Made, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    folder = made("llama")
    tensors = load_file(folder / "model.safetensors")
    alive: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
    most = 0

    def weights(name: str) -> NDArray[np.float32]:
        nonlocal most
        values = tensors[name].astype(np.float32)
        if values.ndim == 2:
            alive[id(values)] = values
        most = max(most, len(alive))
        return values

    write_language(read(folder), weights, plan_of(folder, scheme, CONTEXT, "float32"), lambda _: None, tmp_path, "it")
    assert most <= 2
