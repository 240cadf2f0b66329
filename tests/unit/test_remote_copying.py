"""Copying: what goes onto a device, and what is already there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.remote import copying
from edgeslm.remote.copying import plan_copy

NAMES = st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3})?", fullmatch=True)
FILES = st.dictionaries(NAMES, st.sampled_from(["a" * 64, "b" * 64]), max_size=8)


@given(FILES, FILES)
def test_carrying_the_plan_out_leaves_exactly_what_is_wanted(wanted: dict[str, str], there: dict[str, str]) -> None:
    plan = plan_copy(wanted, there, dict.fromkeys(wanted, 10))
    after = {name: digest for name, digest in there.items() if name not in plan.remove}
    after |= {name: wanted[name] for name in plan.upload}
    assert after == wanted
    assert plan.upload_bytes == 10 * len(plan.upload)
    assert plan.unchanged == sum(there.get(name) == digest for name, digest in wanted.items())
    assert not set(plan.upload) & set(plan.remove)


@pytest.mark.parametrize(
    ("wheel", "pythons"),
    [
        ("numpy-2.4.6-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl", "3.11"),
        ("openvino-2026.4.1-22982-cp312-cp312-manylinux_2_35_aarch64.whl", "3.12"),
        ("tokenizers-0.23.3-cp310-abi3-manylinux_2_17_aarch64.manylinux2014_aarch64.whl", "3.11 3.12 3.13"),
        ("future-1.0-cp312-abi3-manylinux_2_17_aarch64.whl", "3.12 3.13"),
        ("click-8.5.1-py3-none-any.whl", "3.11 3.12 3.13"),
        ("flatbuffers-25.12.19-py2.py3-none-any.whl", "3.11 3.12 3.13"),
        ("old-1.0-py2-none-any.whl", ""),
        ("free-1.0-cp313-cp313t-manylinux_2_17_aarch64.whl", "3.13"),
        ("no-wheel.txt", "3.11 3.12 3.13"),
    ],
)
def test_which_python_a_wheel_is_for(wheel: str, pythons: str) -> None:
    fit = [version for version in ("3.11", "3.12", "3.13") if copying.suits_python(f"wheels/{wheel}", version)]
    assert " ".join(fit) == pythons


def run_script(script: str, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    env = None if path is None else {"PATH": path}
    return subprocess.run(["sh", "-c", script, "sh", *arguments], env=env, capture_output=True, text=True, check=False)


def digests(folder: Path, path: str | None = None) -> dict[str, str]:
    done = run_script(copying._DIGESTS, str(folder), sys.executable, path=path)
    assert done.returncode == 0, done.stderr
    lines = (copying._LINE.fullmatch(line) for line in done.stdout.splitlines())
    return {line[2]: line[1] for line in lines if line}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bundle/model").mkdir(parents=True)
    (tmp_path / "bundle/a b.txt").write_bytes(b"one")
    (tmp_path / "bundle/model/m.bin").write_bytes(b"two" * 10_000)
    (tmp_path / "bundle/-n").write_bytes(b"")
    return tmp_path / "bundle"


def test_digests_with_sha256sum_and_with_python(folder: Path, tmp_path: Path) -> None:
    names = ("a b.txt", "model/m.bin", "-n")
    expected = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/find").symlink_to("/usr/bin/find")
    (tmp_path / "bin/sh").symlink_to("/bin/sh")
    assert digests(folder) == expected
    assert digests(folder, str(tmp_path / "bin")) == expected
    assert digests(tmp_path / "none") == {}


def test_tidying_stays_in_its_folder(folder: Path, tmp_path: Path) -> None:
    """Links are removed and not followed; empty folders go; what is wanted stays."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("mine")
    (folder / "link").symlink_to(outside)
    (folder / "empty/er").mkdir(parents=True)
    done = run_script(copying._TIDY, str(folder), "a b.txt", "-n", "link/keep")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.rglob("*")) == ["m.bin", "model"]
    assert (outside / "keep").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_not_tidied(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert run_script(copying._TIDY, str(tmp_path / "file"), "a").returncode != 0
    assert (tmp_path / "file").read_text() == "mine"
