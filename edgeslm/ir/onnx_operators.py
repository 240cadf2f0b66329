"""One function for each ONNX operator that is more than a name: its attributes and constants as a node's kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgeslm.ir import nodes
from edgeslm.ir.graph import Constant, Quantization, Tensor
from edgeslm.ir.onnx_reader import OnnxReader, attribute

if TYPE_CHECKING:
    import onnx_ir

Operator = Callable[[OnnxReader, Any], None]


def _plain(kind: nodes.Kind, inputs: int = 1) -> Operator:
    """Of operators whose first inputs are all there is to say."""
    return lambda reader, node: reader.add(node, kind, [reader.given(node, place) for place in range(inputs)])


def _same(reader: OnnxReader, node: onnx_ir.Node) -> None:
    reader.same[str(node.outputs[0].name)] = reader.value(reader.given(node, 0))


def _reduce(reader: OnnxReader, node: onnx_ir.Node) -> None:
    function = cast(Any, node.op_type.removeprefix("Reduce").lower())
    rank = len(reader.shape(node, 0))
    axes = reader.integers(node, 1) if reader.has(node, 1) else attribute(node, "axes", ())
    chosen = tuple(sorted(axis % rank for axis in axes)) or tuple(range(rank))
    keep = bool(attribute(node, "keepdims", 1))
    reader.add(node, nodes.Reduce(function, chosen, keep), [reader.given(node, 0)])


def _gather(reader: OnnxReader, node: onnx_ir.Node) -> None:
    """Rows of a constant table are an Embedding, one known index is a Slice."""
    x, indices, shape = reader.given(node, 0), reader.given(node, 1), reader.shape(node, 0)
    axis = attribute(node, "axis", 0) % len(shape)
    if indices.const_value is not None and indices.const_value.size == 1:
        index = reader.integers(node, 1)[0] % shape[axis]
        out = reader.tensor(node.outputs[0], node)
        one = Tensor(f"{out.name}/slice", (*shape[:axis], 1, *shape[axis + 1 :]), out.dtype)
        name = reader.append(node, nodes.Slice(axis, index, index + 1), [reader.value(x)], one)
        reader.append(node, nodes.Reshape(), [name], out)
    elif axis == 0 and len(shape) == 2 and x.const_value is not None:
        reader.add(node, nodes.Embedding(), [x, indices])
    else:
        reader.add(node, nodes.Gather(axis), [x, indices])


def _gemm(reader: OnnxReader, node: onnx_ir.Node) -> None:
    scales = attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)
    if scales != (1.0, 1.0) or attribute(node, "transA", 0) or not attribute(node, "transB", 0):
        reader.refuse(node, "it has alpha, beta or transA, or a weight that is not [out, in]")
    reader.add(node, nodes.Linear(), [value for value in node.inputs if value is not None])


def _layer_normalization(reader: OnnxReader, node: onnx_ir.Node) -> None:
    _reject_inner_axis(reader, node)
    if any(value.uses() or value.is_graph_output() for value in node.outputs[1:]):
        reader.refuse(node, "mean and deviation are read apart from the result")
    epsilon = float(str(np.float32(attribute(node, "epsilon", 1e-5))))  # 1e-12, not 9.999999960041972e-13
    reader.add(node, nodes.LayerNorm(epsilon), [value for value in node.inputs if value is not None])


def _softmax(reader: OnnxReader, node: onnx_ir.Node) -> None:
    _reject_inner_axis(reader, node)
    reader.add(node, nodes.Softmax(), [reader.given(node, 0)])


def _reject_inner_axis(reader: OnnxReader, node: onnx_ir.Node) -> None:
    rank = len(reader.shape(node, 0))
    if attribute(node, "axis", -1) % rank != rank - 1:
        reader.refuse(node, "it is not over the last axis alone")


def _gelu(reader: OnnxReader, node: onnx_ir.Node) -> None:
    tanh = attribute(node, "approximate", "none") == "tanh"
    reader.add(node, nodes.Unary("gelu_tanh" if tanh else "gelu"), [reader.given(node, 0)])


def _transpose(reader: OnnxReader, node: onnx_ir.Node) -> None:
    order = attribute(node, "perm", tuple(reversed(range(len(reader.shape(node, 0))))))
    reader.add(node, nodes.Transpose(tuple(order)), [reader.given(node, 0)])


def _concat(reader: OnnxReader, node: onnx_ir.Node) -> None:
    axis = attribute(node, "axis", 0) % len(reader.shape(node, 0))
    reader.add(node, nodes.Concat(axis), [value for value in node.inputs if value is not None])


def _slice(reader: OnnxReader, node: onnx_ir.Node) -> None:
    """One Slice for each axis."""
    shape, out = list(reader.shape(node, 0)), reader.tensor(node.outputs[0], node)
    starts, stops = reader.integers(node, 1), reader.integers(node, 2)
    axes = reader.integers(node, 3) if reader.has(node, 3) else list(range(len(starts)))
    steps = reader.integers(node, 4) if reader.has(node, 4) else [1] * len(starts)
    name = reader.value(reader.given(node, 0))
    for place, (start, stop, axis, step) in enumerate(zip(starts, stops, axes, steps, strict=True)):
        if step < 1:
            reader.refuse(node, f"its step is {step}")
        axis, extent = axis % len(shape), shape[axis]
        kind = nodes.Slice(axis, _bounded(start, extent), _bounded(stop, extent), step)
        shape[axis] = len(range(kind.start, kind.stop, step))
        is_last = place == len(axes) - 1
        made = out if is_last else Tensor(f"{out.name}/{place}", tuple(shape), out.dtype)
        name = reader.append(node, kind, [name], made)


def _bounded(place: int, extent: int) -> int:
    return min(max(place + extent if place < 0 else place, 0), extent)


def _split(reader: OnnxReader, node: onnx_ir.Node) -> None:
    axis, start = attribute(node, "axis", 0) % len(reader.shape(node, 0)), 0
    for value in node.outputs:
        made = reader.tensor(value, node)
        stop = start + made.shape[axis]
        reader.append(node, nodes.Slice(axis, start, stop), [reader.value(reader.given(node, 0))], made)
        start = stop


def _pad(reader: OnnxReader, node: onnx_ir.Node) -> None:
    amounts = reader.integers(node, 1)
    rank = len(amounts) // 2
    filled = bool(reader.numbers(node, 2).any()) if reader.has(node, 2) else False
    if attribute(node, "mode", "constant") != "constant" or filled or reader.has(node, 3) or min(amounts) < 0:
        reader.refuse(node, "it pads with something else than zeros, or names its axes")
    reader.add(node, nodes.Pad(tuple(amounts[:rank]), tuple(amounts[rank:])), [reader.given(node, 0)])


def _clip(reader: OnnxReader, node: onnx_ir.Node) -> None:
    out, name = reader.tensor(node.outputs[0], node), reader.value(reader.given(node, 0))
    limits = [(function, place) for place, function in ((1, "max"), (2, "min")) if reader.has(node, place)]
    for number, (function, place) in enumerate(limits, start=1):
        made = out if number == len(limits) else Tensor(f"{out.name}/{function}", out.shape, out.dtype)
        bound = reader.value(reader.given(node, place))
        name = reader.append(node, nodes.Binary(cast(Any, function)), [name, bound], made)
    if not limits:
        reader.same[out.name] = name


def _quantize(reader: OnnxReader, node: onnx_ir.Node) -> None:
    """The integers' side of QuantizeLinear and DequantizeLinear gets scales and zero points."""
    x, out = reader.value(reader.given(node, 0)), reader.tensor(node.outputs[0], node)
    if attribute(node, "block_size", 0):
        reader.refuse(node, "its scales are blockwise")
    scales = reader.numbers(node, 1).reshape(-1)
    zeros = reader.numbers(node, 2).reshape(-1) if reader.has(node, 2) else np.zeros(0)
    axis = attribute(node, "axis", 1) % len(out.shape) if scales.size > 1 else None
    zero_points = tuple(int(zero) for zero in zeros) if zeros.any() else ()
    quantization = Quantization(tuple(float(scale) for scale in scales), zero_points, axis)
    if node.op_type == "QuantizeLinear":
        reader.append(node, nodes.Quantize(), [x], Tensor(out.name, out.shape, out.dtype, quantization))
        return
    constant = reader.constants.get(x)
    if constant is not None and constant.tensor.quantization is None:
        tensor = Tensor(x, constant.tensor.shape, constant.tensor.dtype, quantization)
        reader.constants[x] = Constant(tensor, constant.parameters, read=constant.read)
    elif quantization not in [one.output.quantization for one in reader.nodes if one.name == x]:
        reader.refuse(node, "its integers are not known to have this scale")
    reader.append(node, nodes.Quantize(), [x], out)


