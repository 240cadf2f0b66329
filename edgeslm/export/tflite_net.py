"""A .tflite file as a checkpoint: a net that came quantized, whoever made it."""

from __future__ import annotations

from pathlib import Path

from edgeslm.artifacts import Checkpoint, Parameter, Role
from edgeslm.digest import file_digest
from edgeslm.errors import CheckpointError
from edgeslm.formats.tflite_file import TfliteFile, open_tflite

TABLES = {"GATHER": 0, "EMBEDDING_LOOKUP": 1}
"""Operators that look rows up, and which of their inputs has them."""
MATRICES = {"FULLY_CONNECTED": 1, "BATCH_MATMUL": 1}


def open_net(path: Path, source: str) -> Checkpoint:
    """Read the file and describe it. What its operators are is looked at when a plan is made.

    Raises CheckpointError for what is no .tflite file that can be read, UnsupportedError for one of several graphs.
    """
    if path.is_dir():
        raise CheckpointError(f"{source} is a folder", "name the .tflite file in it")
    file = open_tflite(path)
    return Checkpoint(
        name=path.stem,
        source=source,
        digest=file_digest(path),
        task="tensors",
        architecture="tflite",
        parameters=_parameters(file),
        net=path,
    )


def _parameters(file: TfliteFile) -> tuple[Parameter, ...]:
    """Constants that operators compute with, each once, by names of their own."""
    roles: dict[int, Role] = {}
    for operator in file.operators:
        for place, index in enumerate(operator.inputs):
            if index < 0 or file.tensors[index].data is None or file.tensors[index].scales is None:
                continue
            role: Role = "linear" if MATRICES.get(operator.kind) == place else "other"
            roles.setdefault(index, "embedding" if TABLES.get(operator.kind) == place else role)
    names: dict[str, int] = {}
    for index in roles:
        name = file.tensors[index].name
        names[name if name not in names else f"{name}#t{index}"] = index
    return tuple(Parameter(name, file.tensors[index].shape, roles[index]) for name, index in names.items())
