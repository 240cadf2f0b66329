"""An int8 from each of the 256 int8: what functions of one number are, once the scales are known.

As TensorFlow Lite Micro computes them; GELU, which it does not have, as LiteRT's reference kernel does.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edgeslm.errors import InternalError
from edgeslm.ir import fixed_point, nodes
from edgeslm.ir.fixed_point import Integers, Multiplier, round_away, scaled, shifted_right
from edgeslm.ir.graph import Tensor
from edgeslm.ir.requantize import (
    FUNCTION_BITS,
    HIGHEST,
    LOWEST,
    ROOT_SHIFT,
    argument_scaling,
    inverse_root_multiplier,
    limits,
    ratio_multiplier,
    scale_of,
    zero_of,
)

ALL = np.arange(LOWEST, HIGHEST + 1, dtype=np.int64)


def table_of(kind: nodes.Kind, x: Tensor, out: Tensor) -> NDArray[np.int8]:
    """(256,): at place i the result for the int8 i - 128. Raises InternalError for a kind that is no such function."""
    match kind:
        case nodes.Quantize():
            made = scaled(ALL - zero_of(x), ratio_multiplier(x, out)) + zero_of(out)
        case nodes.Clamp():
            low, high = limits(out, kind.low, kind.high)
            made = np.minimum(np.maximum(ALL, low), high)
        case nodes.Unary(function="logistic"):
            made = shifted_right(_argument_function(x, "logistic"), 23) - 128
        case nodes.Unary(function="tanh"):
            made = shifted_right(_argument_function(x, "tanh"), 24)
        case nodes.Unary(function="rsqrt"):
            made = _inverse_roots(x, out)
        case nodes.Unary(function="gelu" | "gelu_tanh"):
            made = _gelu(x, out, kind.function == "gelu_tanh")
        case _:
            raise InternalError(f"{out.name}: {type(kind).__name__} is no function of one int8")
    return np.clip(made, LOWEST, HIGHEST).astype(np.int8)


def _argument_function(x: Tensor, function: str) -> Integers:
    """In Q0. Beyond 15 (the most that 4 integer bits hold), the function's end, further out than any int8."""
    scaling, argument = argument_scaling(x), ALL - zero_of(x)
    inside = scaled(np.clip(argument, -scaling.end, scaling.end), scaling.by)
    made = {"logistic": fixed_point.logistic, "tanh": fixed_point.tanh}[function](inside, FUNCTION_BITS)
    low = 0 if function == "logistic" else fixed_point.LEAST
    beyond = np.where(argument >= scaling.end, 2 * fixed_point.MOST, made)
    return np.where(argument <= -scaling.end, low, beyond)


def _inverse_roots(x: Tensor, out: Tensor) -> Integers:
    """1 / sqrt(x). Zero gives the most there is; so does what is below zero, where TensorFlow Lite Micro stops."""
    by = inverse_root_multiplier(x, out)
    value = ALL - zero_of(x)
    made = scaled(_roots()[np.maximum(value, 0)], Multiplier(by.mantissa, by.shift - ROOT_SHIFT)) + zero_of(out)
    return np.where(value > 0, made, HIGHEST)


@cache
def _roots() -> Integers:
    """2^20 / sqrt(i) at place i, for what is above 0."""
    roots = [Multiplier(0, 0), *(fixed_point.inverse_root(value) for value in range(1, 256))]
    return np.array([int(scaled(1, Multiplier(one.mantissa, one.shift + ROOT_SHIFT))) for one in roots], np.int64)


def _gelu(x: Tensor, out: Tensor, is_approximate: bool) -> Integers:
    """In float32, as the function for floats."""
    real = (np.float32(scale_of(x)) * (ALL - zero_of(x)).astype(np.float32)).astype(np.float32)
    half = np.float32(0.5)
    if is_approximate:
        root = np.float32(math.sqrt(2 / math.pi))
        inner = root * (real + np.float32(0.044715) * real * real * real)
        value = half * real * (np.float32(1) + np.tanh(inner.astype(np.float64)).astype(np.float32))
    else:
        inner = (real * np.float32(-math.sqrt(0.5))).astype(np.float64)
        value = half * real * np.array([math.erfc(one) for one in inner], np.float32)
    quotient = value * (np.float32(1) / np.float32(scale_of(out)))
    return np.array([round_away(float(one)) for one in quotient], np.int64) + zero_of(out)
