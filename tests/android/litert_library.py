"""LiteRT's JNI library for this machine, compiled from the shim."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
from pathlib import Path

from edgeslm.data_folder import alone

SHIM = Path(__file__).parent / "litert" / "shim.c"
LIBRARY = "liblitert_jni.so"


def problem() -> str | None:
    """What keeps it from being compiled here, with the line that helps; None where nothing."""
    if _headers() is None:
        return "no jni.h beside javac: apt-get install openjdk-17-jdk-headless"
    if shutil.which("cc") is None:
        return "cc not found: apt-get install gcc"
    if importlib.util.find_spec("ai_edge_litert") is None:
        return "ai-edge-litert is not installed: edgeslm doctor --install tflite"
    return None


def litert_folder(cache: Path) -> Path:
    """The folder for -Djava.library.path, in `cache`; compiled where it is not there yet."""
    headers, wheel = _headers(), importlib.util.find_spec("ai_edge_litert")
    assert headers is not None
    assert wheel is not None
    assert wheel.origin is not None
    package = Path(wheel.origin).parent
    folder = cache / f"litert-{hashlib.sha256(SHIM.read_bytes()).hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        if not folder.is_dir():
            making = folder.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            includes = [f"-I{path}" for path in (headers, headers / "linux")]
            flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"]
            library = [package / "libLiteRt.so", f"-Wl,-rpath,{package}"]
            command = ["cc", *flags, "-o", making / LIBRARY, SHIM, *includes, *library]
            done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            making.rename(folder)
    return folder


def _headers() -> Path | None:
    javac = shutil.which("javac")
    folder = Path(javac).resolve().parents[1] / "include" if javac else None
    return folder if folder is not None and (folder / "jni.h").is_file() else None
