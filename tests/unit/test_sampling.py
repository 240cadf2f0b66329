"""Sampling keeps what transformers' processors keep, draws by the probabilities, and survives odd numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeslm.device.errors import DeviceError, UsageError
from edgeslm.device.sampling import FIRST_NUCLEUS, Sampler, Sampling, likeliest

Logits = NDArray[np.float32]
SIZES = st.sampled_from([1, 2, 7, 40, 3 * FIRST_NUCLEUS])


@st.composite
def logits(draw: st.DrawFn) -> Logits:
    """Distinct numbers: which of equals is kept is nobody's promise. Some tokens are ruled out."""
    size = draw(SIZES)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    made = random.normal(scale=draw(st.sampled_from([0.01, 1.0, 8.0])), size=size).astype(np.float32)
    assume(len(set(made.tolist())) == size)
    if size > 2 and draw(st.booleans()):
        made[random.integers(size, size=size // 3)] = -np.inf
        made[int(random.integers(size))] = 1.0
    return made


def processed(processors: list[Any], scores: Logits, tokens: list[int]) -> Logits:
    """What transformers makes of the scores."""
    torch = pytest.importorskip("torch")
    ids = torch.tensor([tokens], dtype=torch.long)
    result = torch.from_numpy(scores.copy())[None]
    for processor in processors:
        result = processor(ids, result)
    array: Logits = result[0].numpy()
    return array


def theirs(sampling: Sampling) -> list[Any]:
    """Their processors, in the order that `generate` applies them."""
    module = pytest.importorskip("transformers.generation.logits_process")
    found: list[Any] = []
    if sampling.repetition_penalty != 1:
        found.append(module.RepetitionPenaltyLogitsProcessor(float(sampling.repetition_penalty)))
    found.append(module.TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k:
        found.append(module.TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        found.append(module.TopPLogitsWarper(sampling.top_p))
    if sampling.min_p > 0:
        found.append(module.MinPLogitsWarper(sampling.min_p))
    return found


def compare(sampling: Sampling, scores: Logits, seen: list[int]) -> None:
    wanted = processed(theirs(sampling), scores, seen)
    tokens, probabilities = Sampler(sampling, seen).kept(scores)
    assert sorted(tokens.tolist()) == np.flatnonzero(np.isfinite(wanted)).tolist()
    expected = np.exp(wanted[tokens].astype(np.float64) - wanted.max())
    np.testing.assert_allclose(probabilities, expected / expected.sum(), rtol=2e-4, atol=1e-12)


def masses(scores: Logits, temperature: float) -> NDArray[np.float64]:
    """Probability of each token and all that are likelier, in order."""
    weights = np.sort(np.exp((scores.astype(np.float64) - scores.max()) / temperature))[::-1]
    total: NDArray[np.float64] = weights.cumsum() / weights.sum()
    return total


@given(logits(), st.floats(0.05, 20))
def test_temperature_is_theirs(scores: Logits, temperature: float) -> None:
    compare(Sampling(temperature=temperature), scores, [0])


@given(logits(), st.integers(1, 1000))
def test_top_k_is_theirs(scores: Logits, k: int) -> None:
    compare(Sampling(temperature=1.0, top_k=k), scores, [0])


@given(logits(), st.floats(0.01, 1), st.floats(0.2, 3))
def test_top_p_is_theirs(scores: Logits, p: float, temperature: float) -> None:
    # They sum in float32: where the border is closer than that, both are right.
    assume(abs(masses(scores, temperature) - p).min() > 1e-4)
    compare(Sampling(temperature=temperature, top_p=p), scores, [0])


@given(logits(), st.floats(0.01, 1))
def test_min_p_is_theirs(scores: Logits, p: float) -> None:
    ratios = np.exp(scores.astype(np.float64) - scores.max())
    assume(abs(ratios / p - 1).min() > 1e-4 or p == 1)
    compare(Sampling(temperature=1.0, min_p=p), scores, [0])


@given(logits(), st.floats(0.2, 3), st.data())
def test_the_repetition_penalty_is_theirs(scores: Logits, penalty: float, data: st.DataObject) -> None:
    seen = data.draw(st.lists(st.integers(0, len(scores) - 1), min_size=1, max_size=30))
    sampling = Sampling(temperature=1.0, repetition_penalty=penalty)
    compare(sampling, scores, seen)
    greedy = Sampling(repetition_penalty=penalty).chooser(seen)
    assert greedy(scores) == int(processed(theirs(sampling)[: penalty != 1], scores, seen).argmax())


@given(logits(), st.integers(1, 60), st.floats(0.3, 0.95), st.floats(0.01, 0.3), st.floats(1.05, 2), st.data())
def test_all_together_work_in_their_order(
    scores: Logits, k: int, p: float, smallest: float, penalty: float, data: st.DataObject
) -> None:
    seen = data.draw(st.lists(st.integers(0, len(scores) - 1), min_size=1, max_size=5))
    sampling = Sampling(0.7, k, p, smallest, penalty)
    before = processed(theirs(Sampling(0.7, k, repetition_penalty=penalty)), scores, seen)
    before = before[np.isfinite(before)]
    after = np.exp(before.astype(np.float64) - before.max())
    assume(len(set(before.tolist())) == len(before))
    assume(abs(masses(before, 1) - p).min() > 1e-4)
    assume(abs(after / smallest - 1).min() > 1e-4)
    compare(sampling, scores, seen)


def test_the_penalty_counts_what_the_answer_said() -> None:
    scores = np.array([2.0, 1.9, 1.0], np.float32)
    choose = Sampling(repetition_penalty=1.5).chooser([2])
    assert [choose(scores) for _ in range(4)] == [0, 1, 0, 0]
    assert Sampling(repetition_penalty=1.5).chooser([0, 99999])(scores) == 1
    assert scores.tolist() == np.array([2.0, 1.9, 1.0], np.float32).tolist()


def test_draws_follow_the_probabilities_and_the_seed() -> None:
    scores = np.log(np.array([0.6, 0.3, 0.1], np.float32))
    drawn = [Sampling(1.0, seed=seed).chooser([])(scores) for seed in range(4000)]
    np.testing.assert_allclose(np.bincount(drawn) / 4000, [0.6, 0.3, 0.1], atol=0.03)

    def answer(seed: int) -> list[int]:
        choose = Sampling(1.0, seed=seed).chooser([])
        return [choose(scores) for _ in range(200)]

    assert answer(7) == answer(7) != answer(8)
    np.testing.assert_allclose(np.bincount(answer(7)) / 200, [0.6, 0.3, 0.1], atol=0.12)


def test_greedy_takes_the_first_of_the_likeliest() -> None:
    assert likeliest(np.array([1, 3, 3, -np.inf], np.float32)) == 1
    assert Sampling().chooser([1]) is likeliest


@given(
    st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 3e38, -3e38, 1.5]), min_size=1, max_size=9),
    st.sampled_from([0.0, 1e-300, 1e-6, 1.0, 1e300]),
    st.integers(0, 3),
    st.sampled_from([1e-9, 0.5, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([1e-30, 1.0, 1.2, 1e30]),
)
def test_odd_numbers_choose_a_finite_token_or_are_told(
    numbers: list[float], temperature: float, k: int, p: float, smallest: float, penalty: float
) -> None:
    scores = np.array(numbers, np.float32)
    choose = Sampling(temperature, k, p, smallest, penalty).chooser(range(len(scores)))
    if not np.isfinite(scores).any():
        with pytest.raises(DeviceError, match="the model gave no number"):
            choose(scores)
        return
    for _ in range(3):
        assert np.isfinite(scores[choose(scores)])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("temperature", [-0.1, float("nan"), float("inf")]),
        ("top_k", [-1, 1.5, True]),
        ("top_p", [0.0, 1.01, float("nan")]),
        ("min_p", [-0.01, 1.01, float("nan")]),
        ("repetition_penalty", [0.0, -1.0, float("inf"), float("nan")]),
        ("seed", [-1, 0.5]),
    ],
)
def test_values_out_of_range_are_named(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(UsageError) as caught:
            Sampling(**{name: value})
        assert caught.value.message.startswith(f"{name} is {value!r}; it must be ")
