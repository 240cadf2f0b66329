"""Layers with fixed scales in nncf's graph, and the operations that quantize what flows into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.openvino.float_operators import PRODUCTS
from edgeslm.backends.openvino.flows import LEVELS, TINY, Flow
from edgeslm.backends.openvino.ir import source_constants
from edgeslm.backends.openvino.moments import Seen

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

Floats = NDArray[np.float32]
AFTER_A_NORM = frozenset({"Add", "Multiply", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "FakeQuantize"})
Known = Mapping[str, tuple[Floats, Seen]]


@dataclass(frozen=True)
class Layers:
    """Products that are treated alike: they read the same values, or have the same weights."""

    products: tuple[str, ...]
    weights: Mapping[str, Floats]  # name of the operation that gives it -> as the checkpoint has it, [out, in]
    seen: Seen
    normalized: bool  # a norm makes what they read, which bounds it

    @property
    def matrices(self) -> list[Floats]:
        return list(self.weights.values())


def find_layers(model: openvino.Model, known: Known) -> list[Layers]:
    """Products with an int8 weight on the right that lies [out, in], in the graph's order.

    `known`: MatMul's name -> its weight as the checkpoint has it, and what flows in. A weight that is read elsewhere
    as well stays as nncf leaves it, and so does its product.
    """
    together: dict[tuple[str, int], list[openvino.Node]] = {}
    for product in model.get_ordered_ops():
        if product.get_type_name() == "MatMul" and product.get_friendly_name() in known:
            attributes = product.get_attributes()
            lies = attributes["transpose_b"] and not attributes["transpose_a"]
            rounded = product.input_value(1).get_node().get_type_name() == "Multiply"
            if known[product.get_friendly_name()][0].ndim == 2 and lies and rounded:
                together.setdefault(_float_input(product), []).append(product)
    sharing: dict[tuple[str, ...], list[openvino.Node]] = {}
    for products in together.values():  # a layer that runs twice reads the same weights in two places
        sharing.setdefault(tuple(sorted({source_name(product) for product in products})), []).extend(products)
    found = []
    for products in sharing.values():
        weights = {source_name(product): known[product.get_friendly_name()][0] for product in products}
        readers = {
            target.get_node().get_friendly_name()
            for product in products
            for target in product.input_value(1).get_target_inputs()
        }
        names = tuple(product.get_friendly_name() for product in products)
        if readers == set(names):
            normalized = all(_is_normalized(_unquantized(product.input_value(0))) for product in products)
            found.append(Layers(names, weights, known[names[0]][1], normalized))
    return found


def remove_other_quantizers(model: openvino.Model) -> None:
    """Take away fixed scales of what no weight is multiplied with: nncf gives them to queries and keys, where they cost
    more than they gain."""
    for quantizer in model.get_ordered_ops():
        if quantizer.get_type_name() != "FakeQuantize":
            continue
        targets = list(quantizer.output(0).get_target_inputs())
        if not any(_has_weight(target.get_node()) for target in targets):
            for target in targets:
                target.replace_source_output(quantizer.input_value(0))


def _is_normalized(value: openvino.Output) -> bool:
    """Whether it is a norm's result, scaled and shifted by constants."""
    node = value.get_node()
    while node.get_type_name() in AFTER_A_NORM:
        varying = [one.get_node() for one in node.input_values() if source_constants(one.get_node()) is None]
        if len(varying) != 1:
            return False
        node = varying[0]
    kind: str = node.get_type_name()
    return kind == "MVN"


def _has_weight(node: openvino.Node) -> bool:
    others = [value.get_node() for value in node.input_values()][1:]
    return node.get_type_name() in PRODUCTS and any(source_constants(other) is not None for other in others)


def _float_input(product: openvino.Node) -> tuple[str, int]:
    value = _unquantized(product.input_value(0))
    return value.get_node().get_friendly_name(), value.get_index()


def _unquantized(value: openvino.Output) -> openvino.Output:
    node = value.get_node()
    return node.input_value(0) if node.get_type_name() == "FakeQuantize" else value


def source_name(product: openvino.Node) -> str:
    name: str = product.input_value(1).get_node().get_friendly_name()
    return name


def quantize_inputs(
    products: Mapping[str, openvino.Node], flow: Flow
) -> dict[str, tuple[openvino.Node, openvino.Node | None]]:
    """Product's name -> what flows into it in 256 steps, and, where that is by row, the size of each row, which the
    result is to be multiplied with. Products that read the same values share these."""
    made: dict[tuple[str, int], tuple[openvino.Node, openvino.Node | None]] = {}
    found = {}
    for name, product in products.items():
        value, key = _unquantized(product.input_value(0)), _float_input(product)
        if key not in made:
            made[key] = _quantize(value, flow)
        found[name] = made[key]
    return found


def _quantize(value: openvino.Output, flow: Flow) -> tuple[openvino.Node, openvino.Node | None]:
    from openvino import opset13 as ops

    scaled, sizes = ops.multiply(value, constant(flow.shares)), None
    if flow.by_row:
        below = ops.multiply(scaled, constant(1 / min(flow.low, -TINY)))
        sizes = ops.reduce_max(ops.maximum(scaled, below), ops.constant(np.array([-1])), True)
        sizes = ops.maximum(sizes, constant(TINY))
        scaled = ops.divide(scaled, sizes)
    low, high = constant(flow.low), constant(flow.high)
    return ops.fake_quantize(scaled, low, high, low, high, LEVELS + 1), sizes


def constant(values: Floats | float) -> openvino.Node:
    from openvino import opset13 as ops

    return ops.constant(np.asarray(values, dtype=np.float32))
