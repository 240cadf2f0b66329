"""Layers with fixed scales: their weights fit 16 bits in pairs, and a scale that is too coarse is taken away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeslm.backends import load_backend
from edgeslm.backends.openvino.moments import Seen
from edgeslm.backends.openvino.static_layers import LARGEST, improve_static

Floats = NDArray[np.float32]
missing = load_backend("openvino").missing()
pytestmark = pytest.mark.skipif(missing is not None, reason=f"openvino: {missing}")
ROWS, COLUMNS, WIDE = 24, 64, 4.0


def as_nncf_leaves_it(weights: Floats, shares: Floats, width: float) -> Any:
    """x · shares, in 256 steps from -width to width, times int8 weights that were divided by the shares."""
    import openvino  # type: ignore[import-untyped]  # the package has no types
    from openvino import opset13 as ops

    x = ops.parameter([-1, COLUMNS], np.float32, name="x")
    divided = ops.multiply(x, ops.constant(shares[None]))
    divided.set_friendly_name("x_0/nncf_smooth_quant")
    low, high = (ops.constant(np.float32(end)) for end in (-width, width))
    codes, scales = codes_and_scales(weights / shares, 127)
    source = ops.multiply(ops.convert(ops.constant(codes), "f32"), ops.constant(scales))
    source.set_friendly_name("dense.weight")
    product = ops.matmul(ops.fake_quantize(divided, low, high, low, high, 256), source, False, True)
    product.set_friendly_name("product")
    return openvino.Model([product], [x])


def codes_and_scales(weights: Floats, largest: int) -> tuple[NDArray[np.int8], Floats]:
    scales = np.abs(weights).max(axis=1, keepdims=True) / np.float32(largest)
    return np.rint(weights / scales).astype(np.int8), scales


def correlated(random: np.random.Generator, rows: int) -> Floats:
    mixed = random.standard_normal((rows, 6)) @ random.standard_normal((6, COLUMNS)) / 3
    return (mixed + 0.1 * random.standard_normal((rows, COLUMNS))).astype(np.float32)


def improved(far: float = 1.0) -> tuple[Any, dict[str, str], Floats, Floats, Floats]:
    """The model after the improvement, the notes, the weights, the shares and the rows that were seen, one of which is
    `far` times as large as the others."""
    random = np.random.default_rng(0)
    weights = random.standard_normal((ROWS, COLUMNS)).astype(np.float32)
    shares = random.uniform(0.5, 2, COLUMNS).astype(np.float32)
    x = correlated(random, 400)
    width = float(np.abs(x * shares).max()) * far
    model = as_nncf_leaves_it(weights, shares, width)
    seen = Seen((x.T @ x).astype(np.float64), float(len(x)))
    return model, improve_static(model, {"product": (weights, seen)}), weights, shares, x


def factors_of(model: Any) -> tuple[Any, Any]:
    """What gives the product its left and its right factor."""
    product = next(one for one in model.get_ordered_ops() if one.get_type_name() == "MatMul")
    left, right = (value.get_node() for value in product.input_values())
    return left, right


def weight_of(model: Any) -> tuple[NDArray[np.int8], Floats]:
    """Codes and scales."""
    source = factors_of(model)[1]
    return source.input_value(0).get_node().input_value(0).get_node().data, source.input_value(1).get_node().data


def test_weights_are_rounded_anew_within_what_two_products_have_room_for() -> None:
    model, notes, weights, shares, x = improved()
    assert notes == {}
    assert factors_of(model)[1].get_friendly_name() == "dense.weight"
    codes, scales = weight_of(model)
    assert codes.dtype == np.int8
    assert 2 * 255 * int(np.abs(codes.astype(int)).max()) <= np.iinfo(np.int16).max
    nearest, steps = codes_and_scales(weights / shares, LARGEST)

    def error(values: Floats) -> float:
        return float(np.linalg.norm(x @ (values * shares - weights).T))

    assert error(codes * scales) < 0.7 * error(nearest * steps)


def test_a_scale_too_coarse_for_all_rows_is_taken_away() -> None:
    model, notes, *_ = improved(far=100)
    assert list(notes) == ["product"]
    assert "% of noise" in notes["product"]
    assert factors_of(model)[0].get_friendly_name() == "x_0/nncf_smooth_quant"
    assert np.abs(weight_of(model)[0].astype(int)).max() == 127  # as nncf left them


def test_layers_that_were_not_seen_stay_as_they_are() -> None:
    weights = np.ones((ROWS, COLUMNS), np.float32)
    model = as_nncf_leaves_it(weights, np.ones(COLUMNS, np.float32), WIDE)
    assert improve_static(model, {}) == {}
    assert factors_of(model)[0].get_type_name() == "FakeQuantize"
