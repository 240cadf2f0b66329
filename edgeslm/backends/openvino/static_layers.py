"""Layers with fixed scales, made better than nncf leaves them.

nncf says which layers. What flows into each is smoothed and given a range (flows.py) and its weights are rounded anew
(pairs.py). One scale for all texts is for what comes out of a norm: that is bounded, so a range found on a few texts
holds for others. What attention and GELU make is not, and each row gets a scale as it comes; so it is where one scale
costs the model's answers too much, measured on calibration texts. MiniLM, least cosine on built-in texts and SNIPS, by
layers with one scale: 32 of 36 (the losses of calibration texts alone) .9948 .9962, 24 (norms' results) .9965 .9984.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.openvino.flows import Flow, row_flow, static_flow
from edgeslm.backends.openvino.pairs import round_pairs
from edgeslm.backends.openvino.static_graph import (
    Known,
    Layers,
    constant,
    find_layers,
    quantize_inputs,
    remove_other_quantizers,
    source_name,
)
from edgeslm.backends.openvino.static_losses import measure_losses

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

LEFT = 0.002
"""1 - cosine that one scale for all texts may cost any calibration text, all layers together."""


def improve_static(
    model: openvino.Model, known: Known, samples: Sequence[Mapping[str, NDArray[Any]]]
) -> dict[str, str]:
    """Change the static layers of `model`, in place. `known`: MatMul's name -> its weight [out, in] as the checkpoint
    has it, and what flows in. `samples` are what losses are measured on.

    Returns the names of the MatMuls whose activations are scaled by row -> why.
    """
    remove_other_quantizers(model)
    layers = find_layers(model, known)
    flows = [static_flow(one.matrices, one.seen) for one in layers]
    # All of them, so that the copy has none of nncf's scales left; what no norm bounds is not asked for its loss.
    losses = measure_losses(model, list(zip(layers, flows, strict=True)), samples)
    losses[[not one.normalized for one in layers]] = 0
    coarse = {layers[number].products: float(losses[number].max()) for number in too_coarse(losses, LEFT)}
    notes: dict[str, str] = {}
    for one, flow in zip(layers, flows, strict=True):
        if not one.normalized or one.products in coarse:
            flow = row_flow(one.matrices, one.seen)
            why = "no range holds for all texts"
            if one.products in coarse:
                why = f"one scale for all texts would cost up to {coarse[one.products]:.1e} of cosine"
            notes |= dict.fromkeys(one.products, f"activations scaled by row: {why}")
        _carry_out(model, one, flow)
    return notes


def too_coarse(losses: NDArray[np.float64], left: float) -> set[int]:
    """The layers to be scaled by row: of the text that loses most the layer that costs it most, again and again, until
    no text loses more than `left`. `losses` [layers, texts]; those of several layers are taken to add up."""
    kept, chosen = losses.copy(), set[int]()
    while kept.size and float(kept.sum(axis=0).max()) > left:
        layer = int(kept[:, int(kept.sum(axis=0).argmax())].argmax())
        chosen.add(layer)
        kept[layer] = 0
    return chosen


def _carry_out(model: openvino.Model, layers: Layers, flow: Flow) -> None:
    from openvino import opset13 as ops

    named = {operation.get_friendly_name(): operation for operation in model.get_ordered_ops()}
    products = {name: named[name] for name in layers.products}
    sources: dict[str, openvino.Node] = {}
    for name, weights in layers.weights.items():
        moments = layers.seen.moments * (flow.shares[:, None] * flow.shares[None, :])
        codes, scales = round_pairs((weights / flow.shares).astype(np.float32), moments)
        sources[name] = ops.multiply(ops.convert(ops.constant(codes), "f32"), constant(scales))
    for name, (codes, sizes) in quantize_inputs(products, flow).items():
        product = products[name]
        product.input(0).replace_source_output(codes.output(0))
        product.input(1).replace_source_output(sources[source_name(product)].output(0))
        if sizes is not None:
            targets = list(product.output(0).get_target_inputs())
            sized = ops.multiply(product, sizes)
            for target in targets:
                target.replace_source_output(sized.output(0))
    for name, source in sources.items():
        named[name].set_friendly_name(f"{name} (by nncf)")
        source.set_friendly_name(name)
