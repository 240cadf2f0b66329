"""Reading the JSON files of a checkpoint: of sane size, of the right kind, with an error that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgeslm.errors import CheckpointError

MAX_BYTES = 16 << 20


def read_object(path: Path) -> dict[str, Any]:
    value = _read(path)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not a JSON object")
    return value


def read_array(path: Path) -> list[dict[str, Any]]:
    """An array of objects."""
    value = _read(path)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise CheckpointError(f"{path} is not a JSON array of objects")
    return value


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CheckpointError(f"{path} is larger than {MAX_BYTES >> 20} MiB: that is no configuration")
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path.parent} has no {path.name}",
            "a checkpoint is a folder as save_pretrained writes it: config.json, model.safetensors, tokenizer.json",
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}", "the download may be incomplete") from None
