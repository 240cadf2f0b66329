"""A sweep's file: models, targets and ways to build, each with each.

    models = ["demo", "./my-encoder"]
    targets = ["rpi4", "rpi5"]

    [[build]]
    max_size = "14MB"
    min_fidelity = 0.97

    [[build]]
    scheme = "int8"

A [[build]] holds flags of `edgeslm build`, with underscores. Without any, every model is built as it is by default.
"""

from __future__ import annotations

import difflib
import itertools
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from edgeslm import __version__
from edgeslm.digest import json_digest
from edgeslm.errors import ConfigError, EdgeslmError
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.limits import Limits, Objective
from edgeslm.sweep.job import Job, build_options
from edgeslm.target import load_target

OPTIONS: dict[str, tuple[type, ...]] = {
    "scheme": (str,),
    "backend": (str,),
    "converter": (str,),
    "max_length": (int,),
    "context": (int,),
    "kv_cache": (str,),
    "calibration": (str,),
    "eval": (str,),
    "min_fidelity": (int, float),
    "max_size": (str,),
    "max_ram": (str,),
    "max_latency": (str,),
    "max_instructions": (str,),
    "objective": (str,),
    "target_profile": (str,),
    "plan": (str,),
    "allow_below_gate": (bool,),
}
FILES = ("calibration", "eval", "target_profile", "plan")
"""Options that name a file, from the sweep file's folder on."""


def read_sweep(path: Path) -> tuple[Job, ...]:
    """Every job of the file, in its order. Raises ConfigError with every mistake at once."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the sweep {path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the sweep {path} is no TOML: {error}") from None
    mistakes = list(_mistakes(document, path.parent))
    if mistakes:
        shown = "".join(f"\n         {mistake}" for mistake in mistakes)
        raise ConfigError(f"the sweep {path} has {len(mistakes)} mistakes:{shown}", "docs/quantization.md describes it")
    jobs = []
    digests = {model: open_checkpoint(_place(model, path.parent)).digest for model in document["models"]}
    for model, target, ways in itertools.product(document["models"], document["targets"], document.get("build", [{}])):
        options = {name: _option(name, value, path.parent) for name, value in ways.items()}
        files = {name: _content(options[name]) for name in FILES if name in options}
        facts = load_target(target).model_dump(mode="json")
        key = json_digest([digests[model], facts, options, files, __version__])
        jobs.append(Job(key=key, model=_place(model, path.parent), target=target, options=options))
    return tuple({job.key: job for job in jobs}.values())


def _mistakes(document: Mapping[str, Any], folder: Path) -> Iterator[str]:
    for key in document:
        if key not in ("models", "targets", "build"):
            yield f"{key}: no such key; there are models, targets and [[build]]"
    for key in ("models", "targets"):
        names = document.get(key)
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            yield f"{key}: wants a list of names, one at least"
            continue
        for name in names:
            try:
                open_checkpoint(_place(name, folder)) if key == "models" else load_target(name)
            except EdgeslmError as error:
                yield f"{key}: {name!r}: {error.message}"
    builds = document.get("build", [])
    if not isinstance(builds, list) or not all(isinstance(one, dict) for one in builds):
        yield "build: is a table that comes several times: [[build]]"
        return
    for number, options in enumerate(builds, start=1):
        for mistake in _option_mistakes(options, folder):
            yield f"build {number}: {mistake}"


def _option_mistakes(options: Mapping[str, Any], folder: Path) -> Iterator[str]:
    sound = True
    for name, value in options.items():
        if name not in OPTIONS:
            near = difflib.get_close_matches(name, OPTIONS, 1)
            yield f"{name}: no such flag" + (f"; did you mean {near[0]}?" if near else "")
            sound = False
        elif type(value) not in OPTIONS[name]:
            kinds = " or ".join(kind.__name__ for kind in OPTIONS[name])
            yield f"{name}: {value!r} is no {kinds}"
            sound = False
        elif name in FILES and not (folder / value).is_file():
            yield f"{name}: there is no file {folder / value}"
    if not sound:
        return
    objective = options.get("objective")
    if objective is not None and objective not in get_args(Objective):
        yield f"objective: {objective!r} is none of {', '.join(get_args(Objective))}"
        return
    try:
        limits = build_options(options)["limits"]
    except ConfigError as error:
        yield f"{error.message}: {error.hint}"
        return
    yield from _contradictions(options, limits)


def _contradictions(options: Mapping[str, Any], limits: Limits) -> Iterator[str]:
    if limits.asked:
        for name in ("scheme", "plan"):
            if name in options:
                yield f"{name} and limits exclude each other"
    if "scheme" in options and "plan" in options:
        yield "scheme and plan exclude each other"
    if limits.latency_ms is not None and limits.instructions is not None:
        yield "max_latency and max_instructions exclude each other: a profile knows one of them"
    if limits.objective not in (None, "fidelity") and "min_fidelity" not in options:
        yield f"objective {limits.objective} without min_fidelity leaves a model that means nothing"


def _option(name: str, value: Any, folder: Path) -> Any:
    return str((folder / value).resolve()) if name in FILES else value


def _content(path: Any) -> str:
    from edgeslm.digest import file_digest

    return file_digest(Path(path))


def _place(model: str, folder: Path) -> str:
    """A folder or a file from the sweep file's folder on; everything else as it is."""
    there = folder / model
    return str(there.resolve()) if there.exists() else model
