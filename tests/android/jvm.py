"""The Java of Android bundles on this machine: compiled against stubs of the framework, run on the JVM."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeslm.data_folder import alone

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "edgeslm" / "bundle" / "android" / "template"
HERE = Path(__file__).parent
SOURCES: dict[str, tuple[Path, ...]] = {
    "stubs": (HERE / "stubs", HERE / "litert"),
    "library": (TEMPLATE / "edgeslm" / "src" / "main" / "java",),
    "app": (TEMPLATE / "app" / "src" / "main" / "java", HERE / "app"),
    "tests": (HERE / "java",),
}
"""What is compiled, in this order: each part sees those before it. A folder that is not there has no sources."""
JAVAC = ("-encoding", "UTF-8", "--release", "8", "-Xlint:all", "-Werror", "-proc:none")
LIGHT = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData")
"""Options for programs that run for seconds: the second compiler would cost more than it saves."""


@dataclass(frozen=True)
class Classes:
    """Folders of class files, one for each part of SOURCES."""

    stubs: Path
    library: Path
    app: Path
    tests: Path

    @property
    def path(self) -> str:
        return os.pathsep.join(map(str, (self.tests, self.app, self.library, self.stubs)))

    def command(self, main: str, *arguments: str | Path, options: Sequence[str] = ()) -> list[str]:
        """The command that runs the main class `main`. `options` are the JVM's: "-Djava.library.path=…", "-Xmx64m"."""
        return ["java", *LIGHT, "-ea", *options, "-cp", self.path, main, *map(str, arguments)]


def problem() -> str | None:
    """What keeps Java from being compiled and run here, with the line that helps; None where nothing."""
    absent = [tool for tool in ("javac", "java") if shutil.which(tool) is None]
    return f"{' and '.join(absent)} not found: apt-get install openjdk-17-jdk-headless" if absent else None


def compiled_classes(cache: Path) -> Classes:
    """All parts compiled into a folder of `cache` that is named by their content, where they are not there yet.

    Raises AssertionError with javac's own words.
    """
    folder = cache / f"classes-{_digest()}"
    classes = Classes(*(folder / part for part in SOURCES))
    with alone(folder):
        if not folder.is_dir():
            making = folder.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            for part in SOURCES:
                _compile(making, part)
            making.rename(folder)
    return classes


def _sources(part: str) -> Iterator[Path]:
    for folder in SOURCES[part]:
        yield from sorted(folder.rglob("*.java"))


def _digest() -> str:
    total = hashlib.sha256(" ".join(JAVAC).encode())
    for part in SOURCES:
        for file in _sources(part):
            content = file.read_bytes()
            total.update(f"{part} {file} {len(content)}\n".encode() + content)
    return total.hexdigest()[:16]


def _compile(folder: Path, part: str) -> None:
    before = [str(folder / one) for one in SOURCES if (folder / one).is_dir()]
    out = folder / part
    out.mkdir(parents=True)
    sources = list(_sources(part))
    if not sources:
        return
    path = ("-cp", os.pathsep.join(before)) if before else ()
    command = ["javac", *(f"-J{option}" for option in LIGHT), *JAVAC, *path, "-d", out, *sources]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{part}: {done.stderr}"
