"""Fixed-point numbers as TensorFlow Lite's kernels compute with them, bit for bit, in numpy.

Reals are int32 with so many integer bits: Qk stands for raw / 2^(31 - k). A real factor is a Multiplier: a mantissa of
31 bits and a power of two, and its product is rounded twice, once by the mantissa and once by the power (Jacob et al.
2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", and gemmlowp's
doc/quantization.md; the forms of exp, 1 / (1 + x) and the inverse root are gemmlowp's and TensorFlow Lite's).

Arrays are int64 that hold int32 values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeslm.errors import InternalError

Integers: TypeAlias = NDArray[np.int64]

LEAST, MOST = -(2**31), 2**31 - 1
ONE = MOST  # in Q0, where 1 itself has no place


@dataclass(frozen=True)
class Multiplier:
    """The factor mantissa / 2^31 · 2^shift: a mantissa from 2^30 on, or 0."""

    mantissa: int
    shift: int

    @classmethod
    def of(cls, real: float) -> Multiplier:
        """Nearest to `real`, half away from zero. Factors below 2^-32 are 0."""
        if not (math.isfinite(real) and real >= 0):
            raise InternalError(f"a factor of {real} has no multiplier")
        fraction, shift = math.frexp(real)
        mantissa = round_away(fraction * 2.0**31)
        if mantissa == 2**31:
            mantissa, shift = mantissa // 2, shift + 1
        return cls(0, 0) if shift < -31 or mantissa == 0 else cls(mantissa, shift)


def round_away(x: float) -> int:
    """The nearest integer, half away from zero, as C's round()."""
    whole = math.floor(abs(x))
    return int(math.copysign(whole + (abs(x) - whole >= 0.5), x))


def scaled(x: Any, by: Multiplier) -> Integers:
    """x · by. A left shift comes before the product and wraps around at 32 bits."""
    return shifted_right(
        high_product(wrapped(np.asarray(x, np.int64) << max(by.shift, 0)), by.mantissa), max(-by.shift, 0)
    )


def high_product(a: Any, b: Any) -> Integers:
    """a · b / 2^31, half away from zero: the product of two Q0. -1 · -1 is the most there is."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    return np.asarray(np.minimum(_truncated(nudged, 31), MOST))


def shifted_right(x: Any, exponent: int) -> Integers:
    """x / 2^exponent, half away from zero."""
    x = np.asarray(x, np.int64)
    mask = (1 << exponent) - 1
    return np.asarray((x >> exponent) + ((x & mask) > (mask >> 1) + (x < 0)))


def rescaled(x: Any, bits: int) -> Integers:
    """A number with `bits` integer bits fewer (or more, where it is negative): x · 2^bits, at most what there is."""
    return np.clip(np.asarray(x, np.int64) << bits, LEAST, MOST) if bits >= 0 else shifted_right(x, -bits)


def wrapped(x: Any) -> Integers:
    """As int32 holds it."""
    return np.asarray(x, np.int64).astype(np.int32).astype(np.int64)


def exp_negative(x: Any, bits: int) -> Integers:
    """exp(x) in Q0 for x <= 0 in Q`bits`, at most 5 of them.

    x is -1/4 + a rest in (-1/4, 0], whose exp is a series about -1/8, times exp(-2^k) for each bit of what is left.
    """
    x = np.asarray(x, np.int64)
    places = 31 - bits
    quarter = 1 << (places - 2)
    rest = (x & (quarter - 1)) - quarter
    result = _exp_quarter(rescaled(rest, bits))
    left = rest - x
    for power in range(-2, bits):
        factor = round_away(math.exp(-(2.0**power)) * 2.0**31)
        result = np.where(left & (1 << (places + power)), high_product(result, factor), result)
    return np.where(x == 0, ONE, result)


def _exp_quarter(x: Integers) -> Integers:
    """exp(x) in Q0 for x in [-1/4, 0): exp(-1/8) · (1 + y + y²/2 + y³/6 + y⁴/24), y = x + 1/8."""
    middle, third = round_away(math.exp(-0.125) * 2.0**31), round_away(2.0**31 / 3)
    y = x + (1 << 28)
    square = high_product(y, y)
    cube, fourth = high_product(square, y), high_product(square, square)
    tail = shifted_right(high_product(shifted_right(fourth, 2) + cube, third) + square, 1)
    return middle + high_product(middle, y + tail)


def reciprocal_of_one_plus(x: Any) -> Integers:
    """1 / (1 + x) in Q0, for x in [0, 1] in Q0."""
    return rescaled(_newton(x), 1)


def one_minus_over_one_plus(x: Any) -> Integers:
    """(1 - x) / (1 + x) in Q0, for x in [0, 1] in Q0."""
    return rescaled(_newton(x) - (1 << 29), 2)


def _newton(x: Any) -> Integers:
    """2 / (1 + x) in Q2: three steps from 48/17 - 32/17 · d, d = (1 + x) / 2."""
    first, slope = round_away(48 / 17 * 2.0**29), round_away(-32 / 17 * 2.0**29)
    half = (np.asarray(x, np.int64) + ONE + 1) // 2
    guess = first + high_product(half, slope)
    for _ in range(3):
        guess = guess + rescaled(high_product(guess, (1 << 29) - high_product(half, guess)), 2)
    return guess


def logistic(x: Any, bits: int) -> Integers:
    """1 / (1 + exp(-x)) in Q0, x in Q`bits`."""
    x = np.asarray(x, np.int64)
    positive = reciprocal_of_one_plus(exp_negative(-np.abs(x), bits))
    return np.where(x == 0, 1 << 30, np.where(x > 0, positive, ONE - positive))


def tanh(x: Any, bits: int) -> Integers:
    """In Q0, x in Q`bits`. The same raw number with an integer bit more is 2x."""
    x = np.asarray(x, np.int64)
    size = one_minus_over_one_plus(exp_negative(-np.abs(x), bits + 1))
    return np.where(x == 0, 0, np.where(x < 0, -size, size))


def reciprocal(x: Any, bits: int) -> tuple[Integers, Integers]:
    """For x > 0 in Q`bits`: 1 / x in Q0, and by how many bits more it is to be shifted right."""
    x = np.asarray(x, np.int64)
    zeros = 32 - np.ceil(np.log2(x.astype(np.float64) + 1)).astype(np.int64)  # leading ones of an int32
    return reciprocal_of_one_plus((x << zeros) - (1 << 31)), bits - zeros


def inverse_root(x: int) -> Multiplier:
    """1 / sqrt(x) for an integer x > 0: five steps of Newton's in Q3."""
    if x == 1:
        return Multiplier(MOST, 0)
    shift = 11
    while x >= 1 << 29:
        x, shift = x // 4, shift + 1
    pairs = (31 - x.bit_length()) // 2 - 1
    x, shift = x << 2 * pairs, shift - pairs
    half = shifted_right(x >> 1, 1)
    guess: Integers = np.asarray(1 << 28, np.int64)
    for _ in range(5):
        cube = rescaled(high_product(high_product(guess, guess), guess), 6)
        guess = rescaled(high_product(3 << 27, guess) - high_product(half, cube), 3)
    root = int(high_product(guess, round_away(math.sqrt(0.5) * 2.0**31)))
    return Multiplier(root << max(-shift, 0), -max(shift, 0))


def _truncated(x: Integers, exponent: int) -> Integers:
    """x / 2^exponent, towards zero."""
    return np.where(x >= 0, x >> exponent, -(-x >> exponent))
