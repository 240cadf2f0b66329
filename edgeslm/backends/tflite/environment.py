"""Environments of their own for foreign Python tools that want other versions than ours.

`onnx2tf` (the converter) and `tensorflow` (the optional cross-check) each live in a virtual environment in the
user's data folder, made from a lock file that ships with edgeslm. The folder's name holds the lock file's digest:
a new lock file means a new environment. A virtual environment cannot be moved, so it is built in its place; the
file `complete`, written last, tells a whole one from one whose installation was killed.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from edgeslm.cache import explain_full_disk
from edgeslm.data_folder import alone, data_folder
from edgeslm.digest import file_digest
from edgeslm.errors import MissingToolError, ToolFailedError
from edgeslm.toolchain import run_tool

COMPLETE = "complete"


@dataclass(frozen=True)
class Environment:
    name: str
    oldest: tuple[int, int]  # Python versions its lock file has wheels for
    newest: tuple[int, int]

    @property
    def lock_file(self) -> Path:
        return Path(__file__).parent / f"{self.name}.txt"

    @property
    def folder(self) -> Path:
        return data_folder() / "envs" / f"{self.name}-{file_digest(self.lock_file)[:16]}"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def complete(self) -> bool:
        return (self.folder / COMPLETE).is_file() and self.python.exists()

    @property
    def wants(self) -> str:
        return f"Python >= {_dotted(self.oldest)} (up to {_dotted(self.newest)})"


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment("onnx2tf", (3, 12), (3, 13)),
        Environment("tensorflow", (3, 11), (3, 13)),
    )
}


def problem(name: str) -> str | None:
    """None where the environment is here and complete, else what is missing, in one line. Starts no process."""
    environment = ENVIRONMENTS[name]
    if environment.complete:
        return None
    if not _find_pythons(environment):
        return f"{name} needs {environment.wants}, found none on PATH or in pyenv"
    return f"not installed: edgeslm doctor --install {name}"


def version(name: str) -> str | None:
    """The tool's version as the lock file pins it, or None where it is not installed."""
    environment = ENVIRONMENTS[name]
    if not environment.complete:
        return None
    pins = dict(line.split("==") for line in environment.lock_file.read_text().split() if "==" in line)
    return pins[name]


def python_of(name: str) -> Path:
    """The environment's interpreter. Raises MissingToolError with what `problem` says."""
    said = problem(name)
    if said is not None:
        raise MissingToolError(f"the {name} environment is not here: {said}", f"edgeslm doctor --install {name}")
    return ENVIRONMENTS[name].python


def install(name: str, log: Path) -> None:
    """Make the environment, unless it is complete already. `log` keeps what pip said.

    Raises MissingToolError where no suitable Python works here, ToolFailedError where pip fails.
    """
    environment = ENVIRONMENTS[name]
    folder = environment.folder
    with explain_full_disk(folder), alone(folder):
        if environment.complete:
            return
        shutil.rmtree(folder, ignore_errors=True)  # what a killed installation left
        base = _working_python(environment, log)
        pip = [str(environment.python), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        # The lock file is the whole truth, and a wheel runs no code while it is installed.
        pip += ["--no-deps", "--only-binary", ":all:", "-r", str(environment.lock_file)]
        try:
            run_tool([str(base), "-I", "-m", "venv", str(folder)], log)
            run_tool(pip, log, hint=f"pip could not reach its package index or write {folder}; whole log: {log}")
            (folder / COMPLETE).write_text(f"made with {base}\n")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _find_pythons(environment: Environment) -> list[Path]:
    """Interpreters whose file name (or pyenv folder) claims a suitable version, the oldest version first.

    A pyenv shim claims versions that are not active, so shims are passed over for what lies behind them.
    """
    found: dict[Path, tuple[int, ...]] = {}
    for folder in os.get_exec_path():
        for path in sorted(Path(folder).glob("python3*")):
            claim = re.fullmatch(r"python(3)\.(\d+)", path.resolve().name)
            if claim and path.parent.name != "shims" and os.access(path, os.X_OK):
                found[path.resolve()] = tuple(map(int, claim.groups()))
    pyenv = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
    for path in sorted(pyenv.glob("versions/3.*/bin/python")):
        claim = re.match(r"(3)\.(\d+)\b", path.parent.parent.name)
        if claim:
            found[path.resolve()] = tuple(map(int, claim.groups()))
    found[Path(sys.executable).resolve()] = sys.version_info[:2]
    suitable = [path for path, claimed in found.items() if environment.oldest <= claimed[:2] <= environment.newest]
    return sorted(suitable, key=lambda path: (found[path], str(path)))


def _working_python(environment: Environment, log: Path) -> Path:
    """The first interpreter that runs and can make virtual environments (Debian packs that apart)."""
    broken = []
    for path in _find_pythons(environment):
        try:
            run_tool([str(path), "-I", "-c", "import ensurepip, ssl, venv"], log, timeout_s=60)
        except (ToolFailedError, MissingToolError) as error:
            broken.append(f"{path}: {error.message.splitlines()[-1].strip()}")
        else:
            return path
    if broken:
        raise MissingToolError(
            f"no Python here can make the {environment.name} environment: {'; '.join(broken)}",
            "on Debian and Ubuntu: apt-get install python3-venv (or pythonX.Y-venv for the version named)",
        )
    raise MissingToolError(
        f"{environment.name} needs {environment.wants}, found none on PATH or in pyenv",
        f"for example: pyenv install {_dotted(environment.oldest)}",
    )


def _dotted(numbers: tuple[int, int]) -> str:
    return ".".join(map(str, numbers))
