"""The demo assistant as it is built and asked: from the command line, and over the whole validation file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from edgeslm.api import build
from edgeslm.backends.cortexm.variant import choose_variant
from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.device.model import Model
from edgeslm.firmware.board import GREETING_END
from edgeslm.firmware.open_board import open_board
from edgeslm.firmware.qemu import EmulatedLine, emulated
from edgeslm.firmware.told import Token
from edgeslm.firmware.wire import MOST_REQUEST, Frame, Receiver, request
from edgeslm.target import load_target
from scripts.snips import Scores, Utterance, read_utterances, score
from tests.conftest import Answer
from tests.firmware.host_program import build_host_program, talk

Edgeslm = Callable[..., Answer]
SNIPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "snips"
BOARD, FITTING = "netduinoplus2", ("--context", "208", "--kv-cache", "int8")
FAST = ("-O2",)
MOST_TOKENS = 160
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


@pytest.fixture(scope="module")
def scores(folder: Path, utterances: list[Utterance]) -> Callable[[str], Scores]:
    """Of the bundle of a scheme for the Raspberry Pi 4."""

    @cache
    def answer(scheme: str) -> Scores:
        report = build("rpi4", "demo:assistant", scheme=scheme, out=folder)
        with Model.open(report.bundle.path) as model:
            said = [
                model.generate([{"role": "user", "content": utterance.text}], max_tokens=MOST_TOKENS).read()
                for utterance in utterances
            ]
        return score(utterances, said)

    return answer


@pytest.fixture(scope="module")
def board_bundle(edgeslm: Edgeslm, folder: Path) -> Path:
    """For an STM32F4 with 128 KiB of RAM, as the README builds it."""
    answer = edgeslm("build", "-t", BOARD, "--demo", "assistant", *FITTING, "-o", folder, "--json")
    assert answer.status == 0, answer.stderr
    return Path(answer.json["bundle"])


def test_the_command_line_builds_it_and_it_answers(edgeslm: Edgeslm, folder: Path) -> None:
    built = edgeslm("build", "--target", "rpi4", "--demo", "assistant", "-o", folder, "--json")
    assert built.status == 0, built.stderr
    assert built.json["model"] == "assistant"
    assert "evaluation.txt" in built.json["fidelity"]["texts"]
    said = edgeslm("run", built.json["bundle"], "--chat", "--prompt", UTTERANCE)
    assert said.status == 0, said.stderr
    assert json.loads(said.stdout) == CALL


def test_the_weights_are_as_good_as_the_card_says(trained: Scores) -> None:
    assert trained.intents >= 0.97
    assert trained.slots >= 0.85
    assert trained.exact >= 0.65


@pytest.mark.parametrize("scheme", KEPT)
def test_bundles_keep_the_scores(scheme: str, scores: Callable[[str], Scores], trained: Scores) -> None:
    for ours, theirs in zip(scores(scheme).all, trained.all, strict=True):
        assert ours >= KEPT[scheme] * theirs


def test_a_microcontroller_keeps_the_scores(
    board_bundle: Path, tmp_path: Path, utterances: list[Utterance], scores: Callable[[str], Scores]
) -> None:
    """Over the whole file by the firmware's C compiled for this machine, whose answers are those of the board."""
    with zipfile.ZipFile(board_bundle) as archive:
        archive.extractall(tmp_path)
    program = build_host_program(
        tmp_path / "model", choose_variant(load_target(BOARD).cpu.isa).host_macros, tmp_path, FAST
    )
    asked = [request("O", MOST_TOKENS, 0, 0), *(Frame("P", f"{one.text}\t".encode()) for one in utterances)]
    answers, text = [], b""
    for frame in Receiver().feed(talk(program, b"".join(frame.encode() for frame in asked))):
        text += frame.text(2) if frame.type == "t" else b""
        if frame.type == "d":
            answers.append(text.decode(errors="replace"))
            text = b""
    for ours, theirs in zip(score(utterances, answers).all, scores("int8").all, strict=True):
        assert ours >= 0.99 * theirs

    inspection = inspect_bundle(board_bundle)
    with open_board(board_bundle, inspection.manifest, "qemu") as board:
        board.set_options(MOST_TOKENS)
        for utterance, answer in list(zip(utterances, answers, strict=True))[::70]:
            came = [one.text for one in board.answer(f"{utterance.text}\t") if isinstance(one, Token)]
            assert b"".join(came).decode(errors="replace") == answer


def test_the_template_is_applied_for_a_board(edgeslm: Edgeslm, board_bundle: Path) -> None:
    answer = edgeslm("run", board_bundle, "--via", "qemu", "--chat", "--prompt", UTTERANCE, "--json")
    assert answer.status == 0, answer.stderr
    generation = answer.json["generation"]
    assert generation["prompt"] == UTTERANCE
    assert json.loads(generation["text"]) == CALL


def test_a_person_types_the_request_alone(board_bundle: Path, tmp_path: Path) -> None:
    """The board's terminal puts around it what the chat template does."""
    manifest = inspect_bundle(board_bundle).manifest
    assert manifest.firmware is not None
    with zipfile.ZipFile(board_bundle) as archive:
        elf = Path(archive.extract(manifest.firmware.elf, tmp_path))
    with emulated(manifest.target, elf, tmp_path / "log") as line:
        _read_until(line, GREETING_END)
        for _ in range(2):
            line.write(f"{UTTERANCE}\r".encode())
            shown = _read_until(line, b"\r\n> ").decode().split("\r\n")
            assert shown[0] == UTTERANCE
            assert json.loads(shown[1]) == CALL
        line.write(b"\r")
        assert _read_until(line, b"\r\n> ") == b"\r\n> "
        line.write(b"a" * 2000 + b"\r")
        shown = _read_until(line, b"\r\n> ").decode().split("\r\n")
        assert shown[0] == "a" * (MOST_REQUEST - 1)  # there is room for what comes behind it


def _read_until(line: EmulatedLine, end: bytes) -> bytes:
    said = b""
    while not said.endswith(end):
        came = line.read(60.0)
        assert came, said
        said += came
    return said
