"""The wheel: everything an installed edgeslm needs is in it, and it works from there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("edgeslm", "targets", "firmware_templates", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves its intermediate files beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / "source" / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), "source"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("edgeslm-*.whl"))


def tree_files() -> set[str]:
    """What must be in the wheel, by its name there: all code, and the data that code reads."""
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "edgeslm").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    mapped = {
        f"edgeslm/{path.relative_to(ROOT).as_posix()}"
        for folder in ("targets", "firmware_templates")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return package | mapped


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    assert tree_files() - names == set()
    assert {name for name in names if ".dist-info/" not in name} - tree_files() == set()
    for name in (
        "py.typed",
        "targets/rpi4.toml",
        "cli/build.py",
        "fidelity/scoring.txt",
        "backends/tflite/onnx2tf.txt",
    ):
        assert f"edgeslm/{name}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_every_package_folder_is_listed() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "edgeslm").rglob("*.py")}
    assert {folder.replace("/", ".") for folder in folders} | {"edgeslm.targets", "edgeslm.firmware_templates"} == set(
        configured
    )
    for folder in folders:
        assert (ROOT / folder / "__init__.py").is_file()


def test_the_installed_package_knows_its_targets_and_version(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(tmp_path / "site")
    code = "import edgeslm, edgeslm.target as t; print(edgeslm.__file__, *(x.name for x in t.list_targets()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    where, *targets = done.stdout.split()
    assert where == str(tmp_path / "site" / "edgeslm" / "__init__.py")
    assert targets == sorted(path.stem for path in (ROOT / "targets").glob("*.toml"))
    shown = subprocess.run(
        [sys.executable, "-m", "edgeslm", "targets", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(json.loads(shown.stdout)["targets"]) == len(targets)


def test_the_versions_agree() -> None:
    from edgeslm import __version__

    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__
    assert __version__ in (ROOT / "CHANGELOG.md").read_text()


def test_the_licence_is_apache_2() -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert len(licence.splitlines()) > 190
