"""The Java runtime of Android bundles, run on the JVM over LiteRT's C interface, beside the device package in Python.

Both have the same .tflite and the same LiteRT, so that what differs is ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeslm.artifacts import Checkpoint, CompiledModel, KvCache
from edgeslm.device.files import FolderFiles
from edgeslm.device.language_model import LanguageModel
from edgeslm.device.litert_language import LiteRtLanguage
from edgeslm.device.sampling import Sampler, Sampling
from edgeslm.device.tokenizer import Tokenizer
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.formats.description import describe_language
from edgeslm.stages.firmware_turn import find_turn
from tests.android.assets import language_assets
from tests.android.jvm import Classes
from tests.android.phone import Phone
from tests.conftest import ROOT
from tests.tiny_language import build_language

STORIES = ROOT.parent / "shared" / "models" / "stories260k"
CONTEXT = 512
CACHES: dict[str, KvCache] = {"float32": "float32", "int8": "int8"}
UTTERANCES = (
    "Will it rain in Boston tomorrow?",
    "play some jazz by Miles Davis",
    "add this song to my running playlist",
    "book a table for four at an italian restaurant in Oslo",
)
TOLERANCE = 1e-4
Built = Callable[[str, str, KvCache], tuple[Checkpoint, CompiledModel]]


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("assets")


@pytest.fixture(scope="module")
def phone(
    android_classes: Classes, litert_jni: str, assets: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Phone]:
    work = tmp_path_factory.mktemp("work")
    opened = Phone(android_classes.command("org.edgeslm.Answers", assets, work, options=[litert_jni]), work / "errors")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    stages = tmp_path_factory.mktemp("stages")

    def build(source: str, scheme: str, kv_cache: KvCache) -> tuple[Checkpoint, CompiledModel]:
        checkpoint = open_checkpoint(source)
        assert checkpoint.root is not None
        compiled = build_language(checkpoint.root, scheme, CONTEXT, stages, kv_cache=kv_cache, cache_writers=True)
        return checkpoint, compiled

    return build


@pytest.fixture(scope="module")
def stories(assets: Path, built: Built) -> dict[str, CompiledModel]:
    """stories260k by the kind of its cache, with float weights; in the assets under the same name."""
    if not STORIES.is_dir():
        pytest.skip(f"stories260k is not at {STORIES}")
    found = {}
    for name, kind in CACHES.items():
        checkpoint, found[name] = built(str(STORIES), "fp32", kind)
        language_assets(assets, name, checkpoint, found[name], None)
    return found


def python_language(checkpoint: Checkpoint, compiled: CompiledModel) -> LanguageModel:
    """The device package's model of the same file."""
    assert checkpoint.generation is not None
    assert checkpoint.root is not None
    assert checkpoint.tokenizer is not None
    engine = python_engine(compiled)
    tokenizer = Tokenizer((checkpoint.root / checkpoint.tokenizer.file).read_bytes(), CONTEXT, cut=False)
    generation = checkpoint.generation
    described = {
        "context": CONTEXT,
        "bos": generation.bos,
        "eos": list(generation.eos),
        "add_bos": generation.add_bos,
        "special": dict(generation.special),
        "chat_template": None,
    }
    return LanguageModel(checkpoint.name, described, engine, tokenizer, FolderFiles(compiled.root, None))


def python_engine(compiled: CompiledModel) -> LiteRtLanguage:
    return LiteRtLanguage(describe_language(compiled), FolderFiles(compiled.root, None), 1)


def generated(answer: str) -> tuple[str, int, int, str]:
    """Reason, tokens of the prompt and of the answer, text."""
    reason, prompt, count, text = answer.split("\t", 3)
    return reason, int(prompt), int(count), text


def python_answer(model: LanguageModel, prompt: str, sampling: Sampling, **options: Any) -> tuple[str, int, int, str]:
    settings: dict[str, Any] = {
        "max_tokens": 64,
        "stop": (),
        "json_schema": None,
        "chat": False,
        "truncate": False,
        "reuse_cache": False,
        "timings": False,
    }
    generation = model.generate(prompt, sampling, **(settings | options))
    text = generation.read()
    assert generation.finish is not None
    finish = generation.finish
    return finish.reason.upper(), finish.prompt_tokens, finish.generated_tokens, text


@pytest.mark.parametrize("cache", CACHES)
def test_golden_tokens(phone: Phone, stories: dict[str, CompiledModel], cache: str) -> None:
    """The float32 cache has the reference's tokens, all of them; an int8 cache those of Python's with an int8 cache."""
    assert phone.ask("open", cache) == f"stories260k\tgeneration\t{CONTEXT}"
    found = phone.numbers("greedy", 256, "1")
    if cache == "float32":
        golden = json.loads((STORIES / "golden_ids.json").read_text())
        assert [1, *found][: len(golden)] == golden[:257]
    engine = python_engine(stories[cache])
    logits, expected = engine.prefill(np.array([1], np.int32), 0), []
    for position in range(1, 257):
        expected.append(int(logits.argmax()))
        logits = engine.step(expected[-1], position)
    engine.close()
    assert found == expected


