"""The factors by which integer kernels get from their operands' scales to the result's, as TensorFlow Lite Micro's do.

The reference in numpy and the C that is written from a graph ask here, so both compute with the same numbers. Where
scales are multiplied as floats there, they are here. real = scale · (integer - zero point) throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeslm.errors import InternalError
from edgeslm.ir.fixed_point import Multiplier, round_away
from edgeslm.ir.graph import Tensor

LOWEST, HIGHEST = -128, 127
SUM_SHIFT, DIFFERENCE_SHIFT = 20, 7  # bits that operands are shifted left by, for sums and squared differences
SOFTMAX_BITS = 5  # integer bits of the differences to the largest
ROOT_SHIFT = 20  # bits that an inverse root is kept with
FUNCTION_BITS = 4  # integer bits of the arguments of tanh and the logistic function


@dataclass(frozen=True)
class SumScaling:
    """Operands minus zero points are shifted left, scaled each by its own, joined, and scaled to the result."""

    shift: int
    first: Multiplier
    second: Multiplier
    result: Multiplier


@dataclass(frozen=True)
class ArgumentScaling:
    """`by` brings an integer to the argument of a function in fixed point. Of what is further than `end` from zero, the
    function has its end."""

    by: Multiplier
    end: int


def scale_of(tensor: Tensor) -> float:
    """The one scale of a tensor: a float32's value."""
    if tensor.quantization is None or len(tensor.quantization.scales) != 1:
        raise InternalError(f"{tensor.name} has no one scale")
    return tensor.quantization.scales[0]


def zero_of(tensor: Tensor) -> int:
    """The one zero point of a tensor."""
    if tensor.quantization is None or len(tensor.quantization.zero_points) > 1:
        raise InternalError(f"{tensor.name} has no one zero point")
    return tensor.quantization.zero_points[0] if tensor.quantization.zero_points else 0


def linear_multipliers(x: Tensor, weight: Tensor, out: Tensor) -> tuple[Multiplier, ...]:
    """One, or one for each row of the weight."""
    if weight.quantization is None:
        raise InternalError(f"{weight.name} has no scales")
    return tuple(Multiplier.of(scale_of(x) * scale / scale_of(out)) for scale in weight.quantization.scales)


def product_multiplier(a: Tensor, b: Tensor, out: Tensor) -> Multiplier:
    """Of products and their sums."""
    return Multiplier.of(scale_of(a) * scale_of(b) / scale_of(out))


def ratio_multiplier(x: Tensor, out: Tensor) -> Multiplier:
    return Multiplier.of(scale_of(x) / scale_of(out))


def mean_multiplier(x: Tensor, out: Tensor, count: int) -> Multiplier:
    """The ratio of scales divided by how many numbers there are, a bit of precision kept for each bit of the count."""
    ratio = ratio_multiplier(x, out)
    shift = min(count.bit_length() - 1, 32, 31 + ratio.shift)
    return Multiplier((ratio.mantissa << shift) // count, ratio.shift - shift)


def sum_scaling(a: Tensor, b: Tensor, out: Tensor) -> SumScaling:
    """For sums and differences. Both operands are brought to twice the larger scale."""
    twice = 2 * max(scale_of(a), scale_of(b))
    result = twice / ((1 << SUM_SHIFT) * scale_of(out))
    return SumScaling(SUM_SHIFT, *(Multiplier.of(one) for one in (scale_of(a) / twice, scale_of(b) / twice, result)))


def squared_difference_scaling(a: Tensor, b: Tensor, out: Tensor) -> SumScaling:
    twice = 2 * max(scale_of(a), scale_of(b))
    result = twice * twice / ((1 << DIFFERENCE_SHIFT * 2) * scale_of(out))
    both = (Multiplier.of(one) for one in (scale_of(a) / twice, scale_of(b) / twice, result))
    return SumScaling(DIFFERENCE_SHIFT, *both)


def softmax_scaling(x: Tensor, beta: float) -> ArgumentScaling:
    """Of differences to the largest, in Q5."""
    by = Multiplier.of(min(beta * scale_of(x) * (1 << 31 - SOFTMAX_BITS), 2.0**31 - 1))
    return ArgumentScaling(by, _radius(SOFTMAX_BITS, by.shift))


def argument_scaling(x: Tensor) -> ArgumentScaling:
    """Of the arguments of tanh and the logistic function, in Q4."""
    by = Multiplier.of(scale_of(x) * (1 << 31 - FUNCTION_BITS))
    return ArgumentScaling(by, _radius(FUNCTION_BITS, by.shift))


def inverse_root_multiplier(x: Tensor, out: Tensor) -> Multiplier:
    """Root and product are floats."""
    return Multiplier.of(1.0 / float(np.sqrt(np.float32(scale_of(x))) * np.float32(scale_of(out))))


def _radius(bits: int, shift: int) -> int:
    """The largest integer that, shifted left by so many bits, has a place among `bits` integer bits."""
    return int(((1 << bits) - 1) * 2.0 ** (31 - bits) / 2.0**shift)


def limits(tensor: Tensor, low: float, high: float) -> tuple[int, int]:
    """The integers that stand for two reals; infinity is the type's end. Quotients are floats."""

    def integer(real: float) -> int:
        quotient = np.float32(real) / np.float32(scale_of(tensor))
        return zero_of(tensor) + round_away(float(np.clip(quotient, -1e6, 1e6)))

    return max(LOWEST, integer(low)), min(HIGHEST, integer(high))
