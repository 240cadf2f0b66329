"""Preflight: what a device says of itself, and what is amiss with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.errors import UnfitDeviceError
from edgeslm.remote import preflight
from edgeslm.remote.address import Address
from edgeslm.remote.preflight import MARGIN_BYTES, Facts, Needs, Python, find_problems, parse_facts, require_fit

SAID = """Welcome to your Pi!  edgeslm:machine=i386
edgeslm:folder=/home/pi/.cache/edgeslm
edgeslm:machine=aarch64
edgeslm:bits=64
edgeslm:libc=glibc 2.36
edgeslm:python=3.11 64 1 1 /usr/bin/python3
edgeslm:python=3.13 64 1 0 /usr/local/bin/python 3.13
edgeslm:parent=/home/pi
edgeslm:writable=1
edgeslm:free_kib=2000000
edgeslm:memory_kib=300000
edgeslm:sha256sum=1
edgeslm:end=1
"""
NEEDS = Needs("aarch64", "Raspberry Pi 4", "ai-edge-litert", (2, 28), 50_000_000, 171_000_000)
PI = parse_facts(SAID)


def test_a_pis_answer() -> None:
    expected = Facts(
        folder="/home/pi/.cache/edgeslm",
        parent="/home/pi",
        writable=True,
        machine="aarch64",
        bits=64,
        glibc=(2, 36),
        libc="glibc 2.36",
        pythons=(
            Python("3.11", 64, True, True, "/usr/bin/python3"),
            Python("3.13", 64, True, False, "/usr/local/bin/python 3.13"),
        ),
        free_bytes=2_048_000_000,
        memory_kib=300_000,
        sha256sum=True,
    )
    assert expected == PI
    assert find_problems(PI, NEEDS) == []
    assert require_fit(Address("pi"), PI, NEEDS).path == "/usr/bin/python3"


@pytest.mark.parametrize("name", ["folder", "machine", "parent", "end"])
def test_an_answer_that_is_cut_short_is_none(name: str) -> None:
    cut = "\n".join(line for line in SAID.splitlines() if not line.startswith(f"edgeslm:{name}="))
    with pytest.raises(ValueError, match=name):
        parse_facts(cut)


@given(st.text() | st.lists(st.sampled_from(SAID.splitlines()) | st.text()).map("\n".join))
def test_any_answer_is_facts_or_a_value_error(text: str) -> None:
    try:
        facts = parse_facts(text)
    except ValueError:
        return
    assert facts.folder
    assert isinstance(find_problems(facts, NEEDS), list)


def change(**changes: object) -> list[str]:
    return find_problems(replace(PI, **changes), NEEDS)  # type: ignore[arg-type]


OLD = Python("3.9", 64, True, True, "/usr/bin/python3")
BARE = Python("3.12", 64, True, False, "/usr/bin/python3")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"machine": "x86_64"}, ("x86_64", "aarch64", "edgeslm targets")),
        ({"machine": "armv7l", "bits": 32}, ("armv7l",)),
        ({"bits": 32}, ("32 bits", "64-bit Raspberry Pi OS")),
        ({"glibc": (2, 24)}, ("2.24", "2.28", "upgrade")),
        ({"glibc": None, "libc": "musl libc (aarch64)"}, ("no glibc", "musl")),
        ({"pythons": ()}, ("no Python", "apt-get install python3 python3-venv")),
        ({"pythons": (OLD,)}, ("Python 3.9", "3.11 to 3.13")),
        ({"pythons": (OLD, BARE)}, ("3.12", "ensurepip", "apt-get install python3.12-venv")),
        ({"pythons": (replace(BARE, bits=32, ensurepip=True),)}, ("32 bits",)),
        ({"writable": False}, ("/home/pi cannot be written", "--remote-dir")),
        ({"free_bytes": 100_000_000}, ("100 MB free", "50 MB", "171 MB", "67 MB")),
    ],
)
def test_each_problem_alone(changes: dict[str, object], said: tuple[str, ...]) -> None:
    problems = change(**changes)
    assert len(problems) == 1
    for words in said:
        assert words in problems[0]
    assert " -> " in problems[0]


def test_all_problems_are_told_at_once() -> None:
    facts = replace(PI, machine="riscv64", glibc=(2, 17), pythons=(), writable=False, free_bytes=0)
    with pytest.raises(UnfitDeviceError) as raised:
        require_fit(Address("pi", "pi"), facts, NEEDS)
    assert raised.value.message.count("\n         - ") == 5
    assert "ssh://pi@pi" in raised.value.message
    assert "nothing was copied" in str(raised.value.hint)


def test_the_limits_are_exact() -> None:
    exact = NEEDS.copy_bytes + NEEDS.install_bytes + MARGIN_BYTES
    assert change(free_bytes=exact) == []
    assert change(free_bytes=exact - 1)
    assert change(glibc=(2, 28)) == []
    assert change(free_bytes=None, bits=None, memory_kib=None, sha256sum=False) == []


@pytest.mark.parametrize(
    ("libc", "expected"),
    [
        ("glibc 2.36", (2, 36)),
        ("ldd (Debian GLIBC 2.36-9+deb12u9) 2.36", (2, 36)),
        ("ldd (GNU libc) 2.17", (2, 17)),
        ("musl libc (aarch64)", None),
        ("glibc", None),
        ("", None),
    ],
)
def test_glibc(libc: str, expected: tuple[int, int] | None) -> None:
    assert parse_facts(SAID.replace("glibc 2.36", libc)).glibc == expected


def ask_here(folder: str, home: Path, path: str | None = None) -> Facts:
    """The questions put to this machine's own shell."""
    done = subprocess.run(
        ["sh", "-c", preflight._SCRIPT, "sh", folder],
        env={"HOME": str(home), "PATH": path or os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return parse_facts(done.stdout)


@pytest.mark.parametrize("given", ["~/a b/c", "a b/c", "{home}/a b/c", "{home}/a b/c/"])
def test_folders_begin_at_home(given: str, tmp_path: Path) -> None:
    facts = ask_here(given.format(home=tmp_path), tmp_path)
    assert facts.folder == f"{tmp_path}/a b/c"
    assert facts.parent == str(tmp_path)
    assert facts.writable
    free = shutil.disk_usage(tmp_path).free
    assert facts.free_bytes is not None
    assert abs(facts.free_bytes - free) < 1 << 30
    assert facts.machine == os.uname().machine


def test_the_home_itself(tmp_path: Path) -> None:
    assert ask_here("~", tmp_path).folder == str(tmp_path)


def test_a_file_in_the_way_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    facts = ask_here("file/x", tmp_path)
    assert facts.parent == f"{tmp_path}/file"
    assert not facts.writable


def test_a_python_with_two_names_is_asked_once_and_a_broken_one_passed_over(tmp_path: Path) -> None:
    """A shim that does not run is no Python, however it is called."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("uname", "getconf", "readlink", "dirname", "df", "sed", "head", "sh", "sha256sum"):
        (tools / name).symlink_to(str(shutil.which(name)))
    real = tmp_path / "python"
    real.write_text("#!/bin/sh\necho 3.12 64 1 0\n")
    real.chmod(0o755)
    for name in ("python3", "python3.12"):
        (tools / name).symlink_to(real)
    (tools / "python3.13").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3.13").chmod(0o755)
    facts = ask_here("x", tmp_path, str(tools))
    assert facts.pythons == (Python("3.12", 64, True, False, f"{tools}/python3"),)


def test_the_script_is_posix() -> None:
    """dash takes it, and nothing in it needs a backslash in a way that other login shells read otherwise."""
    assert not re.search(r"\[\[|function |local |\$'", preflight._SCRIPT)
