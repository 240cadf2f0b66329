"""Decide, as data, for an Android library: its models, one a scheme, and what the shops of apps will say of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from edgeslm.artifacts import Checkpoint, QuantPlan
from edgeslm.bundle.android.litert import COORDINATE, NOT_RUN_HERE, read_litert
from edgeslm.bundle.android.play import play_warnings
from edgeslm.errors import ConfigError, UnsupportedError
from edgeslm.quantize.schemes import find_scheme
from edgeslm.stages.tokenizer import tokenizer_of
from edgeslm.target import Target

TASKS = ("embedding", "classification", "generation")
"""What the library has a call for."""


def reject_android_options(target: Target, schemes: Sequence[str], litert: Sequence[Path]) -> None:
    """What only Android takes. Raises ConfigError."""
    if len(schemes) > 1:
        raise ConfigError(
            f"a bundle for {target.name} holds one model; {len(schemes)} schemes are asked for: {', '.join(schemes)}",
            "--scheme once, and a build for each; several go into one bundle for Android",
        )
    if litert:
        raise ConfigError(f"--litert-aar is for Android, and {target.name} is none", "leave it out")


def reject_linux_options(target: Target, *, vendor_wheels: bool) -> None:
    """What only bundles with Python in them take. Raises UnsupportedError."""
    if vendor_wheels:
        raise UnsupportedError(f"a library for {target.name} has no Python packages", "leave out --vendor-wheels")


def decide_android(
    target: Target,
    checkpoint: Checkpoint,
    schemes: Sequence[str],
    litert: Sequence[Path],
    decide_as: Callable[[str | None], QuantPlan],
) -> tuple[QuantPlan, ...]:
    """A plan for each scheme that is asked for, or one by the default scheme; the first one's model is the library's
    own choice. `litert`: the .aar files that are to be merged.

    Raises UnsupportedError for a task the library has no call for and for a tokenizer that it cannot have, ConfigError
    for a scheme asked for twice and for files that are not LiteRT's.
    """
    assert target.android is not None
    if checkpoint.task not in TASKS:
        raise UnsupportedError(
            f"an Android library embeds, classifies and generates; {checkpoint.name} is for {checkpoint.task}",
            "targets that run Linux take it: edgeslm targets",
        )
    names = [find_scheme(name).name for name in schemes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"scheme {twice[0]} is asked for twice", "name each scheme once")
    tokenizer_of(checkpoint)  # what cannot be compiled is said before the long stages
    files = read_litert(litert, target.android.abi, target.cpu.arch)
    plans = [decide_as(name) for name in names] or [decide_as(None)]
    runtime = f"LiteRT: {COORDINATE}, from Maven at the app's build"
    if not files.is_empty:
        runtime = f"LiteRT: merged from {', '.join(path.name for path in litert)} ({', '.join(sorted(files.natives))})"
    unseen = NOT_RUN_HERE.format(title=target.title)
    warnings = (unseen, *files.warnings, *play_warnings(checkpoint.name, sum(plan.weight_bytes for plan in plans)))
    first = plans[0]
    told = dataclasses.replace(first, reasons=(*first.reasons, runtime), warnings=(*first.warnings, *warnings))
    return (told, *plans[1:])
