"""Compile the Android library's Java into edgeslm/bundle/android/classes.jar, which travels in every .aar.

A build needs no Java for that: the jar is part of the repository, and a test compiles it again and compares. Class
files are of Java 8 level, for stubs of the framework and of LiteRT (tests/android); the same compiler gives the same
bytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from edgeslm.bundle.android.library import ALIGNMENT, CLASSES
from edgeslm.formats.stored_zip import write_stored
from tests.android import jvm

COMPILER = "17"
"""Major version of the javac whose class files are checked in: Debian bookworm's openjdk-17."""


def main() -> int:
    absent = jvm.problem()
    if absent:
        print(absent, file=sys.stderr)
        return 5
    with tempfile.TemporaryDirectory() as folder:
        write_jar(compile_library(Path(folder)), CLASSES)
    print(f"{CLASSES}: {CLASSES.stat().st_size:,} bytes")
    return 0


def compile_library(out: Path) -> Path:
    """The folder of the library's class files, in `out`. Raises SystemExit; javac says why."""
    for part in ("stubs", "library"):
        before = [str(folder) for folder in out.iterdir()] if part == "library" else []
        (out / part).mkdir(parents=True)
        sources = sorted(file for folder in jvm.SOURCES[part] for file in folder.rglob("*.java"))
        path = ["-cp", os.pathsep.join(before)] if before else []
        command = ["javac", *jvm.JAVAC, *path, "-d", str(out / part), *map(str, sources)]
        if subprocess.run(command, check=False).returncode != 0:
            raise SystemExit(f"javac does not take the {part}")
    return out / "library"


def write_jar(folder: Path, jar: Path) -> None:
    """All class files below `folder`, in order of name, stored."""
    classes: dict[str, bytes | Path] = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.class"))
    }
    write_stored(jar, classes, sorted(classes), lambda name: ALIGNMENT)


if __name__ == "__main__":
    sys.exit(main())
