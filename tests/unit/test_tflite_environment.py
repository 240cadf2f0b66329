"""Environments for foreign Python tools: found, made, and never half there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from edgeslm.backends.tflite import environment
from edgeslm.backends.tflite.environment import ENVIRONMENTS, Environment
from edgeslm.errors import MissingToolError, ToolFailedError


@pytest.fixture
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, an empty PATH, no pyenv."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("EDGESLM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


@pytest.fixture
def small_environment(monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment this very Python can make, under a name of its own, with nothing to install."""
    small = Environment("small", (3, 11), (3, 99))
    monkeypatch.setitem(ENVIRONMENTS, "small", small)
    return small


def claim(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_lock_files_pin_every_package_exactly(name: str) -> None:
    lines = ENVIRONMENTS[name].lock_file.read_text().splitlines()
    assert any(line.startswith(f"{name}==") for line in lines)
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []


def test_without_a_suitable_python_the_problem_says_exactly_that(nothing_here: Path) -> None:
    if sys.version_info[:2] >= (3, 12):
        pytest.skip(f"this Python itself is {sys.version_info[:2]}, new enough for onnx2tf")
    said = environment.problem("onnx2tf")
    assert said == "onnx2tf needs Python >= 3.12 (up to 3.13), found none on PATH or in pyenv"
    with pytest.raises(MissingToolError, match=r"needs Python >= 3\.12"):
        environment.install("onnx2tf", nothing_here / "log")
    assert environment.version("onnx2tf") is None


@pytest.mark.parametrize("place", ["bin/python3.12", "pyenv/versions/3.12.4/bin/python"])
def test_a_python_on_path_or_in_pyenv_is_found(nothing_here: Path, place: str) -> None:
    claim(nothing_here / place, "exit 0")
    assert environment.problem("onnx2tf") == "not installed: edgeslm doctor --install onnx2tf"


def test_a_pyenv_shim_is_no_python(nothing_here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.version_info[:2] >= (3, 12):
        pytest.skip(f"this Python itself is {sys.version_info[:2]}, new enough for onnx2tf")
    shim = claim(nothing_here / "pyenv" / "shims" / "python3.12", "exit 127")
    monkeypatch.setenv("PATH", str(shim.parent))
    assert "found none" in str(environment.problem("onnx2tf"))


def test_a_python_that_does_not_run_is_named(nothing_here: Path) -> None:
    if sys.version_info[:2] >= (3, 12):
        pytest.skip(f"this Python itself is {sys.version_info[:2]}, new enough for onnx2tf")
    broken = claim(nothing_here / "bin" / "python3.12", "echo no ensurepip >&2; exit 1")
    with pytest.raises(MissingToolError, match="no ensurepip") as caught:
        environment.install("onnx2tf", nothing_here / "log")
    assert str(broken) in caught.value.message


def test_installing_makes_it_complete_and_again_does_nothing(
    nothing_here: Path, small_environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_file = nothing_here / "small.txt"
    lock_file.write_text("")
    monkeypatch.setattr(Environment, "lock_file", lock_file)
    (small_environment.folder / "left by a killed one").mkdir(parents=True)
    assert environment.problem("small") == "not installed: edgeslm doctor --install small"

    environment.install("small", nothing_here / "log")
    assert environment.problem("small") is None
    assert environment.python_of("small").is_file()
    assert not (small_environment.folder / "left by a killed one").exists()

    complete = small_environment.folder / environment.COMPLETE
    before = complete.stat().st_mtime_ns
    environment.install("small", nothing_here / "log")
    assert complete.stat().st_mtime_ns == before


def test_a_failing_pip_leaves_nothing_behind_but_its_log(
    nothing_here: Path, small_environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_file = nothing_here / "small.txt"
    lock_file.write_text(f"nothing @ file://{nothing_here}/nothing-1-py3-none-any.whl\n")
    monkeypatch.setattr(Environment, "lock_file", lock_file)
    with pytest.raises(ToolFailedError, match="No such file"):
        environment.install("small", nothing_here / "log")
    assert not small_environment.folder.exists()
    assert "nothing-1" in (nothing_here / "log").read_text()
    with pytest.raises(MissingToolError, match="doctor --install small"):
        environment.python_of("small")
