"""What the model is run on: the same ids and numbers on every device, so that reports can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED = 0
TEXT = (
    "The small blue house by the river was sold last week to a family that had come from far away and wanted nothing "
    "more than a garden for the children and a quiet room with a view of the water"
)


def text_inputs(model: Mapping[str, Any], tokens: int, vocabulary: int) -> dict[str, NDArray[Any]]:
    """Inputs of one text of exactly that many tokens, each (1, tokens). Ids are drawn from the middle of the table."""
    ids = np.random.default_rng(SEED).integers(vocabulary // 4, max(vocabulary // 4 + 1, vocabulary), (1, tokens))
    values = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    return {spec["name"]: values[spec["name"]].astype(spec["dtype"]) for spec in model["inputs"]}


def prompt_ids(tokens: int, vocabulary: int) -> list[int]:
    """A prompt of exactly that many tokens; a shorter one is the beginning of a longer one."""
    ids = np.random.default_rng(SEED).integers(vocabulary // 4, max(vocabulary // 4 + 1, vocabulary), tokens)
    return [int(token) for token in ids]


def tensor_inputs(model: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Inputs of a plain module: normal numbers; integers are zeros, which are an index everywhere."""
    random = np.random.default_rng(SEED)
    inputs = {}
    for spec in model["inputs"]:
        dtype = np.dtype(spec["dtype"])
        shape = [abs(extent) for extent in spec["shape"]]
        values = random.standard_normal(shape) if dtype.kind == "f" else np.zeros(shape)
        inputs[spec["name"]] = values.astype(dtype)
    return inputs


def batch_of_texts(count: int) -> list[str]:
    """Texts of about 6 to 30 words, as a user would send them; the same for every call."""
    random, words = np.random.default_rng(SEED), TEXT.split()
    return [" ".join(random.choice(words, size=6 + number * 7 % 25)) for number in range(count)]
