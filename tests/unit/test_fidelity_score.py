"""The numbers of a score: what they are, and that rounding never flatters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pydantic import TypeAdapter

from edgeslm.artifacts import OutputScore
from edgeslm.errors import InternalError
from edgeslm.fidelity.score import (
    NOT_FINITE,
    Scores,
    cosine,
    label_agreement,
    max_abs_error,
    round_down,
    round_significant,
    score_output,
)

LARGE = 2.0**100
Floats = NDArray[np.float32]
floats = hnp.arrays(
    np.float32,
    hnp.array_shapes(max_dims=3, max_side=5),
    elements=st.floats(-LARGE, LARGE, width=32),
)


@given(floats)
def test_an_array_agrees_with_itself(array: Floats) -> None:
    assert round_down(cosine(array, array)) == 1.0
    assert max_abs_error(array, array) == 0.0


@given(floats, st.floats(0.001, 1000))
def test_cosine_ignores_scale_and_sees_sign(array: Floats, factor: float) -> None:
    scaled = array.astype(np.float64) * factor
    assert round_down(cosine(array, scaled)) == 1.0
    if array.any():
        assert cosine(array, -scaled) == pytest.approx(-1.0)


@given(st.data())
def test_cosine_is_symmetric_and_bounded(data: st.DataObject) -> None:
    one = data.draw(floats)
    other = data.draw(hnp.arrays(np.float32, one.shape, elements=st.floats(-LARGE, LARGE, width=32)))
    assert -1 <= cosine(one, other) <= 1
    assert cosine(one, other) == pytest.approx(cosine(other, one), abs=1e-12)


def test_cosine_of_a_known_angle() -> None:
    assert cosine(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(math.sqrt(0.5))
    assert cosine(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 0.0


def test_zeros_agree_with_zeros_only() -> None:
    zero, one = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    assert cosine(zero, zero) == 1.0
    assert cosine(zero, one) == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_misses_every_gate(bad: float) -> None:
    good, broken = np.ones((1, 4), np.float32), np.array([[1, bad, 1, 1]], np.float32)
    for one, other in ((good, broken), (broken, good), (broken, broken)):
        assert cosine(one, other) == -1.0
        assert max_abs_error(one, other) == NOT_FINITE
    score = score_output("logits", [good, good], [good, broken], labelled=False)
    assert score.cosine_min == -1.0
    text = TypeAdapter(OutputScore).dump_json(score)
    assert TypeAdapter(OutputScore).validate_json(text) == score


@given(st.floats(-1, 1))
def test_rounding_never_passes_a_gate(value: float) -> None:
    rounded = round_down(value)
    assert rounded <= value + 1e-9
    assert rounded > value - 1.1e-6
    assert rounded == float(f"{rounded:.6f}")


def test_a_hairs_breadth_below_a_gate_stays_below() -> None:
    assert round_down(0.9969999) == 0.996999
    assert round_down(0.99699999) == 0.996999
    assert round_down(1 - 1e-13) == 1.0


@given(st.floats(1e-30, 1e30))
def test_significant_digits(value: float) -> None:
    assert round_significant(value) == pytest.approx(value, rel=0.0051)
    assert len(f"{round_significant(value):e}".split("e")[0].rstrip("0")) <= 4


def test_labels_are_counted_over_texts_or_tokens() -> None:
    expected = [np.array([[0.1, 0.9]]), np.array([[0.7, 0.3]])]
    got = [np.array([[5.0, 6.0]]), np.array([[0.2, 0.3]])]
    assert label_agreement(expected, got) == 0.5
    tokens = [np.array([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]), np.array([[[0.0, 1.0]]])]
    other = [np.array([[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]]), np.array([[[0.0, 1.0]]])]
    assert label_agreement(tokens, other) == 0.75


def test_worst_and_mean_over_samples() -> None:
    expected = [np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]])]
    got = [np.array([[1.0, 0.0]]), np.array([[0.6, 0.8]])]
    score = score_output("sentence_embedding", expected, got, labelled=False)
    assert score == OutputScore("sentence_embedding", 0.6, 0.8, 0.8, None)
    assert score_output("logits", expected, got, labelled=True).label_agreement == 0.5


def test_a_single_label_is_a_regression() -> None:
    one = [np.array([[0.3]])]
    assert score_output("logits", one, one, labelled=True).label_agreement is None


def test_an_output_of_another_shape_is_our_mistake() -> None:
    with pytest.raises(InternalError, match=r"output logits of sample 1 has shape \(1, 3\), PyTorch's has \(1, 2\)"):
        score_output("logits", [np.ones((1, 2))] * 2, [np.ones((1, 2)), np.ones((1, 3))], labelled=False)


def test_scores_survive_the_stage_cache() -> None:
    scores = Scores("2 texts", 2, (OutputScore("logits", 0.9, 0.95, 1e-3, 1.0),))
    adapter = TypeAdapter(Scores)
    assert adapter.validate_json(adapter.dump_json(scores)) == scores
