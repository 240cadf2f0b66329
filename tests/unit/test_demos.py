"""`--demo` and what it finds."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from edgeslm.cli import edgeslm
from edgeslm.demos import DEMOS, find_demo
from edgeslm.errors import ConfigError
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.fidelity.texts import load_texts


def test_the_assistant_is_small_and_whole() -> None:
    demo = find_demo("demo:assistant")
    assert demo is not None
    checkpoint = open_checkpoint("demo:assistant")
    assert checkpoint.task == "generation"
    assert checkpoint.elements <= 800_000
    assert checkpoint.decoder is not None
    assert checkpoint.decoder.tied
    assert checkpoint.decoder.vocabulary <= 1_000
    assert checkpoint.decoder.width % 32 == 0
    assert checkpoint.licence == "apache-2.0"
    assert (demo.folder / "model.safetensors").stat().st_size <= 2_000_000
    calibration, scoring = load_texts(demo.calibration, demo.evaluation)  # and they share no text
    for line in (*calibration.lines, *scoring.lines):
        heard, call = line.split("\t")
        assert heard
        assert "intent" in json.loads(call)


def test_every_demo_has_a_name() -> None:
    for source in DEMOS.values():
        assert find_demo(source) is not None
    assert find_demo("./assistant") is None


def test_a_demo_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="no demo is named 'butler'"):
        find_demo("demo:butler")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--demo", "butler"], "no demo is named 'butler'"),
        (["--demo", "assistant", "--model", "."], "--model and --demo exclude each other"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_done(flags: list[str], said: str) -> None:
    done = CliRunner().invoke(edgeslm, ["build", "--target", "rpi4", *flags])
    assert isinstance(done.exception, ConfigError)
    assert said in done.exception.message


def test_plan_names_the_demo() -> None:
    done = CliRunner().invoke(edgeslm, ["plan", "--target", "rpi4", "--demo", "assistant", "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["model"] == "assistant"
