"""What a net's shapes leave out of its kernels: pairs of rows, tails, factors by row, forms of operands. Macros of
model_config.h; edgeslm_integers.h says what each of them means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeslm.backends.cortexm.net_program import Object, Step

MOST_SHIFT = 22
PAIRS = ("add", "sub", "mul", "squared_difference")


def net_macros(steps: Sequence[Step]) -> dict[str, int]:
    """Macro -> its number."""
    layers, products = _shapes(steps, "edgeslm_linear_s8"), _shapes(steps, "edgeslm_matmul_s8")
    counts = [int(one["count"]) for one in layers]
    has_each = {one["by"].mantissa == 0 for one in layers}
    lengths = [int(one["columns"]) for one in layers] + [int(one["terms"]) for one in products]
    macros = {
        "EDGESLM_NET_MOST_ROWS": max(counts, default=0),
        "EDGESLM_NET_ODD_ROWS": int(any(count % 2 for count in counts)),
        "EDGESLM_NET_LONGEST": max((int(one["columns"]) for one in layers), default=0),
        "EDGESLM_NET_ROW_TAILS": int(any(int(one["rows"]) % 4 for one in layers)),
        "EDGESLM_NET_COLUMN_TAILS": int(any(length % 16 for length in lengths)),
        "EDGESLM_NET_EACH": 2 if len(has_each) == 2 else int(True in has_each),
        "EDGESLM_NET_MATMUL_BIAS": int(any(_has_bias(step) for step in steps)),
        "EDGESLM_NET_MATMUL_ANY": int(any(_has_bias(step) for step in steps) or not all(map(_is_plain, products))),
    }
    for function in PAIRS:
        forms = {int(one["form"]) for one in _shapes(steps, f"edgeslm_{function}_s8")}
        macros[f"EDGESLM_NET_{function.upper()}_FORMS"] = sum(forms)
    return macros


def _shapes(steps: Sequence[Step], kernel: str) -> list[dict[str, Any]]:
    """What the calls of a kernel are told."""
    told = (one for step in steps if step.kernel == kernel for one in step.arguments)
    return [dict(one.fields) for one in told if isinstance(one, Object)]


def _is_plain(shape: dict[str, Any]) -> bool:
    """A product of even extents whose results nothing cuts off, and whose factor shifts them to the right."""
    by, out = shape["by"], dict(shape["out"].fields)
    is_short = by.mantissa != 0 and -MOST_SHIFT <= by.shift < 0
    return is_short and (out["low"], out["high"]) == (-128, 127) and not (shape["rows"] % 2 or shape["columns"] % 2)


def _has_bias(step: Step) -> bool:
    """Of a product of two values: a bias, or factors by column."""
    if step.kernel != "edgeslm_matmul_s8":
        return False
    return step.arguments[3] != "NULL" or any(
        name == "each" for one in step.arguments if isinstance(one, Object) for name, _ in one.fields
    )
