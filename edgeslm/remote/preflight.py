"""Preflight: whether a device can take a bundle, asked before anything is copied to it.

The questions are put in plain POSIX shell, so that a device without Python can answer them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeslm.bundle.requirements import PYTHONS
from edgeslm.errors import DeviceError, UnfitDeviceError
from edgeslm.remote.address import Address
from edgeslm.remote.command import run_script
from edgeslm.remote.connection import Connection

MARGIN_BYTES = 64 << 20
"""What stays free beside the bundle and its packages: packed weights, logs, and the device's own business."""

# Each answer is a line of its own, marked, since a login shell may greet. A Python is asked once however many names
# it has.
_SCRIPT = """
say() { printf 'edgeslm:%s=%s\\n' "$1" "$2"; }
case $1 in
  "~") folder=$HOME ;;
  "~/"*) folder=$HOME/${1#"~/"} ;;
  /*) folder=$1 ;;
  *) folder=$HOME/$1 ;;
esac
say folder "$folder"
say machine "$(uname -m)"
say bits "$(getconf LONG_BIT 2>/dev/null)"
say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 1)"
seen=
for name in python3 python3.13 python3.12 python3.11; do
  path=$(command -v "$name") || continue
  real=$(readlink -f "$path" 2>/dev/null || echo "$path")
  case " $seen " in *" $real "*) continue ;; esac
  seen="$seen $real"
  found=$("$path" -c 'import sys, importlib.util as u
print("%d.%d" % sys.version_info[:2], sys.maxsize.bit_length() + 1,
      *[int(u.find_spec(name) is not None) for name in ("venv", "ensurepip")])' 2>/dev/null) || continue
  say python "$found $path"
done
parent=$folder
while [ ! -e "$parent" ]; do parent=$(dirname "$parent"); done
say parent "$parent"
if [ -d "$parent" ] && [ -w "$parent" ] && [ -x "$parent" ]; then say writable 1; else say writable 0; fi
say free_kib "$(df -Pk "$parent" | sed -n 's/.* \\([0-9][0-9]*\\)  *[0-9]*% .*/\\1/p' | head -n 1)"
say memory_kib "$(sed -n 's/^MemAvailable: *\\([0-9]*\\).*/\\1/p' /proc/meminfo 2>/dev/null)"
if command -v sha256sum >/dev/null 2>&1; then say sha256sum 1; else say sha256sum 0; fi
say end 1
"""


@dataclass(frozen=True)
class Python:
    """A Python on the device."""

    version: str  # "3.11"
    bits: int
    venv: bool
    ensurepip: bool
    path: str

    @property
    def fit(self) -> bool:
        return self.version in PYTHONS and self.bits == 64 and self.venv and self.ensurepip


@dataclass(frozen=True)
class Facts:
    """What a device says of itself. A number it does not know is None."""

    folder: str  # where everything goes, as an absolute path; it need not be there yet
    parent: str  # the nearest of its parents that is there
    writable: bool
    machine: str
    bits: int | None
    glibc: tuple[int, int] | None
    libc: str
    pythons: tuple[Python, ...]
    free_bytes: int | None
    memory_kib: int | None
    sha256sum: bool

    @property
    def python(self) -> Python | None:
        """The Python to install for: the first fit one, `python3` before others."""
        return next((python for python in self.pythons if python.fit), None)


@dataclass(frozen=True)
class Needs:
    """What a bundle needs of its device."""

    arch: str
    device: str  # the target's title
    runtime: str
    glibc: tuple[int, int]
    copy_bytes: int
    install_bytes: int


async def ask_facts(connection: Connection, folder: str) -> Facts:
    """Look at the device; `folder` is absolute or relative to the user's home. Changes nothing there."""
    ended = await run_script(connection, _SCRIPT, folder, doing="looking at the device")
    try:
        return parse_facts(ended.stdout)
    except ValueError as error:
        raise DeviceError(
            f"{connection.address} does not answer as a POSIX shell does ({error}): it {ended.how}",
            "edgeslm runs on Linux devices whose user has a normal shell",
        ) from None


def parse_facts(text: str) -> Facts:
    """What the script printed. Raises ValueError that names what is missing or wrong."""
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.removeprefix("edgeslm:").partition("=")
        if line.startswith("edgeslm:") and equals:
            said.setdefault(name, []).append(value.strip())
    for name in ("folder", "parent", "machine", "end"):
        if not said.get(name, [""])[0]:
            raise ValueError(f"no {name}")
    free = _number(said, "free_kib")
    libc = said.get("libc", [""])[0]
    return Facts(
        folder=said["folder"][0].rstrip("/") or "/",
        parent=said["parent"][0],
        writable=said.get("writable") == ["1"],
        machine=said["machine"][0],
        bits=_number(said, "bits"),
        glibc=_glibc(libc),
        libc=libc,
        pythons=tuple(_python(line) for line in said.get("python", [])),
        free_bytes=None if free is None else free << 10,
        memory_kib=_number(said, "memory_kib"),
        sha256sum=said.get("sha256sum") == ["1"],
    )


