"""Layers with fixed scales: weights fit 16 bits in pairs, outliers move into them, and what no norm bounds, or costs
too much, is scaled by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeslm.backends import load_backend
from edgeslm.backends.openvino.flows import row_flow, static_flow
from edgeslm.backends.openvino.moments import Seen
from edgeslm.backends.openvino.pairs import ROOM, round_pairs
from edgeslm.backends.openvino.static_layers import improve_static, too_coarse

Floats = NDArray[np.float32]
missing = load_backend("openvino").missing()
needs_openvino = pytest.mark.skipif(missing is not None, reason=f"openvino: {missing}")
ROWS, COLUMNS, WIDE = 24, 64, 4.0


def as_nncf_leaves_it(weights: Floats, *, norm: bool) -> Any:
    """x, normalized or not, in 256 steps from -WIDE to WIDE, times int8 weights."""
    import openvino  # type: ignore[import-untyped]  # the package has no types
    from openvino import opset13 as ops

    x = ops.parameter([-1, COLUMNS], np.float32, name="x")
    x.output(0).set_names({"x"})
    value = ops.mvn(x, ops.constant(np.array([1])), True, 1e-6, "inside_sqrt") if norm else x
    low, high = (ops.constant(np.float32(end)) for end in (-WIDE, WIDE))
    scales = np.abs(weights).max(axis=1, keepdims=True) / np.float32(127)
    codes = np.rint(weights / scales).astype(np.int8)
    source = ops.multiply(ops.convert(ops.constant(codes), "f32"), ops.constant(scales))
    source.set_friendly_name("dense.weight")
    product = ops.matmul(ops.fake_quantize(value, low, high, low, high, 256), source, False, True)
    product.set_friendly_name("product")
    return openvino.Model([product], [x])


def seen_of(x: Floats) -> Seen:
    ones = np.ones(len(x), np.float32)
    return Seen((x.T @ x).astype(np.float64), float(len(x)), x.min(axis=0), x.max(axis=0), x, ones)


def correlated(seed: int = 0, rows: int = 400) -> Floats:
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((rows, 6)) @ random.standard_normal((6, COLUMNS)) / 3
    x = mixed + 0.1 * random.standard_normal((rows, COLUMNS))
    normed: Floats = ((x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)).astype(np.float32)
    return normed


def weights_of(seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((ROWS, COLUMNS)).astype(np.float32)


def answers(model: Any, x: Floats) -> Floats:
    import openvino

    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found: Floats = compiled([x])[0]
    return found


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 41), st.sampled_from([0.1, 1.0, 30.0]))
def test_no_pair_of_codes_overflows_16_bits(seed: int, columns: int, far: float) -> None:
    random = np.random.default_rng(seed)
    weights = random.standard_normal((7, columns)).astype(np.float32)
    weights[:, 0] *= np.float32(far)
    x = random.standard_normal((5, columns))
    codes, scales = round_pairs(weights, x.T @ x)
    even = np.pad(codes.astype(int), ((0, 0), (0, columns % 2)))
    assert np.abs(even).max() <= 127
    assert np.abs(even[:, 0::2] + even[:, 1::2]).max() <= ROOM
    assert np.iinfo(np.int16).max >= 255 * ROOM
    assert scales.shape == (7, 1)


def test_codes_are_finer_than_half_the_range_would_be() -> None:
    weights, x = weights_of(), correlated()
    codes, scales = round_pairs(weights, x.T @ x)
    half = np.abs(weights).max(axis=1, keepdims=True) / 64
    wrong = np.linalg.norm(x @ (codes * scales - weights).T)
    assert scales.mean() < 0.75 * half.mean()
    assert wrong < 0.4 * np.linalg.norm(x @ (np.rint(weights / half) * half - weights).T)


def test_an_outlier_moves_into_the_weights_and_nothing_is_cut_off() -> None:
    x = correlated()
    x[:, 5] *= 20
    flow = static_flow([weights_of()], seen_of(x))
    assert flow.shares[5] < 0.5 * np.median(flow.shares)
    step = (flow.high - flow.low) / 255
    assert flow.low - step <= (x * flow.shares).min()
    assert (x * flow.shares).max() <= flow.high + step
    assert abs(flow.low / step - round(flow.low / step)) < 1e-3  # 0 is a step


def test_a_row_that_hardly_falls_below_zero_gets_finer_steps() -> None:
    flow = row_flow([weights_of()], seen_of(np.maximum(correlated(), -0.1)))
    assert flow.by_row
    assert -0.3 < flow.low <= 0


@needs_openvino
def test_a_norms_result_has_one_scale_and_the_answers_are_close() -> None:
    weights, x = weights_of(), correlated()
    model = as_nncf_leaves_it(weights, norm=True)
    assert improve_static(model, {"product": (weights, seen_of(x))}, [{"x": x[:9]}]) == {}
    kinds = [one.get_type_name() for one in model.get_ordered_ops()]
    assert (kinds.count("FakeQuantize"), kinds.count("ReduceMax")) == (1, 0)
    assert "dense.weight" in {one.get_friendly_name() for one in model.get_ordered_ops()}
    wanted = x @ weights.T
    assert np.linalg.norm(answers(model, x) - wanted) < 0.02 * np.linalg.norm(wanted)


@needs_openvino
def test_what_no_norm_bounds_is_scaled_by_row() -> None:
    """Rows a hundred times as large as any that were seen are as exact as the others; so is a row of zeros."""
    weights, x = weights_of(), correlated()
    model = as_nncf_leaves_it(weights, norm=False)
    notes = improve_static(model, {"product": (weights, seen_of(x))}, [{"x": x[:9]}])
    assert notes == {"product": "activations scaled by row: no range holds for all texts"}
    far = np.concatenate([100 * x[:5], np.zeros((1, COLUMNS), np.float32)])
    got, wanted = answers(model, far), far @ weights.T
    assert np.linalg.norm(got[:5] - wanted[:5]) < 0.02 * np.linalg.norm(wanted[:5])
    assert not got[5].any()


def test_layers_are_scaled_by_row_until_no_text_loses_too_much() -> None:
    losses = np.array([[5e-4, 1e-4], [1e-3, 0.0], [1e-4, 3e-3]])
    assert too_coarse(losses, 1e-2) == set()
    assert too_coarse(losses, 2e-3) == {2}
    assert too_coarse(losses, 1e-3) == {1, 2}
    assert too_coarse(np.zeros((0, 4)), 1e-3) == set()


@needs_openvino
def test_layers_that_were_not_seen_stay_as_they_are() -> None:
    weights = np.ones((ROWS, COLUMNS), np.float32)
    model = as_nncf_leaves_it(weights, norm=True)
    assert improve_static(model, {}, [{"x": weights[:1]}]) == {}
    product = next(one for one in model.get_ordered_ops() if one.get_type_name() == "MatMul")
    assert product.input_value(0).get_node().get_type_name() == "FakeQuantize"
