"""A real language model from its checkpoint to streamed text, by the command line alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.conftest import ROOT, Answer
from tests.decoders import make_decoder

SHARED = ROOT.parent / "shared"
STORIES, STORIES_TEXT = SHARED / "models" / "stories260k", SHARED / "data" / "tinystories_eval.txt"
PERPLEXITY, PREDICTED = 5.1747, 9136
"""shared/README.md, counted by transformers in float32."""

needs_stories = pytest.mark.skipif(not STORIES.is_dir(), reason=f"{STORIES} is not there")
Edgeslm = Callable[..., Answer]


@pytest.fixture(scope="module")
def build(edgeslm: Edgeslm, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Answer]:
    """build(scheme, flags) -> the answer for stories260k on a Raspberry Pi 4, scored on stories; each made once."""
    made: dict[tuple[str, ...], Answer] = {}

    def make(scheme: str, *flags: str) -> Answer:
        if (scheme, *flags) not in made:
            command = ["build", "-t", "rpi4", "-m", STORIES, "-s", scheme, "--eval", STORIES_TEXT, "--json"]
            made[scheme, *flags] = edgeslm(*command, *flags, "-o", tmp_path_factory.mktemp(scheme))
        return made[scheme, *flags]

    return make


@needs_stories
@pytest.mark.parametrize(("scheme", "most"), [("fp32", 1.0001), ("int8", 1.005), ("int4", 1.10)])
def test_perplexity(build: Callable[..., Answer], scheme: str, most: float) -> None:
    answer = build(scheme)
    assert answer.status == 0, answer.stderr
    found = answer.json["fidelity"]["perplexity"]
    assert found["tokens"] == PREDICTED
    assert found["reference"] == pytest.approx(PERPLEXITY, abs=0.0005)
    assert found["compiled"] / found["reference"] <= most
    assert answer.json["backend"] == "tflite"
    if scheme == "fp32":
        assert found["compiled"] == pytest.approx(PERPLEXITY, abs=0.0005)


@needs_stories
def test_an_int8_cache_keeps_the_perplexity(build: Callable[..., Answer]) -> None:
    answer = build("int8", "--kv-cache", "int8")
    assert answer.status == 0, answer.stderr
    found = answer.json["fidelity"]["perplexity"]
    assert found["compiled"] / found["reference"] <= 1.005
    assert found != build("int8").json["fidelity"]["perplexity"]


@needs_stories
def test_greedy_text_is_the_one_its_author_published(build: Callable[..., Answer], edgeslm: Edgeslm) -> None:
    golden = json.loads((STORIES / "golden_ids.json").read_text())
    bundle = build("fp32").json["bundle"]
    answer = edgeslm("run", bundle, "--prompt", "", "--max-tokens", str(len(golden) - 1), "--json")
    assert answer.status == 0, answer.stderr
    generation = answer.json["generation"]
    assert generation["tokens"] == golden[1:]
    assert generation["finish_reason"] == "length"
    streamed = edgeslm("run", bundle, "--prompt", "", "--max-tokens", "60")
    assert generation["text"].startswith(streamed.stdout.rstrip("\n"))
    assert streamed.stdout.startswith("Once upon a time, there was a little girl named Lily.")


@needs_stories
def test_a_writer_of_stories_fills_in_a_schema(build: Callable[..., Answer], edgeslm: Edgeslm, tmp_path: Path) -> None:
    """It never saw JSON, nor a token that is a brace."""
    properties = {
        "name": {"type": "string", "pattern": "^[A-Z][a-z]{2,7}$"},
        "animals": {"type": "array", "items": {"enum": ["cat", "dog"]}, "minItems": 1, "maxItems": 2},
        "age": {"type": "integer", "minimum": 3, "maximum": 5},
    }
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    prompt = ("--prompt", "Once upon a time, there was a little girl named", "--json-schema", str(file))
    for flags in ((), ("--temperature", "1.5", "--top-k", "20", "--seed", "4")):
        answer = edgeslm("run", build("int8").json["bundle"], *prompt, *flags, "--json")
        assert answer.status == 0, answer.stderr
        assert answer.stderr == ""
        generation = answer.json["generation"]
        jsonschema.validate(json.loads(generation["text"]), schema)
        assert generation["finish_reason"] == "stop"


@needs_stories
def test_a_seed_says_the_same_again(build: Callable[..., Answer], edgeslm: Edgeslm) -> None:
    bundle = build("int8").json["bundle"]
    flags = ("--prompt", "One day", "--max-tokens", "40", "--temperature", "0.9", "--top-k", "50", "--json")
    first, second, other = (edgeslm("run", bundle, *flags, "--seed", seed) for seed in ("7", "7", "8"))
    assert first.status == 0, first.stderr
    assert first.json["generation"] == second.json["generation"]
    assert first.json["generation"]["text"] != other.json["generation"]["text"]


@needs_stories
def test_a_prompt_longer_than_the_context(build: Callable[..., Answer], edgeslm: Edgeslm) -> None:
    bundle = build("int8").json["bundle"]
    prompt = "Once upon a time there was a dog. " * 60
    refused = edgeslm("run", bundle, "--prompt", prompt)
    assert refused.status == 2
    assert "512" in refused.stderr
    assert "--truncate" in refused.stderr
    assert edgeslm("run", bundle, "--prompt", prompt, "--truncate", "--max-tokens", "5").status == 0


@needs_stories
def test_the_same_bytes_again(build: Callable[..., Answer], edgeslm: Edgeslm, tmp_path: Path) -> None:
    """Without what the first build left in the cache, PyTorch's answers and the model's own texts included."""
    first = build("int4")
    command = ["build", "-t", "rpi4", "-m", STORIES, "-s", "int4", "--eval", STORIES_TEXT, "--json", "-o", tmp_path]
    again = edgeslm(*command, EDGESLM_CACHE=str(tmp_path / "cache"), PYTHONHASHSEED="1")
    assert again.status == 0, again.stderr
    assert again.json["digest"] == first.json["digest"]


@needs_stories
def test_a_missed_gate_leaves_no_bundle(edgeslm: Edgeslm, tmp_path: Path) -> None:
    flags = ("-t", "rpi4", "-m", STORIES, "-s", "int4", "--eval", STORIES_TEXT, "--min-fidelity", "0.99")
    answer = edgeslm("build", *flags, "-o", tmp_path)
    assert answer.status == 7
    assert "perplexity" in answer.stderr
    assert list(tmp_path.glob("*.edgeslm")) == []


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_decoder("llama", tmp_path_factory.mktemp("decoders") / "llama")


@pytest.mark.parametrize(
    ("flags", "status", "said"),
    [
        (("-s", "fp16"), 3, "fp32, int8, int4"),
        (("--max-length", "32"), 2, "--context"),
        (("--context", "65"), 2, "64 tokens"),
        (("--context", "3"), 2, "too short"),
        (("--kv-cache", "int2"), 3, "float32, float16, int8"),
        (("--kv-cache", "float16"), 3, "microcontrollers alone"),
        (("--converter", "onnx2tf"), 3, "KV cache"),
    ],
)
def test_what_cannot_be_built(
    edgeslm: Edgeslm, llama: Path, tmp_path: Path, flags: tuple[str, ...], status: int, said: str
) -> None:
    answer = edgeslm("build", "-t", "rpi4", "-m", llama, *flags, "-o", tmp_path)
    assert answer.status == status, answer.stderr
    assert said in answer.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("field", "value"), [("num_attention_heads", 5), ("num_key_value_heads", 4), ("vocab_size", 999)]
)
def test_a_config_that_lies(edgeslm: Edgeslm, llama: Path, tmp_path: Path, field: str, value: int) -> None:
    folder = tmp_path / "liar"
    shutil.copytree(llama, folder)
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    config.pop("head_dim", None)
    (folder / "config.json").write_text(json.dumps(config | {field: value}))
    answer = edgeslm("plan", "-t", "rpi4", "-m", folder)
    assert answer.status == 2, answer.stderr
    assert str(value) in answer.stderr


def test_language_options_are_for_language_models(
    edgeslm: Edgeslm, checkpoint_of: Callable[..., Path], tmp_path: Path
) -> None:
    for flags in (("--context", "64"), ("--kv-cache", "int8")):
        answer = edgeslm("plan", "-t", "rpi4", "-m", checkpoint_of("bert"), *flags)
        assert answer.status == 2
        assert flags[0] in answer.stderr


def test_a_plan_tells_of_the_cache(edgeslm: Edgeslm, llama: Path) -> None:
    answer = edgeslm("plan", "-t", "rpi4", "-m", llama, "--context", "64", "--json")
    assert answer.status == 0, answer.stderr
    # 2 layers, keys and values, 3 heads of 8 dimensions, 64 tokens of float32
    assert answer.json["memory"]["cache"] == 2 * 2 * 3 * 8 * 64 * 4
    small = edgeslm("plan", "-t", "rpi4", "-m", llama, "--context", "64", "--kv-cache", "int8", "--json")
    assert small.json["memory"]["cache"] == 2 * 2 * 3 * (8 + 4) * 64


def test_a_context_that_does_not_fit(edgeslm: Edgeslm, llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "long"
    shutil.copytree(llama, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 100_000_000}))
    answer = edgeslm("plan", "-t", "rpi4", "-m", folder, "--context", "40000000")
    assert answer.status == 4, answer.stderr
    assert "kv cache" in answer.stderr
    assert "--context" in answer.stderr
