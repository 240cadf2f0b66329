"""What the tests of Android's Java share: its classes, compiled once for all workers, and a way to run them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.android import litert_library
from tests.android.jvm import Classes, compiled_classes, problem

RunJava = Callable[..., str]


@pytest.fixture(scope="session")
def android_classes(shared_folder: Path) -> Classes:
    """The template's library and app, the stubs, and the test programs, as class files."""
    missing = problem()
    if missing:
        pytest.skip(missing)
    return compiled_classes(shared_folder / "android")


@pytest.fixture(scope="session")
def run_java(android_classes: Classes) -> RunJava:
    """run_java("org.edgeslm.Program", "argument", stdin="…", options=["-Dkey=value"]) -> its standard output."""

    def run(main: str, *arguments: str | Path, stdin: str = "", options: Sequence[str] = ()) -> str:
        command = android_classes.command(main, *arguments, options=options)
        done = subprocess.run(command, input=stdin.encode(), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode()

    return run


@pytest.fixture(scope="session")
def litert_jni(shared_folder: Path) -> str:
    """The JVM's option with which LiteRT's Java classes find their library."""
    missing = litert_library.problem()
    if missing:
        pytest.skip(missing)
    return f"-Djava.library.path={litert_library.litert_folder(shared_folder / 'android')}"
