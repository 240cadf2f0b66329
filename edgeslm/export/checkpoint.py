"""Opening a model by what the user calls it: `demo`, `demo:assistant`, a Hugging Face folder, `module:function`, or a
.tflite file.

Nothing of the model is run here, and torch is not imported for a folder: `plan` and an unchanged `build` stay fast.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from edgeslm.artifacts import Checkpoint
from edgeslm.demos import find_demo
from edgeslm.errors import CheckpointError, ConfigError
from edgeslm.export.huggingface import open_folder

BUCKETS = (16, 32, 64, 128, 256, 512)
DEFAULT_CONTEXT = 2048
SHORTEST_CONTEXT = 16
DEFAULT_MAX_LENGTH = 256
"""Longest text in tokens unless --max-length says more: a bucket costs start-up time and memory even if unused."""


def open_checkpoint(source: str) -> Checkpoint:
    """Read and check the model; of a .tflite file, that it can be read.

    Raises CheckpointError, UnsupportedError, MissingExtraError.
    """
    demo = find_demo(source)
    if demo is not None:
        return open_folder(demo.folder, source, name=demo.name)
    path = Path(source)
    if path.is_dir():
        return open_folder(path, source)
    if re.fullmatch(r"[\w.]+:\w+", source):
        from edgeslm.export.plain_module import open_plain_module

        return open_plain_module(source)
    if path.suffix == ".tflite":
        from edgeslm.export.tflite_net import open_net

        return open_net(path, source)
    if path.is_file():
        raise CheckpointError(
            f"{source} is a file, and no .tflite file: a checkpoint is a folder with config.json and model.safetensors",
            f"try --model {path.parent}" if (path.parent / "config.json").is_file() else None,
        )
    raise CheckpointError(f"no model is at {source!r}", _nearest(path))


def length_buckets(checkpoint: Checkpoint, max_length: int | None) -> tuple[int, ...]:
    """Text lengths in tokens the model is built for, ascending; empty for a plain module, whose shapes are fixed.

    The largest is `max_length`, or the checkpoint's own limit up to DEFAULT_MAX_LENGTH.
    """
    if checkpoint.tokenizer is None:
        if max_length is not None:
            raise ConfigError(
                f"{checkpoint.name} is a plain module: its shapes are those of its example inputs",
                "leave out --max-length, or return other examples",
            )
        return ()
    limit = checkpoint.tokenizer.max_length
    if max_length is not None and max_length > limit:
        raise ConfigError(
            f"--max-length {max_length} is more than {checkpoint.name} was trained for: {limit} tokens",
            f"at most --max-length {limit}",
        )
    longest = max_length or min(limit, DEFAULT_MAX_LENGTH)
    return (*(length for length in BUCKETS if length < longest), longest)


def context_length(checkpoint: Checkpoint, context: int | None, max_length: int | None) -> int:
    """Tokens that a language model's cache holds: `context`, or the checkpoint's own limit up to DEFAULT_CONTEXT."""
    assert checkpoint.decoder is not None
    if max_length is not None:
        raise ConfigError(f"{checkpoint.name} is a language model: it takes no --max-length", "--context N instead")
    limit = checkpoint.decoder.positions
    if context is not None and context > limit:
        raise ConfigError(
            f"--context {context} is more than {checkpoint.name} was trained for: {limit} tokens",
            f"at most --context {limit}",
        )
    if context is not None and context < SHORTEST_CONTEXT:
        raise ConfigError(f"--context {context} is too short for any text", f"at least --context {SHORTEST_CONTEXT}")
    return context or min(limit, DEFAULT_CONTEXT)


def reject_language_options(checkpoint: Checkpoint, context: int | None, kv_cache: str | None) -> None:
    for flag, given in (("--context", context), ("--kv-cache", kv_cache)):
        if given is not None:
            raise ConfigError(f"{checkpoint.name} is no language model: it has no KV cache", f"leave out {flag}")


def _nearest(path: Path) -> str:
    parent = path.parent if path.parent.is_dir() else Path()
    names = [entry.name for entry in parent.iterdir() if (entry / "config.json").is_file()]
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(str(parent / name) for name in near) + "?"
    return (
        "a folder with config.json and model.safetensors, module:function, a .tflite file, or leave out --model for "
        "the demo model"
    )
