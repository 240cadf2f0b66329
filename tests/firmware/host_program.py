"""The host build of a firmware: the same C under the sanitizers, its stdin and stdout the UART."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edgeslm.firmware.image import INCLUDED, MEANING, ROOMS, STRICT
from edgeslm.template_folder import template_folder

SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FRAMES = Path(__file__).with_name("frames_library.c")


def require_tool(name: str, package: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not here (apt install {package})")


def build_host_program(model: Path, macros: tuple[str, ...], out: Path, how: tuple[str, ...] = SANITIZERS) -> Path:
    """host/main.c with the generated model in folder `model`."""
    require_tool("cc", "build-essential")
    templates = template_folder()
    rooms = [room for room in ROOMS if room != "boards"]
    includes = [f"-I{model}", *(f"-I{templates / room}" for room in ("model", *ROOMS))]
    flags = [*STRICT, *MEANING, *how, *macros, *includes]
    objects = []
    for room, files in [(room, templates / room) for room in rooms] + [("model", model)]:
        linked = out / f"{room}.o"
        included = INCLUDED.get(room, ())
        _run(["cc", *flags, *included, "-r", "-nostdlib", *map(str, sorted(files.glob("*.c"))), "-o", str(linked)])
        objects.append(str(linked))
    program = out / "host-firmware"
    _run(["cc", *flags, *objects, str(templates / "host" / "main.c"), "-o", str(program)])
    return program


def build_frames_library(out: Path) -> Path:
    """frames_library.c, to be called by ctypes."""
    require_tool("cc", "build-essential")
    templates = template_folder()
    includes = [f"-I{templates / room}" for room in ("protocol", "boards")]
    library = out / "frames.so"
    sources = [str(FRAMES), str(templates / "protocol" / "frames.c")]
    _run(["cc", *STRICT, "-O2", "-fPIC", "-shared", *includes, *sources, "-o", str(library)])
    return library


def talk(program: Path, content: bytes) -> bytes:
    """What the program answers to these bytes; it ends with them. A sanitizer's complaint fails the test."""
    done = subprocess.run([str(program)], input=content, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return done.stdout


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
