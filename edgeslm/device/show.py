"""An answer as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SHOWN_VALUES = 6
SHOWN_LABELS = 5


def show_answer(result: dict[str, Any]) -> Iterator[str]:
    """One text's answer (of answer_texts): the text, then what the model says, indented."""
    cut = ", cut to the model's limit" if result["truncated"] else ""
    yield f"{_short(result['text'])}   ({result['tokens']} tokens{cut})"
    if result.get("embedding") is not None:
        vector = result["embedding"]
        yield f"  {len(vector)} values: {_values(vector)}"
    for scored in (result.get("labels") or [])[:SHOWN_LABELS]:
        yield f"  {scored['score']:8.4f}  {scored['label']}"
    for scored in result.get("fills") or []:
        yield f"  {scored['score']:8.4f}  {scored['label']}"
    for token in result.get("tokens_labelled") or []:
        yield f"  {token['score']:8.4f}  {token['label']:<12}  {token['token']}"


def show_array(name: str, array: Any) -> str:
    """A plain module's output: name, type, shape and its first values."""
    return f"{name}  {array.dtype}{list(array.shape)}  {_values(array.reshape(-1)[: SHOWN_VALUES + 1].tolist())}"


def _values(values: list[Any]) -> str:
    shown = " ".join(f"{value:.4f}" if isinstance(value, float) else str(value) for value in values[:SHOWN_VALUES])
    return shown + (" …" if len(values) > SHOWN_VALUES else "")


def _short(text: str) -> str:
    return text if len(text) <= 72 else text[:71] + "…"
