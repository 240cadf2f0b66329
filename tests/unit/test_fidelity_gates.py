"""Gates: which there are, what passes them, and what a missed one says."""

from __future__ import annotations

import dataclasses

import pytest

from edgeslm.artifacts import Checkpoint, Fidelity, OutputScore, Parameter
from edgeslm.errors import FidelityError
from edgeslm.fidelity.gates import judge, require_passed
from edgeslm.fidelity.score import Scores
from edgeslm.quantize.schemes import SCHEMES

LARGE = (Parameter("embeddings.weight", (30_000, 384), "embedding"), Parameter("norm.weight", (384,), "other"))
SMALL = (Parameter("embeddings.weight", (100, 32), "embedding"),)
CONVOLUTIONS = (Parameter("conv.weight", (3000, 1000, 3), "other"), Parameter("out.weight", (1000, 10), "linear"))


def checkpoint(parameters: tuple[Parameter, ...] = LARGE) -> Checkpoint:
    return Checkpoint("m", "m", "d", "embedding", "bert", parameters)


def scores(cosine: float = 1.0, agreement: float | None = None, *more: OutputScore) -> Scores:
    return Scores("44 built-in texts", 44, (OutputScore("logits", cosine, cosine, 0.01, agreement), *more))


def gate(fidelity: Fidelity, name: str) -> tuple[float, float, bool]:
    (found,) = [gate for gate in fidelity.gates if gate.name == name]
    return found.value, found.threshold, found.passed


@pytest.mark.parametrize(("cosine", "passes"), [(0.997, True), (0.996999, False), (1.0, True), (-1.0, False)])
def test_cosine_against_the_schemes_own_threshold(cosine: float, passes: bool) -> None:
    fidelity = judge(scores(cosine), SCHEMES["int8"], 25, 100, checkpoint(), None)
    assert gate(fidelity, "cosine") == (cosine, 0.997, passes)
    assert fidelity.passed is passes


@pytest.mark.parametrize(("limit", "passes"), [(0.5, True), (0.99, False), (0.0, True)])
def test_min_fidelity_takes_its_place(limit: float, passes: bool) -> None:
    fidelity = judge(scores(0.95), SCHEMES["int8"], 25, 100, checkpoint(), limit)
    assert gate(fidelity, "cosine") == (0.95, limit, passes)


def test_every_output_has_its_own_gate() -> None:
    other = OutputScore("hidden", 0.5, 0.7, 1.0)
    fidelity = judge(scores(1.0, None, other), SCHEMES["fp32"], 100, 100, checkpoint(), None)
    assert gate(fidelity, "cosine, logits")[2]
    assert not gate(fidelity, "cosine, hidden")[2]
    assert not fidelity.passed


@pytest.mark.parametrize(
    ("scheme", "agreement", "passes"),
    [
        ("fp32", 0.99, False),
        ("fp32", 1.0, True),
        ("int8", 0.96, True),
        ("int8", 0.94, False),
        ("int8-static", 0.91, True),
        ("int4", 0.89, False),
    ],
)
def test_labels_must_agree(scheme: str, agreement: float, passes: bool) -> None:
    fidelity = judge(scores(1.0, agreement), SCHEMES[scheme], 10, 100, checkpoint(), None)
    assert gate(fidelity, "same label")[2] is passes


def test_size_rounds_against_the_model() -> None:
    assert gate(judge(scores(), SCHEMES["int8"], 270_000, 1_000_000, checkpoint(), None), "size against fp32")[2]
    assert gate(judge(scores(), SCHEMES["int8"], 270_001, 1_000_000, checkpoint(), None), "size against fp32") == (
        0.2701,
        0.27,
        False,
    )


@pytest.mark.parametrize("parameters", [SMALL, CONVOLUTIONS])
def test_no_promise_of_size_where_the_graph_or_other_tensors_dominate(parameters: tuple[Parameter, ...]) -> None:
    fidelity = judge(scores(), SCHEMES["int8"], 90, 100, checkpoint(parameters), None)
    assert [gate.name for gate in fidelity.gates] == ["cosine"]


def test_fp32_promises_no_size() -> None:
    assert [g.name for g in judge(scores(), SCHEMES["fp32"], 100, 100, checkpoint(), None).gates] == ["cosine"]


def test_a_missed_gate_names_gates_tensors_and_ways_out() -> None:
    fidelity = judge(scores(0.9), SCHEMES["int8"], 25, 100, checkpoint(), None)
    fidelity = dataclasses.replace(fidelity, worst_tensors=(("encoder.layer.0.output.dense.weight", 0.0123456),))
    with pytest.raises(FidelityError) as caught:
        require_passed(fidelity, allow=False)
    message, hint = caught.value.message, caught.value.hint
    assert caught.value.exit_code == 7
    assert "missed: cosine (44 samples, 44 built-in texts)" in message
    assert "MISSED" in message
    assert "passed" in message
    assert "encoder.layer.0.output.dense.weight  0.01235" in message
    assert hint is not None
    assert "--allow-below-gate" in hint
    assert "--scheme" in hint
    require_passed(fidelity, allow=True)


def test_passed_gates_raise_nothing() -> None:
    require_passed(judge(scores(), SCHEMES["int8"], 25, 100, checkpoint(), None), allow=False)
