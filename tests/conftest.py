"""What all tests share: a stage cache of their own, small checkpoints, and a way to run the command line."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from edgeslm.artifacts import Checkpoint, OnnxModel
from edgeslm.cache import StageCache, cache_folder
from tests.architectures import make_checkpoint
from tests.forked_commands import Commands, command_environment
from tests.torchlib import parse_torchlib_once

ROOT = Path(__file__).resolve().parent.parent

# A deadline for each example is a timed test: on a busy machine it fails for nothing. Examples are the same in every
# run, so that a change is judged by what it changed; EDGESLM_EXAMPLES=new, as in the deep tests, draws new ones.
settings.register_profile("edgeslm", deadline=None, derandomize=os.environ.get("EDGESLM_EXAMPLES") != "new")
settings.load_profile("edgeslm")

DEVICES = {"tests/arm64/test_ssh_probe.py", "tests/arm64/test_deploy.py"}
"""Files whose tests share devices, which take two minutes to make ready."""


def pytest_runtest_setup() -> None:
    parse_torchlib_once()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests stay in one worker, with what they build; those that share devices as well.

    xdist's own groups do nothing with pytest 9.2, which has no place for the group's name in a test's id any more.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return "devices" if path in DEVICES else path

    return ByFile(config, log)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of this test run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session", autouse=True)
def own_caches(shared_folder: Path) -> Iterator[None]:
    """Tests neither read nor fill the user's caches; among themselves they share stages."""
    patch = pytest.MonkeyPatch()
    patch.setenv("EDGESLM_CACHE", str(shared_folder / "stages"))
    patch.setenv("EDGESLM_DEVICE_CACHE", str(shared_folder / "device"))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def checkpoint_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """checkpoint_of("bert", "BertForMaskedLM") -> a folder with that checkpoint; made once, not to be changed."""
    made: dict[tuple[str, str | None], Path] = {}

    def make(family: str, model_class: str | None = None) -> Path:
        if (family, model_class) not in made:
            folder = tmp_path_factory.mktemp("checkpoints") / (f"{family}-{model_class}" if model_class else family)
            made[family, model_class] = make_checkpoint(folder, family, model_class)
        return made[family, model_class]

    return make


@pytest.fixture(scope="session")
def exported(own_caches: None) -> Callable[[Checkpoint, tuple[int, ...]], OnnxModel]:
    """exported(checkpoint, lengths) -> its graphs, by a build's own stage: one export, seven seconds of torch's, serves
    all tests and the builds of all workers; not to be changed."""
    from edgeslm.stages.encoder import export_stage

    cache = StageCache(cache_folder(), lambda stage, cached: contextlib.nullcontext())
    return lambda checkpoint, lengths: export_stage(cache, checkpoint, lengths)


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@pytest.fixture(scope="session")
def edgeslm(tmp_path_factory: pytest.TempPathFactory, own_caches: None) -> Iterator[Callable[..., Answer]]:
    """Run the command line as a user does, in a process of its own: one that is forked where it can be, and a new one
    where the environment says what is read as one starts (PYTHONHASHSEED=1)."""
    commands = Commands(tmp_path_factory.mktemp("commands"))

    def run(*arguments: str | Path, cwd: Path | None = None, stdin: str | None = None, **env: str) -> Answer:
        environment = command_environment(env)
        asked = list(map(str, arguments))
        if not commands.can_run(environment):
            return _run_anew(asked, cwd, stdin, environment)
        with tempfile.TemporaryDirectory() as folder:
            given = Path(folder, "stdin")
            given.write_text(stdin or "")
            status = commands.run(asked, cwd or Path.cwd(), environment, given, Path(folder))
            stdout, stderr = (Path(folder, name).read_text(encoding="utf-8") for name in ("stdout", "stderr"))
        return Answer(status, stdout, stderr)

    yield run
    commands.close()


def _run_anew(arguments: list[str], cwd: Path | None, stdin: str | None, environment: dict[str, str]) -> Answer:
    path = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "edgeslm", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        input=stdin,
        env={**environment, "PYTHONPATH": path},
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)
