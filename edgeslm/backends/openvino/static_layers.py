"""What is made better of the layers that nncf gives fixed scales: weights are rounded anew with error feedback, and a
scale that is too coarse for all texts is taken away.

Weights take the codes -64 to 64: without VNNI, x86-64 adds two products of 8 bits in 16, and 255 · 127 · 2 does not fit
(Intel 64 and IA-32 Architectures Software Developer's Manual, VPMADDUBSW). MiniLM's least cosine on such a CPU, by the
largest code: 127 0.985, 64 0.991.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.openvino.ir import values_of
from edgeslm.backends.openvino.moments import Seen
from edgeslm.quantize.feedback import feedback_factor
from edgeslm.quantize.symmetric import round_with_feedback

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

Floats = NDArray[np.float32]
Known = Mapping[str, tuple[Floats, Seen]]
COARSE = 0.02
"""Share of noise beyond which a layer's activations are not given one scale for all texts."""
LARGEST = 64
DAMPING = 0.1
SMOOTHED = "nncf_smooth_quant"
LEVELS = 255


@dataclass(frozen=True)
class _Layer:
    product: openvino.Node
    quantizer: openvino.Node  # FakeQuantize of what flows in
    source: openvino.Node  # codes · scales
    weights: Floats  # [out, in], as the checkpoint has them
    seen: Seen

    @property
    def shares(self) -> Floats:
        """[in], or 1: the quantizer is given what flows in times these, and the weights are divided by them."""
        ahead = self.quantizer.input_value(0).get_node()
        if SMOOTHED not in ahead.get_friendly_name():
            return np.ones(1, np.float32)
        shares: Floats = values_of(ahead.input_value(1).get_node()).reshape(-1)
        return shares

    @property
    def step(self) -> float:
        low, high = (float(values_of(self.quantizer.input_value(port).get_node()).reshape(-1)[0]) for port in (1, 2))
        return (high - low) / LEVELS


def improve_static(model: openvino.Model, known: Known) -> dict[str, str]:
    """Change the static layers of `model`, in place. `known`: MatMul's name -> its weight [out, in] as the checkpoint
    has it, and what flows in.

    Returns the names of the MatMuls whose activations have no fixed scale any more -> why.
    """
    notes: dict[str, str] = {}
    for layer in list(_static_layers(model, known)):
        noise = _noise(layer)
        if noise > COARSE:
            layer.product.input(0).replace_source_output(layer.quantizer.input_value(0))
            notes[layer.product.get_friendly_name()] = (
                f"activations float, or scaled as they come with VNNI: one scale for all would add {noise:.1%} of noise"
            )
        elif len(layer.source.output(0).get_target_inputs()) == 1:
            _round_again(layer)
    return notes


def _static_layers(model: openvino.Model, known: Known) -> Iterator[_Layer]:
    """Products of a quantized left and an int8 weight on the right that lies [out, in]."""
    for product in model.get_ordered_ops():
        if product.get_type_name() != "MatMul" or product.get_friendly_name() not in known:
            continue
        quantizer, source = (value.get_node() for value in product.input_values())
        attributes = product.get_attributes()
        if quantizer.get_type_name() != "FakeQuantize" or source.get_type_name() != "Multiply":
            continue
        weights, seen = known[product.get_friendly_name()]
        if weights.ndim == 2 and not attributes["transpose_a"] and attributes["transpose_b"]:
            yield _Layer(product, quantizer, source, weights, seen)


def _noise(layer: _Layer) -> float:
    """Noise that the fixed scale adds to what the layer makes, as a share of its size."""
    added = layer.step**2 / 12 * float(np.square(layer.weights / layer.shares).sum())
    flows = layer.weights @ layer.seen.moments.astype(np.float32)
    size = float(np.einsum("oi,oi->", flows, layer.weights)) / layer.seen.rows
    return float(np.sqrt(added / size)) if size > 0 else 0.0


def _round_again(layer: _Layer) -> None:
    from openvino import opset13 as ops

    shares = layer.shares
    weights = (layer.weights / shares).astype(np.float32)
    moments = (layer.seen.moments * (shares[:, None] * shares[None, :])).astype(np.float32)
    scales = np.maximum(np.abs(weights).max(axis=1, keepdims=True), np.float32(1e-12)) / np.float32(LARGEST)
    factor = feedback_factor(moments, DAMPING)
    rounded = round_with_feedback(weights, np.diagonal(moments), factor, 8, rows=scales)
    codes = ops.constant(np.clip(rounded.codes, -LARGEST, LARGEST).astype(np.int8))
    source = ops.multiply(ops.convert(codes, "f32"), ops.constant(scales.astype(np.float32)))
    name = layer.source.get_friendly_name()
    layer.source.set_friendly_name(f"{name} (by nncf)")
    source.set_friendly_name(name)
    layer.product.input(1).replace_source_output(source.output(0))
