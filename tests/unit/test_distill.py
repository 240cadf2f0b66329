"""Distillation losses against their definitions, and a training that is interrupted against one that is not."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeslm.distill.losses import hidden_loss, logit_loss, relation_loss
from edgeslm.distill.train import Recipe, Training

SHAPES = st.tuples(st.integers(1, 6), st.integers(2, 9))


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(values - values.max())
    result: NDArray[np.float64] = powers / powers.sum()
    return result


@settings(max_examples=25)
@given(SHAPES, st.integers(0, 99), st.sampled_from([1.0, 2.0, 5.0]))
def test_logit_loss_is_the_divergence_of_softened_distributions(
    shape: tuple[int, int], seed: int, temperature: float
) -> None:
    student, teacher = drawn(seed, *shape), drawn(seed + 100, *shape)
    divergences = []
    for place in range(shape[0]):
        p = softmax(teacher[place].double().numpy() / temperature)
        q = softmax(student[place].double().numpy() / temperature)
        divergences.append(float((p * np.log(p / q)).sum()))
    expected = temperature**2 * float(np.mean(divergences))
    assert float(logit_loss(student, teacher, temperature)) == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert float(logit_loss(teacher, teacher, temperature)) == pytest.approx(0, abs=1e-5)


@settings(max_examples=25)
@given(SHAPES, st.integers(0, 99))
def test_hidden_loss_sees_directions_and_no_lengths(shape: tuple[int, int], seed: int) -> None:
    vectors = drawn(seed, *shape) + 0.01
    assert float(hidden_loss(vectors, 3 * vectors)) == pytest.approx(0, abs=1e-5)
    # Opposite unit vectors are 2 apart.
    assert float(hidden_loss(vectors, -vectors)) == pytest.approx(4, rel=1e-4)


@settings(max_examples=25)
@given(st.integers(1, 2), st.integers(2, 6), st.integers(0, 99))
def test_relations_of_different_widths_compare_and_padding_does_not_count(texts: int, tokens: int, seed: int) -> None:
    student, teacher = drawn(seed, texts, tokens, 4), drawn(seed + 1, texts, tokens, 6)
    counted = torch.ones(texts, tokens, dtype=torch.bool)
    loss = relation_loss(student, teacher, counted, 2)
    assert torch.isfinite(loss)
    assert loss >= -1e-6
    assert float(relation_loss(teacher, teacher, counted, 2)) == pytest.approx(0, abs=1e-6)
    counted[:, -1] = False
    changed = student.clone()
    changed[:, -1] = 9  # a token that nobody before it may look at
    before, after = (relation_loss(vectors, teacher, counted, 2) for vectors in (student, changed))
    assert float(before) == pytest.approx(float(after), abs=1e-6)


def test_relation_loss_has_a_gradient_where_tokens_may_not_look() -> None:
    student = drawn(0, 1, 4, 4).requires_grad_()
    relation_loss(student, drawn(1, 1, 4, 4), torch.ones(1, 4, dtype=torch.bool), 2).backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


WANTED = (torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.0, 3.0, 0.0]))


def training(folder: Path, *wanted: Tensor) -> tuple[list[nn.Linear], Training[Tensor]]:
    """A linear layer for each vector that is to be found."""
    modules = []
    for _ in wanted:
        torch.manual_seed(3)
        modules.append(nn.Linear(3, 1))

    def batches(epoch: int) -> list[Tensor]:
        return [drawn(10 * epoch + place, 8, 3) for place in range(7)]

    def losses(batch: Tensor) -> Tensor:
        found = [module(batch).squeeze(1) for module in modules]
        return torch.stack([(one - batch @ other).square().mean() for one, other in zip(found, wanted, strict=True)])

    return modules, Training(modules, losses, batches, Recipe(6, 0.1, warmup=5, saved_every=4), folder)


def same(some: list[nn.Linear], others: list[nn.Linear]) -> bool:
    pairs = zip(nn.ModuleList(some).parameters(), nn.ModuleList(others).parameters(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def test_an_interrupted_training_ends_like_one_that_was_not(tmp_path: Path) -> None:
    whole, run = training(tmp_path / "whole", *WANTED)
    losses = [values for _, _, values in run.run()]
    assert (losses[-1] < losses[0] / 4).all()
    for stopped in (1, 6, 14, 41):
        folder = tmp_path / str(stopped)
        _, first = training(folder, *WANTED)
        for step, _, _ in first.run():
            if step == stopped:
                break
        again, second = training(folder, *WANTED)
        steps = [step for step, _, _ in second.run()]
        assert steps[0] == stopped // 4 * 4 + 1
        assert steps[-1] == len(losses)
        assert same(whole, again)
        curves = json.loads((folder / "curve.json").read_text(encoding="utf-8"))
        for place, curve in enumerate(curves):
            assert [step for step, _ in curve] == [20, 40]
            assert curve[0][1] == pytest.approx(float(torch.stack(losses[:20])[:, place].mean()))


def test_what_learns_side_by_side_learns_as_if_it_were_alone(tmp_path: Path) -> None:
    both, together = training(tmp_path / "both", *WANTED)
    list(together.run())
    for place, wanted in enumerate(WANTED):
        alone, run = training(tmp_path / str(place), wanted)
        list(run.run())
        for one, other in zip(both[place].parameters(), alone[0].parameters(), strict=True):
            assert torch.allclose(one, other, atol=1e-6)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    module = nn.Linear(1, 1)

    def losses(batch: Tensor) -> Tensor:
        found: Tensor = module(batch)
        return (found * batch).reshape(1)

    run = Training([module], losses, lambda epoch: [torch.tensor([[math.nan]])], Recipe(1, 0.1), tmp_path)
    with pytest.raises(FloatingPointError, match="nan] at step 0"):
        list(run.run())
    assert not list(tmp_path.iterdir())
