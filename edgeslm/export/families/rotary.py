"""Rotary frequencies from a config.json, by the papers' formulas, rounded where transformers rounds.

Plain and partial: Su et al. 2021, "RoFormer". linear: Chen et al. 2023, "Extending Context Window of Large Language
Models via Positional Interpolation". dynamic: bloc97 2023, NTK-aware scaling. yarn: Peng et al. 2023. llama3: Dubey
et al. 2024, "The Llama 3 Herd of Models". longrope: Ding et al. 2024.

Exponents and results are float32, as torch has them; what lies between is float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeslm.decoder import Rotary
from edgeslm.errors import UnsupportedError
from edgeslm.export.families.fields import Fields

Array: TypeAlias = NDArray[np.float64]
BASE = 10_000.0
TRAINED_LENGTH = "original_max_position_embeddings"
WITH_TRAINED_LENGTH = ("llama3", "yarn", "longrope")


@dataclass(frozen=True)
class Scaling:
    """What a config says of its rotary embedding."""

    kind: str
    base: float
    share: float  # of a head's dimensions that are rotated
    positions: int  # max_position_embeddings
    trained: int  # original_max_position_embeddings: the length before the context was extended
    fields: Fields  # what is particular to the kind

    @property
    def reach(self) -> int:
        """Positions these frequencies hold for. longrope has other ones for longer texts; keys that are kept from
        before a text grew longer were not rotated by them, so edgeslm stays below."""
        return min(self.trained, self.positions) if self.kind == "longrope" else self.positions


def rotary_fields(fields: Fields) -> Fields:
    """`rope_scaling` of old configs, which transformers prefers, or `rope_parameters` of new ones; may be empty."""
    old = fields.object("rope_scaling")
    return old if old.values else fields.object("rope_parameters")


def read_scaling(
    fields: Fields, given: Fields, positions: int, *, base: float | None = None, share: float | None = None
) -> Scaling:
    """`given` are the rotary parameters among the config's `fields`; `base` and `share` what the family takes where
    neither names rope_theta or partial_rotary_factor. A family without `share` rotates whole heads.

    Raises CheckpointError for values that make no sense, UnsupportedError for partial heads in other families.
    """
    nested = [name for name, value in given.values.items() if isinstance(value, dict)]
    if nested:
        raise given.unsupported(nested[0], "this family has one rotary embedding for all layers")
    kind = given.text(given.spelled("rope_type", "type"), "default")
    if base is None:
        base = fields.number("rope_theta", BASE)
    rotated = given.number("partial_rotary_factor", fields.number("partial_rotary_factor", share or 1.0))
    if share is None and rotated != 1.0:
        source = given if given.has("partial_rotary_factor") else fields
        raise source.unsupported("partial_rotary_factor", "this family rotates whole heads")
    if rotated > 1.0:
        raise given.wrong("partial_rotary_factor", "a number up to 1")
    trained = positions
    if kind in WITH_TRAINED_LENGTH:
        # A field of the whole config goes before that of the rotary parameters: Phi-3 keeps it there.
        trained = (fields if fields.has(TRAINED_LENGTH) else given).integer(TRAINED_LENGTH, positions)
    theta = given.number("rope_theta", base)
    if theta <= 1.0:
        raise (given if given.has("rope_theta") else fields).wrong("rope_theta", "a number above 1")
    return Scaling(kind, theta, rotated, positions, trained, given)


def read_rotary(scaling: Scaling, head_dim: int) -> Rotary:
    """Raises UnsupportedError for a kind of scaling that is not known here, CheckpointError for wrong parameters."""
    formula = FORMULAS.get(scaling.kind)
    fields = scaling.fields
    if formula is None:
        raise UnsupportedError(
            f"{fields.where}: {fields.title} says rope_type {scaling.kind!r}, a scaling edgeslm does not know",
            f"those it knows: {', '.join(FORMULAS)}",
        )
    dimensions = int(head_dim * scaling.share)
    if dimensions % 2 or dimensions == 0:
        raise UnsupportedError(
            f"{fields.where}: {fields.title} has {dimensions} of a head's {head_dim} dimensions rotated, "
            "and edgeslm rotates them in pairs"
        )
    frequencies, scale = formula(scaling, dimensions)
    return Rotary(tuple(frequencies.astype(np.float32).tolist()), scale)


def _periods(base: float, dimensions: int) -> Array:
    """Positions per radian: base^(2i/d) of dimension pair i."""
    exponents = np.arange(0, dimensions, 2, dtype=np.float32) / np.float32(dimensions)
    return (base ** exponents.astype(np.float64)).astype(np.float32).astype(np.float64)


def _plain(scaling: Scaling, dimensions: int) -> tuple[Array, float]:
    return 1 / _periods(scaling.base, dimensions), 1.0


def _linear(scaling: Scaling, dimensions: int) -> tuple[Array, float]:
    return _plain(scaling, dimensions)[0] / scaling.fields.number("factor"), 1.0


def _dynamic(scaling: Scaling, dimensions: int) -> tuple[Array, float]:
    """NTK's base grows with the text beyond `positions`; up to there it is the plain one."""
    scaling.fields.number("factor")
    return _plain(scaling, dimensions)


