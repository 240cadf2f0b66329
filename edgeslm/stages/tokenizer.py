"""A checkpoint's tokenizer, read for runtimes that take it as one table."""

from __future__ import annotations

from pathlib import Path

from edgeslm.artifacts import Checkpoint
from edgeslm.errors import InternalError
from edgeslm.tokenizer.read import read_specification
from edgeslm.tokenizer.specification import Specification


def tokenizer_of(checkpoint: Checkpoint) -> Specification:
    """Raises UnsupportedError, CheckpointError: see tokenizer/."""
    if checkpoint.tokenizer is None or checkpoint.root is None:
        raise InternalError(f"{checkpoint.name} is a model of text without a tokenizer")
    path: Path = checkpoint.root / checkpoint.tokenizer.file
    return read_specification(path.read_bytes(), str(path))
