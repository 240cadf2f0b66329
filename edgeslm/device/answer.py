"""What a command line answers: a bundle run on texts or arrays, as plain JSON data."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .model import Model, TruncationWarning

if TYPE_CHECKING:
    from numpy.typing import NDArray


def answer_texts(model: Model, texts: list[str]) -> list[dict[str, Any]]:
    """For each text: `text`, `tokens`, `truncated`, and the field of the model's task.

    embedding: `embedding`; classification: `labels`; token-classification: `tokens_labelled`; fill-mask: `fills`.
    """
    if model.task == "tensors":
        raise UsageError(
            f"{model.name} is a plain module: it takes no text",
            f"--file inputs.npz, written by numpy.savez with {describe_inputs(model)}",
        )
    if not texts:
        raise UsageError("there is no text to run on: all lines are empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)  # each answer has its own flag
        answers = _ANSWERS[model.task](model, texts) if model.task in _ANSWERS else None
    if answers is None:
        raise UsageError(f"{model.name} does {model.task}, which this version cannot show")
    field, values = answers
    results = []
    for number, text in enumerate(texts):
        encoding = model.encode(text)
        results.append(
            {"text": text, "tokens": len(encoding.ids), "truncated": encoding.truncated, field: values[number]}
        )
    return results


def describe_inputs(model: Model) -> str:
    """The arrays a plain module takes: "x float32[1, 3], y int32[4]"."""
    return ", ".join(f"{part['name']} {part['dtype']}{part['shape']}" for part in model.manifest["model"]["inputs"])


def answer_arrays(model: Model, path: Path) -> dict[str, NDArray[Any]]:
    """A plain module's outputs for the arrays of an .npz file."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise UsageError(f"{path} holds a single array", "np.savez(path, name=array, …) writes what is needed")
            inputs = {name: arrays[name] for name in arrays.files}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # numpy raises what it meets: BadZipFile, ValueError, EOFError, zlib.error
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path} is no .npz file: {error}", "np.savez(path, name=array, …) writes one") from None
    return model.run(inputs)


def read_lines(content: bytes, where: str) -> list[str]:
    """The texts of a file: one per line, blank lines left out."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8: byte {error.start}") from None
    return [line for line in (line.strip() for line in text.splitlines()) if line]


def _embeddings(model: Model, texts: list[str]) -> tuple[str, list[Any]]:
    return "embedding", [[float(value) for value in vector] for vector in model.embed(texts)]


def _labels(model: Model, texts: list[str]) -> tuple[str, list[Any]]:
    return "labels", [_scored(ranked) for ranked in model.classify(texts)]


def _tokens(model: Model, texts: list[str]) -> tuple[str, list[Any]]:
    return "tokens_labelled", [
        [
            {"token": token, "start": start, "end": end, "label": label, "score": score}
            for token, start, end, label, score in labelled
        ]
        for labelled in model.classify_tokens(texts)
    ]


def _fills(model: Model, texts: list[str]) -> tuple[str, list[Any]]:
    return "fills", [_scored(filled) for filled in model.fill_mask(texts)]


def _scored(pairs: list[tuple[str, float]]) -> list[dict[str, str | float]]:
    return [{"label": label, "score": score} for label, score in pairs]


_ANSWERS = {
    "embedding": _embeddings,
    "classification": _labels,
    "token-classification": _tokens,
    "fill-mask": _fills,
}
