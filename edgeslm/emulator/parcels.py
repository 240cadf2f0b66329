"""The arm64 userland for a device that has none, as on Android: Python with glibc in one parcel, packages in another.

Programs in it are started by their own ld-linux-aarch64.so.1, so that nothing is asked of the device but its kernel.
Of the userland and of the packages goes along what a probe may import; modules are compiled, since a device that
compiles them first would count that as loading.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from edgeslm.bundle.requirements import RUNTIMES
from edgeslm.cache import explain_full_disk
from edgeslm.data_folder import alone, data_folder
from edgeslm.digest import json_digest
from edgeslm.emulator.command import emulated_python
from edgeslm.emulator.userland import Userland
from edgeslm.errors import InternalError
from edgeslm.formats.parcel import Parcel, open_parcel, write_tar
from edgeslm.toolchain import run_tool

LAYOUT = 1
"""Counts up when parcels are laid out differently."""
LOADER = "lib/ld-linux-aarch64.so.1"
LIBRARIES = (
    "ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1",
    "libz.so.1", "libexpat.so.1", "libgcc_s.so.1", "libstdc++.so.6", "libffi.so.8", "libcrypto.so.3", "libbz2.so.1.0",
    "liblzma.so.5",
)  # fmt: skip
"""What Python, its extension modules and the packages are linked with."""
LEFT_OUT = re.compile(
    r"(test|idlelib|lib2to3|pydoc_data|ensurepip|distutils|tkinter|turtledemo|config-[^/]*|__pycache__)/.*"
    r"|lib-dynload/.*|.*\.(exe|bat)"
)
"""Of Python's own modules: what no model imports, and what does not belong into a zip file."""
EXTENSIONS_LEFT_OUT = re.compile(
    r"_(test|xx|codecs_|curses|dbm|crypt|ssl|sqlite3|uuid).*|(xxlimited|nis|readline|ossaudiodev).*"
)
NOT_NEEDED = frozenset({"huggingface-hub", "tqdm", "protobuf"})
"""What packages ask for to fetch models and to convert them: nothing imports it to run one."""
PACKAGE_LEFT_OUT = re.compile(
    r"(.*/)?(tests|__pycache__|include|f2py|distutils)/.*|.*\.(pyi|h|a|c|pxd|pyx)|bin/.*"
    r"|ai_edge_litert/(libLiteRtWebGpuAccelerator|_pywrap_analyzer|_pywrap_litert_converter|format_converter|pywrap_genai"
    r"|_pywrap_tensorflow_lite_calibration|_pywrap_tfl_calibration|_pywrap_modify).*|ai_edge_litert/(aot|tools)/.*"
)
DIST_INFO = re.compile(r"[^/]+\.dist-info/(?!METADATA)")
COMPILE_CORE = "cortex-a76"


def python_parcel(userland: Userland) -> Parcel:
    """Python and the libraries below it: lib/, bin/python3.N, usr/lib/. Made on first use, then kept."""
    key = json_digest([userland.folder.name, LIBRARIES, LEFT_OUT.pattern, EXTENSIONS_LEFT_OUT.pattern, LAYOUT])
    return _kept("python", key, lambda work: _python_members(userland, work))


def packages_parcel(userland: Userland, site: Path, runtime: str) -> Parcel:
    """The packages of a runtime ("ai-edge-litert") in `site`, and those they import. Made on first use, then kept."""
    key = json_digest([site.name, runtime, sorted(NOT_NEEDED), PACKAGE_LEFT_OUT.pattern, userland.python, LAYOUT])
    return _kept("packages", key, lambda work: _package_members(userland, site, runtime, work))


def _kept(name: str, key: str, members: Callable[[Path], dict[str, bytes | Path]]) -> Parcel:
    place = data_folder() / f"parcel-{name}-{key[:16]}.tar"
    with explain_full_disk(place), alone(place):
        if not place.exists():
            work = Path(tempfile.mkdtemp(prefix=".parcel-", dir=place.parent))
            try:
                write_tar(work / "made.tar", members(work))
                (work / "made.tar").rename(place)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return open_parcel(place, name)


def _python_members(userland: Userland, work: Path) -> dict[str, bytes | Path]:
    python, system = f"python{userland.python}", userland.system
    members: dict[str, bytes | Path] = {f"bin/{python}": (system / "usr/bin" / python).resolve()}
    for name in LIBRARIES:
        members[f"lib/{name}"] = _library(system, name)
    standard = system / "usr/lib" / python
    for extension in sorted((standard / "lib-dynload").glob("*.so")):
        if not EXTENSIONS_LEFT_OUT.match(extension.name):
            members[f"usr/lib/{python}/lib-dynload/{extension.name}"] = extension
    sources = {name: path for name, path in _files(standard) if name.endswith(".py") and not LEFT_OUT.match(name)}
    compiled = _compiled(userland, sources, work / "standard")
    with zipfile.ZipFile(work / "standard.zip", "w") as archive:  # where Python looks first, by its own rules
        for name, path in sorted(compiled.items()):
            archive.writestr(zipfile.ZipInfo(name), path.read_bytes())
    members[f"usr/lib/{python.replace('.', '')}.zip"] = work / "standard.zip"
    return members


def _package_members(userland: Userland, site: Path, runtime: str, work: Path) -> dict[str, bytes | Path]:
    files: dict[str, Path] = {}
    for distribution in _needed(site, RUNTIMES[runtime]):
        for listed in distribution.files or ():
            name = listed.as_posix()
            if not (PACKAGE_LEFT_OUT.fullmatch(name) or DIST_INFO.match(name)) and (site / name).is_file():
                files[name] = site / name
    sources = {name: path for name, path in files.items() if name.endswith(".py")}
    return {
        **{name: path for name, path in files.items() if name not in sources},
        **_compiled(userland, sources, work / "packages"),
    }


def _needed(site: Path, wanted: Sequence[str]) -> Iterator[metadata.Distribution]:
    """The distributions named, and what they ask for, each once."""
    there = {_plain(found.name): found for found in metadata.distributions(path=[str(site)])}
    pending, seen = [_plain(name) for name in wanted], set(NOT_NEEDED)
    while pending:
        name = pending.pop()
        if name not in there or name in seen:  # what is not there is for another system or Python
            continue
        seen.add(name)
        yield there[name]
        pending += [_plain(re.split(r"[^A-Za-z0-9._-]", asked)[0]) for asked in there[name].requires or ()]


def _plain(name: str) -> str:
    """A project's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _compiled(userland: Userland, sources: Mapping[str, Path], work: Path) -> dict[str, Path]:
    """Modules as bytecode of the device's Python, named a/b.pyc: dates do not matter to it, sources need not be there.

    This Python compiles where it is of the same version, else the device's own under the emulator.
    """
    for name, path in sources.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, work / name)
    arguments = ["-m", "compileall", "-q", "-b", "--invalidation-mode", "unchecked-hash", "-s", str(work), str(work)]
    command, env = [sys.executable, *arguments], None
    if "{}.{}".format(*sys.version_info) != userland.python:
        command, env = emulated_python(userland, COMPILE_CORE, arguments, path=[], env={})
    run_tool(command, data_folder() / "logs" / "parcels.log", env=env)
    return {f"{name}c": work / f"{name}c" for name in sources}


def _library(system: Path, name: str) -> Path:
    for folder in ("lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu"):
        if (system / folder / name).exists():
            return (system / folder / name).resolve()
    raise InternalError(f"the arm64 userland has no {name}")


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    return ((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
