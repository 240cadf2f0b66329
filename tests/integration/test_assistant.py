"""The demo assistant as it is built and asked: from the command line, and over the whole validation file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import edgeslm
from edgeslm.device.model import Model
from scripts.snips import Scores, Utterance, read_utterances, score

SNIPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "snips"
UTTERANCE = "Will it rain in Boston tomorrow?"
CALL = {"intent": "GetWeather", "condition_description": "rain", "city": "Boston", "timeRange": "tomorrow"}
KEPT = {"int8": 0.99, "int4": 0.97}
"""The least share of PyTorch's scores that a scheme keeps."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("assistant")


@pytest.fixture(scope="module")
def utterances() -> list[Utterance]:
    if not SNIPS.is_dir():
        pytest.skip(f"SNIPS is not at {SNIPS}")
    return read_utterances(SNIPS / "validate.jsonl")


@pytest.fixture(scope="module")
def trained(utterances: list[Utterance]) -> Scores:
    """PyTorch's own answers, by the weights that are shipped."""
    import torch
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

    from edgeslm.demos import find_demo
    from scripts.assistant import answers

    demo = find_demo("demo:assistant")
    assert demo is not None
    model = LlamaForCausalLM.from_pretrained(demo.folder, dtype=torch.float32)
    return score(utterances, answers(model, Tokenizer.from_file(str(demo.folder / "tokenizer.json")), utterances))


@pytest.fixture(scope="module", params=KEPT)
def built(request: pytest.FixtureRequest, folder: Path) -> tuple[str, Path]:
    report = edgeslm.build("rpi4", "demo:assistant", scheme=request.param, out=folder)
    return request.param, report.bundle.path


def test_the_command_line_builds_it_and_it_answers(folder: Path) -> None:
    command = [sys.executable, "-m", "edgeslm"]
    build = [*command, "build", "--target", "rpi4", "--demo", "assistant", "-o", str(folder), "--json"]
    built = json.loads(subprocess.run(build, capture_output=True, text=True, check=True).stdout)
    assert built["model"] == "assistant"
    assert "evaluation.txt" in built["fidelity"]["texts"]
    ask = [*command, "run", built["bundle"], "--chat", "--prompt", UTTERANCE]
    said = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == CALL


def test_the_weights_are_as_good_as_the_card_says(trained: Scores) -> None:
    assert trained.intents >= 0.97
    assert trained.slots >= 0.85
    assert trained.exact >= 0.65


def test_bundles_keep_the_scores(built: tuple[str, Path], utterances: list[Utterance], trained: Scores) -> None:
    scheme, path = built
    with Model.open(path) as model:
        said = [
            model.generate([{"role": "user", "content": utterance.text}], max_tokens=160).read()
            for utterance in utterances
        ]
    kept = score(utterances, said)
    for ours, theirs in zip(kept.all, trained.all, strict=True):
        assert ours >= KEPT[scheme] * theirs