def find_problems(facts: Facts, needs: Needs) -> list[str]:
    """Everything that is not as the bundle needs it, each with what to do about it."""
    problems = []
    arch = {"arm64": "aarch64", "amd64": "x86_64"}.get(facts.machine, facts.machine)
    if arch != needs.arch:
        problems.append(
            f"its architecture is {facts.machine}, and the bundle is for {needs.arch} ({needs.device})"
            " -> edgeslm targets lists what a bundle can be built for"
        )
    elif facts.bits not in {64, None}:
        problems.append(
            f"its system has {facts.bits} bits, although its processor has 64 -> install the 64-bit Raspberry Pi OS"
        )
    wanted = ".".join(map(str, needs.glibc))
    if facts.glibc is None:
        problems.append(
            f"it has no glibc ({facts.libc or 'unknown'}), and the packages for {needs.runtime} need glibc {wanted}"
            " -> use a system with glibc: Raspberry Pi OS, Debian, Ubuntu"
        )
    elif facts.glibc < needs.glibc:
        problems.append(
            f"its glibc is {'.'.join(map(str, facts.glibc))}, and the packages for {needs.runtime} need {wanted}"
            " -> upgrade it to Raspberry Pi OS 12, Debian 12 or Ubuntu 24.04"
        )
    if facts.python is None:
        problems.append(_python_problem(facts.pythons))
    if not facts.writable:
        problems.append(f"{facts.parent} cannot be written -> --remote-dir names another folder")
    required = needs.copy_bytes + needs.install_bytes + MARGIN_BYTES
    if facts.free_bytes is not None and facts.free_bytes < required:
        problems.append(
            f"{facts.parent} has {_mb(facts.free_bytes)} free, and {_mb(required)} are needed: {_mb(needs.copy_bytes)}"
            f" to copy, {_mb(needs.install_bytes)} of packages, {_mb(MARGIN_BYTES)} to spare"
            " -> free some space, or --remote-dir names a folder on another disk"
        )
    return problems


def require_fit(address: Address, facts: Facts, needs: Needs) -> Python:
    """The Python to install for. Raises one UnfitDeviceError with all problems."""
    problems = find_problems(facts, needs)
    python = facts.python
    if problems or python is None:
        lines = "\n".join(f"         - {problem}" for problem in problems)
        raise UnfitDeviceError(
            f"{address} is not what this bundle needs:\n{lines}", "nothing was copied to it; mend these and try again"
        )
    return python


def _python_problem(pythons: Sequence[Python]) -> str:
    span = f"Python {PYTHONS[0]} to {PYTHONS[-1]}"
    for python in pythons:
        if python.version in PYTHONS and python.bits == 64:
            absent = " and ".join(
                name for name, there in (("venv", python.venv), ("ensurepip", python.ensurepip)) if not there
            )
            return (
                f"its Python {python.version} ({python.path}) has no {absent}"
                f" -> sudo apt-get install python{python.version}-venv"
            )
    if any(python.version in PYTHONS for python in pythons):
        return f"its Python has 32 bits, and {span} with 64 is needed -> install the 64-bit Raspberry Pi OS"
    if pythons:
        versions = ", ".join(python.version for python in pythons)
        return f"it has Python {versions}, and {span} is needed -> Raspberry Pi OS 12, Debian 12 or Ubuntu 24.04 has it"
    return f"it has no Python, and {span} is needed -> sudo apt-get install python3 python3-venv"


def _number(said: dict[str, list[str]], name: str) -> int | None:
    value = said.get(name, [""])[0]
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


def _glibc(libc: str) -> tuple[int, int] | None:
    """From "glibc 2.36", or from ldd's "ldd (Debian GLIBC 2.36-9+deb12u9) 2.36"."""
    words = libc.split()
    if not words or not ("glibc" in libc.lower() or "gnu libc" in libc.lower()):
        return None
    major, _, minor = words[-1].partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None


def _python(line: str) -> Python:
    try:
        version, bits, venv, ensurepip, path = line.split(" ", 4)
        return Python(version, int(bits), venv == "1", ensurepip == "1", path)
    except ValueError:
        raise ValueError(f"a Python of {line!r}") from None


def _mb(count: int) -> str:
    return f"{count / 1e6:.0f} MB"
