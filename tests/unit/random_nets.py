"""Nets of static int8 drawn at random: operators one after the other over values of a few shapes, some read twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.unit.tflite_int8 import Net
from tests.unit.tflite_nets import integers

SHAPE = (2, 4, 6)


class RandomNet:
    """`value` is an index of the net: of SHAPE, of a scale of its own."""

    def __init__(self, seed: int, operators: int) -> None:
        self.random = np.random.default_rng(seed)
        self.net = Net()
        self.values = [self.net.input(SHAPE, self.scale(), self.zero()) for _ in range(2)]
        makers = [self.elementwise, self.function, self.limited, self.turned, self.cut, self.padded, self.mean]
        makers += [self.layer, self.product, self.softmax, self.gathered, self.number]
        for _ in range(operators):
            maker: Callable[[int], int] = makers[int(self.random.integers(len(makers)))]
            self.values.append(maker(self.pick()))
        used = {int(index) for one in self.net.graph.subgraph.operators for index in one.inputs}
        self.net.outputs = [one for one in self.values[2:] if one not in used] or self.values[-1:]

    # ---- Numbers ----

    def scale(self, low: float = 0.01, high: float = 0.2) -> float:
        return float(np.float32(self.random.uniform(low, high)))

    def zero(self) -> int:
        return int(self.random.integers(-128, 128))

    def pick(self) -> int:
        return self.values[int(self.random.integers(len(self.values)))]

    def one_of(self, *choices: Any) -> Any:
        return choices[int(self.random.integers(len(choices)))]

    def of(self, index: int) -> tuple[float, int]:
        """A value's scale and zero point."""
        given = self.net.graph.subgraph.tensors[index].quantization
        return float(given.scale[0]), int(given.zeroPoint[0])

    def bytes(self, *shape: int, least: int = -128) -> Any:
        return self.random.integers(least, 128, shape).astype(np.int8)

    # ---- Operators: from a value of SHAPE to another ----

    def elementwise(self, x: int) -> int:
        kind = self.one_of("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE")
        shape = self.one_of((6,), (4, 1), (2, 1, 6), (1,), SHAPE)
        other = self.one_of(self.pick(), self.net.constant(self.bytes(*shape), [self.scale()], [self.zero()]))
        operands = self.one_of([x, other], [other, x])
        fused = {} if kind == "SQUARED_DIFFERENCE" else {"fusedActivationFunction": self.one_of(0, 0, 1, 3)}
        return self.net.add(kind, operands, SHAPE, self.scale(0.05, 0.4), self.zero(), **fused)

    def function(self, x: int) -> int:
        kind = self.one_of("TANH", "LOGISTIC", "GELU", "RSQRT", "QUANTIZE")
        form: dict[str, Any] = {"approximate": True} if kind == "GELU" else {}
        out = {"TANH": (1 / 128, 0), "LOGISTIC": (1 / 256, -128)}.get(kind, (self.scale(), self.zero()))
        return self.net.add(kind, [x], SHAPE, *out, **form)

    def limited(self, x: int) -> int:
        kind = self.one_of("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")
        out = self.of(x) if kind == "RELU6" or self.one_of(True, False) else (self.scale(), self.zero())
        return self.net.add(kind, [x], SHAPE, *out)

    def number(self, x: int) -> int:
        """With one number, and a function behind it."""
        one = self.net.constant(self.bytes(1), [self.scale()], [self.zero()])
        y = self.net.add(self.one_of("ADD", "MUL"), [x, one], SHAPE, self.scale(), self.zero())
        return self.net.add("RSQRT", [y], SHAPE, self.scale(), self.zero())

    def turned(self, x: int) -> int:
        """Turned, limited, folded otherwise and turned back."""
        given = self.of(x)
        y = self.net.add("TRANSPOSE", [x, integers(self.net, 2, 0, 1)], [6, 2, 4], *given)
        y = self.net.add("RELU_N1_TO_1", [y], [6, 2, 4], *given)
        y = self.net.add("RESHAPE", [y, integers(self.net, 12, 4)], [12, 4], *given)
        y = self.net.add("RESHAPE", [y, integers(self.net, 6, 2, 4)], [6, 2, 4], *given)
        return self.net.add("TRANSPOSE", [y, integers(self.net, 1, 2, 0)], SHAPE, *given)

    def cut(self, x: int) -> int:
        """In parts along an axis, joined in another order."""
        axis, given = self.one_of(0, 1, 2), self.of(x)
        shape = [extent // (2 if place == axis else 1) for place, extent in enumerate(SHAPE)]
        count = len(self.net.graph.subgraph.tensors)
        parts = [self.net.tensor(f"part{count + number}", shape, *given) for number in range(2)]
        self.net.place("SPLIT", [self.net.constant(np.array(axis, np.int32)), x], parts, numSplits=2)
        first = self.net.add("LOGISTIC", [parts[0]], shape, 1 / 256, -128)
        first = self.net.add("QUANTIZE", [first], shape, *given)
        return self.net.add("CONCATENATION", [parts[1], first], SHAPE, *given, axis=axis)

    def padded(self, x: int) -> int:
        given = self.of(x)
        begin, size = integers(self.net, 0, 1, 2), integers(self.net, 2, 2, 3)
        y = self.net.add("SLICE", [x, begin, size], [2, 2, 3], *given)
        amounts = self.net.constant(np.array([[0, 0], [1, 1], [0, 3]], np.int32))
        return self.net.add("PAD", [y, amounts], SHAPE, *given)

    def mean(self, x: int) -> int:
        axes = self.one_of((2,), (0, 2), (1,), (0, 1))
        kept = [1 if axis in axes else extent for axis, extent in enumerate(SHAPE)]
        y = self.net.add(
            "MEAN", [x, integers(self.net, *axes)], kept, self.scale(), self.zero(),
            options_of="ReducerOptions", keepDims=True,
        )  # fmt: skip
        return self.net.add("SUB", [x, y], SHAPE, self.scale(), self.zero())

    def layer(self, x: int) -> int:
        """By channel, by tensor, with a zero point, with a -128 that no packed matrix holds."""
        form = self.one_of("channels", "tensor", "zero", "least")
        scales = [self.scale(0.002, 0.02) for _ in range(6 if form in ("channels", "least") else 1)]
        values = self.bytes(6, 6, least=-127)
        if form == "least":
            values[3, 1] = -128
        weight = self.net.constant(values, scales, [7 if form == "zero" else 0])
        step = [float(np.float32(self.of(x)[0]) * np.float32(one)) for one in scales]
        bias = self.one_of(-1, self.net.constant(self.random.integers(-900, 900, 6).astype(np.int32), step))
        options = {"fusedActivationFunction": self.one_of(0, 1, 3), "keepNumDims": True}
        return self.net.add("FULLY_CONNECTED", [x, weight, bias], SHAPE, self.scale(), self.zero(), **options)

    def product(self, x: int) -> int:
        """By another value turned, then by a constant matrix."""
        y = self.net.add(
            "BATCH_MATMUL", [x, self.pick()], [2, 4, 4], self.scale(0.1, 0.5), self.zero(),
            options_of="BatchMatMulOptions", adjY=True,
        )  # fmt: skip
        weight = self.net.constant(self.bytes(1, 4, 6), [self.scale()], [self.one_of(0, 3)])
        made = self.scale(0.1, 0.5), self.zero()
        return self.net.add("BATCH_MATMUL", [y, weight], SHAPE, *made, options_of="BatchMatMulOptions")

    def softmax(self, x: int) -> int:
        return self.net.add("SOFTMAX", [x], SHAPE, 1 / 256, -128, beta=self.one_of(1.0, 0.5))

    def gathered(self, x: int) -> int:
        given, places = self.of(x), np.array([3, 0, 2, 2], np.int32)
        return self.net.add("GATHER", [x, self.net.constant(places)], SHAPE, *given, axis=1)


def random_net(seed: int, operators: int = 12) -> bytes:
    """The file."""
    return RandomNet(seed, operators).net.pack()