@pytest.mark.parametrize("cache", CACHES)
def test_borders_of_chunks_and_segments(phone: Phone, stories: dict[str, CompiledModel], cache: str) -> None:
    """Prompts of every kind of length, and ones that go on at places where no chunk fits before the border."""
    phone.ask("open", cache)
    ids = np.random.default_rng(3).integers(3, 500, CONTEXT).astype(np.int32)
    ids[0] = 1
    engine = python_engine(stories[cache])
    for count in (1, 2, 4, 5, 16, 17, 63, 65, 127, 128, 129, 200, 257, 300, 511):
        close(phone.numbers("logits", "", " ".join(map(str, ids[:count]))), engine.prefill(ids[:count], 0))
    # Where Python's chunk crosses a border, an int8 cache has rounded other rows than here when a token reads them.
    for first, then in ((100, 140), (120, 300), (125, 129), (250, 262), (3, 400)) if cache == "float32" else ():
        phone.numbers("logits", "", " ".join(map(str, ids[:first])))
        found = phone.numbers("logits", "reuse", " ".join(map(str, ids[:then])))
        close(found, engine.prefill(ids[:then], 0))
    engine.close()


def close(found: Sequence[float], expected: Any) -> None:
    np.testing.assert_allclose(np.array(found, np.float32), expected, atol=TOLERANCE, rtol=0)


def test_random_numbers_are_numpys(phone: Phone) -> None:
    for seed in (0, 1, 42, 2**31, 2**40 + 7, 2**63 - 1):
        expected = np.random.Generator(np.random.PCG64(seed)).random(20)
        found = [float(word) for word in phone.ask("random", seed, 20).split()]
        assert found == expected.tolist()


CHOICES: tuple[dict[str, Any], ...] = (
    {},
    {"repetition_penalty": 1.3},
    {"temperature": 1.0},
    {"temperature": 0.7, "top_k": 40, "seed": 3},
    {"temperature": 1.3, "top_p": 0.9, "seed": 11},
    {"temperature": 3.0, "top_p": 0.999, "seed": 5},
    {"temperature": 0.8, "min_p": 0.05, "seed": 2},
    {"temperature": 0.9, "top_k": 100, "top_p": 0.8, "min_p": 0.01, "repetition_penalty": 1.2, "seed": 77},
    {"temperature": 1e-9},
    {"temperature": 50.0, "top_k": 1},
)


@pytest.mark.parametrize("settings", CHOICES, ids=str)
def test_choices_are_pythons(phone: Phone, settings: dict[str, Any]) -> None:
    random = np.random.default_rng(1)
    for case in range(3):
        logits = (random.standard_normal(1500) * 3).astype(np.float32)
        if case == 1:
            logits = np.round(logits)  # many that are equal
        if case == 2:
            logits[::7], logits[1::9], logits[2::11] = np.nan, np.inf, -np.inf
        sampler = Sampler(Sampling(**settings), [3, 5, 1499])
        expected = [sampler.choose(logits) for _ in range(40)]
        words = ",".join(f"{name}={value}" for name, value in settings.items())
        text = " ".join({"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(str(x), str(x)) for x in logits)
        assert phone.numbers("choose", words, 40, "3 5 1499", text) == expected


def test_no_number_is_an_error(phone: Phone) -> None:
    assert phone.ask("choose", "", 1, "", "NaN Infinity").startswith("RuntimeFailedException\tthe model gave no number")


ANSWERS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("", {}, {"max_tokens": 40}),
    ("Once upon a time, Tim", {}, {"max_tokens": 300}),
    ("One day, a big dog", {"temperature": 0.9, "top_p": 0.95, "seed": 4}, {"max_tokens": 100}),
    ("Ünïcödé 🙂", {"temperature": 1.2, "top_k": 50, "seed": 9}, {"max_tokens": 60}),
    ("Once upon a time", {}, {"max_tokens": 60, "stop": ["to play", " a little"]}),
    ("Once " * 600, {}, {"max_tokens": 16, "truncate": True}),
    ("Once upon a time", {}, {"max_tokens": 1}),
    ("Once upon a time " * 60, {}, {"max_tokens": 1000}),
)


@pytest.mark.parametrize(
    ("prompt", "settings", "options"), ANSWERS, ids=[str(number) for number in range(len(ANSWERS))]
)
def test_answers_are_pythons(
    phone: Phone, stories: dict[str, CompiledModel], prompt: str, settings: dict[str, Any], options: dict[str, Any]
) -> None:
    phone.ask("open", "float32")
    model = python_language(open_checkpoint(str(STORIES)), stories["float32"])
    expected = python_answer(model, prompt, Sampling(**settings), **options)
    model.context.close()
    told = settings | {name: value for name, value in options.items() if name != "stop"}
    words = ",".join(f"{name}={str(value).lower()}" for name, value in told.items())
    assert generated(phone.ask("generate", words, prompt, *options.get("stop", ()))) == expected


def test_reused_cache_gives_the_same_text(phone: Phone, stories: dict[str, CompiledModel]) -> None:
    phone.ask("open", "float32")
    first = phone.ask("generate", "max_tokens=20", "Once upon a time, there was")
    phone.ask("generate", "max_tokens=20,reuse_cache=true", "Once upon a time, there lived")
    assert phone.ask("generate", "max_tokens=20,reuse_cache=true", "Once upon a time, there was") == first


def test_the_assistant_says_what_it_says_in_python(phone: Phone, assets: Path, built: Built) -> None:
    checkpoint, compiled = built("demo:assistant", "int8", "float32")
    assert checkpoint.generation is not None
    turn = find_turn(checkpoint, checkpoint.generation)
    assert turn is not None
    language_assets(assets, "assistant", checkpoint, compiled, turn)
    phone.ask("open", "assistant")
    model = python_language(checkpoint, compiled)
    for utterance in UTTERANCES:
        expected = python_answer(model, turn.before + utterance + turn.after, Sampling(), max_tokens=160)
        found = generated(phone.ask("generate", "max_tokens=160,chat=true", utterance))
        assert found == expected
        assert "intent" in json.loads(found[3])
    model.context.close()