OPERATORS: dict[str, Operator] = {
    "Abs": _plain(nodes.Unary("abs")),
    "Add": _plain(nodes.Binary("add"), 2),
    "Cast": _plain(nodes.Cast()),
    "Clip": _clip,
    "Concat": _concat,
    "DequantizeLinear": _quantize,
    "Div": _plain(nodes.Binary("div"), 2),
    "Dropout": _same,
    "Erf": _plain(nodes.Unary("erf")),
    "Exp": _plain(nodes.Unary("exp")),
    "Expand": _plain(nodes.Broadcast()),
    "Flatten": _plain(nodes.Reshape()),
    "Gather": _gather,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "Identity": _same,
    "LayerNormalization": _layer_normalization,
    "MatMul": _plain(nodes.MatMul(), 2),
    "Max": _plain(nodes.Binary("max"), 2),
    "Min": _plain(nodes.Binary("min"), 2),
    "Mul": _plain(nodes.Binary("mul"), 2),
    "Neg": _plain(nodes.Unary("neg")),
    "Pad": _pad,
    "Pow": _plain(nodes.Binary("pow"), 2),
    "QuantizeLinear": _quantize,
    "Reciprocal": _plain(nodes.Unary("reciprocal")),
    "ReduceMax": _reduce,
    "ReduceMean": _reduce,
    "ReduceSum": _reduce,
    "Relu": _plain(nodes.Unary("relu")),
    "Reshape": _plain(nodes.Reshape()),
    "Sigmoid": _plain(nodes.Unary("logistic")),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Sqrt": _plain(nodes.Unary("sqrt")),
    "Squeeze": _plain(nodes.Reshape()),
    "Sub": _plain(nodes.Binary("sub"), 2),
    "Tanh": _plain(nodes.Unary("tanh")),
    "Transpose": _transpose,
    "Unsqueeze": _plain(nodes.Reshape()),
}