def _yarn(scaling: Scaling, dimensions: int) -> tuple[Array, float]:
    """Fast dimensions turn as they did, slow ones are interpolated, and a ramp lies between (equation 23)."""
    fields = scaling.fields
    factor = fields.number("factor", scaling.positions / scaling.trained)
    periods = _periods(scaling.base, dimensions)

    def turning(rotations: float) -> float:
        """The dimension pair that turns so often within the trained length (equation 17)."""
        return dimensions * math.log(scaling.trained / (rotations * 2 * math.pi)) / (2 * math.log(scaling.base))

    low, high = turning(fields.number("beta_fast", 32)), turning(fields.number("beta_slow", 1))
    if fields.flag("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dimensions - 1)
    if low == high:
        high += 0.001
    ramp = np.clip((np.arange(dimensions // 2) - low) / (high - low), 0, 1)
    return ramp / (factor * periods) + (1 - ramp) / periods, _yarn_scale(fields, factor)


def _yarn_scale(fields: Fields, factor: float) -> float:
    """Of cos and sin: the square root of the paper's 1/t. mscale and mscale_all_dim are DeepSeek's."""

    def scale(of: float) -> float:
        return 0.1 * of * math.log(factor) + 1 if factor > 1 else 1.0

    if fields.has("attention_factor"):
        return fields.number("attention_factor")
    if fields.values.get("mscale") and fields.values.get("mscale_all_dim"):
        return scale(fields.number("mscale")) / scale(fields.number("mscale_all_dim"))
    return scale(1.0)


def _llama3(scaling: Scaling, dimensions: int) -> tuple[Array, float]:
    """Wavelengths beyond the trained length over low_freq_factor are stretched, those below it over high_freq_factor
    are not."""
    fields = scaling.fields
    factor, low, high = (fields.number(name) for name in ("factor", "low_freq_factor", "high_freq_factor"))
    if high <= low:
        raise fields.wrong("high_freq_factor", f"a number above low_freq_factor {low:g}")
    plain, _ = _plain(scaling, dimensions)
    smooth = np.clip((scaling.trained * plain / (2 * math.pi) - low) / (high - low), 0, 1)
    return (1 - smooth) * plain / factor + smooth * plain, 1.0


def _longrope(scaling: Scaling, dimensions: int) -> tuple[Array, float]:
    """The short factors, and the attention scale of equation 8."""
    fields = scaling.fields
    factors = np.array(fields.numbers("short_factor", dimensions // 2), np.float64)
    stretch = fields.number("factor", scaling.positions / scaling.trained)
    # A length of 1 has no logarithm to divide by, and nothing was ever trained on it.
    scale = math.sqrt(1 + math.log(stretch) / math.log(max(scaling.trained, 2))) if stretch > 1 else 1.0
    return 1 / (factors * _periods(scaling.base, dimensions)), fields.number("attention_factor", scale)


FORMULAS: dict[str, Callable[[Scaling, int], tuple[Array, float]]] = {
    "default": _plain,
    "linear": _linear,
    "dynamic": _dynamic,
    "yarn": _yarn,
    "llama3": _llama3,
    "longrope": _longrope,
}
