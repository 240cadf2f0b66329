"""The runtime's profile of one step of a language model.

Its cache is one of zeros: how long an operator takes does not depend on what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..container import open_container
from ..errors import DeviceError
from .mark import mark
from .options import Options
from .profile import profile_operators

if TYPE_CHECKING:
    from numpy.typing import NDArray

Event = dict[str, Any]

PROFILED_RUNS, COUNTED_RUNS = 20, 3
NO_CACHE = "this runtime keeps the cache itself, and a profiled run would begin with an empty one"


def profile_step(manifest: Mapping[str, Any], options: Options, depth: int) -> Event:
    """Of the step that has `depth` tokens behind it when it is done: the section without `section` and `tokens`."""
    described = manifest["model"]
    step = step_signature(described["language"], depth)
    if step is None:
        return {"signature": None, "runs": 0, "operators": [], "why_not": NO_CACHE}
    inputs = step_inputs(described["language"], step["segments"], depth)
    layers = range(described["language"]["layers"])
    outputs = ["logits", *(f"{kind}_{layer}" for kind in ("keys", "values") for layer in layers)]
    described = {
        **described,
        "inputs": [{"name": name, "dtype": str(value.dtype)} for name, value in inputs.items()],
        "outputs": [{"name": name, "dtype": "float32"} for name in outputs],
    }
    runs = COUNTED_RUNS if options.counted else PROFILED_RUNS
    files, marked = open_container(options.bundle).files, mark if options.counted else None
    try:
        found = profile_operators(described, files, options.threads_used, inputs, step["name"], runs, marked)
    except DeviceError as error:
        return {"signature": step["name"], "runs": 0, "operators": [], "why_not": error.message}
    # Halves of rotary embeddings, and scores of the cache with a token's own: two inputs where it reads one segment.
    concatenated = {"concatenated": 2} if step["segments"] == 1 else {}
    return {"signature": step["name"], "runs": runs, **concatenated, **found.event()}


def step_signature(language: Mapping[str, Any], depth: int) -> Mapping[str, Any] | None:
    """The signature of one token that an engine takes at position `depth` - 1; None where there are none."""
    rows = language["segments"]
    steps = [one for one in language["signatures"] if one["tokens"] == 1]
    enough = [one for one in steps if sum(rows[: one["segments"]]) >= depth - 1]
    return min(enough, key=lambda one: int(one["segments"]), default=None)


def step_inputs(language: Mapping[str, Any], segments: int, depth: int) -> dict[str, NDArray[Any]]:
    """What litert_language.py hands over: a token, its position, and the cache's first segments."""
    groups, dim, integers = language["kv_heads"], language["head_dim"], language["kv_cache"] == "int8"
    dtype = np.int8 if integers else np.float32
    inputs: dict[str, NDArray[Any]] = {
        "tokens": np.ones(1, np.int32),
        "position": np.array([depth - 1], np.int32),
    }
    for layer in range(language["layers"]):
        for segment, rows in enumerate(language["segments"][:segments]):
            inputs[f"key_{layer}_{segment}"] = np.zeros((groups, rows, dim), dtype)
            inputs[f"value_{layer}_{segment}"] = np.zeros((groups, dim, rows), dtype)
            if integers:
                inputs[f"key_scale_{layer}_{segment}"] = np.zeros((groups, rows), np.float32)
                inputs[f"value_scale_{layer}_{segment}"] = np.zeros((groups, rows), np.float32)
    return inputs
