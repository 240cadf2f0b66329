"""Limits on a model of five tensors: what is chosen, what is said of it, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from edgeslm.artifacts import Checkpoint, Parameter, TensorChoice
from edgeslm.cost.kernels import KernelCall
from edgeslm.cost.profile import TargetProfile
from edgeslm.cost.sizes import ModelShape, StoredMatrix, size_bytes
from edgeslm.errors import ConfigError, DoesNotFitError
from edgeslm.limits import Limits
from edgeslm.quantize.choices import Choice, allowed_choices
from edgeslm.quantize.plan import TensorPlan
from edgeslm.search.bounds import Bounds
from edgeslm.search.choose import MOST_BUILT, Measurement, choose, propose, tensor_plan
from edgeslm.search.subject import Subject, join_overlapping
from edgeslm.target import load_target

TABLE, QUERY, KEY, UP, BIAS = "table.weight", "query.weight", "key.weight", "up.weight", "up.bias"
PARAMETERS = (
    Parameter(TABLE, (1000, 128), "embedding"),
    Parameter(QUERY, (128, 128), "linear"),
    Parameter(KEY, (128, 128), "linear"),
    Parameter(UP, (512, 128), "linear"),
    Parameter(BIAS, (512,), "other"),
)
CHECKPOINT = Checkpoint("tiny", "tiny", "0" * 64, "embedding", "bert", PARAMETERS)
PLENTY = 1 << 40
WEIGHT = {TABLE: 1.0, QUERY: 4.0, KEY: 2.0, UP: 0.5}
"""How sensitive each tensor is."""
COARSE: Mapping[str, float] = {"fp32": 0.0, "fp16": 1e-6, "int8": 1e-4, "int4": 1e-2}
PACE: Mapping[str, float] = {"fp32": 4.0, "fp16": 4.0, "int8": 1.0, "int4": 1.5}
"""Instructions of a product, by precision: int4 is slow here."""


def losses(scale: float = 1.0) -> dict[str, dict[Choice, float]]:
    return {
        parameter.name: {
            choice: scale * WEIGHT[parameter.name] * COARSE[choice[0]] * math.sqrt((choice[1] or 32) / 32)
            for choice in allowed_choices(parameter, "tflite")
        }
        for parameter in PARAMETERS
        if parameter.name in WEIGHT
    }


def shape() -> ModelShape:
    calls = [KernelCall("lookup", 8, 128, 1000, parameters=(TABLE,))]
    calls += [KernelCall("gemm", 8, 128, 256, parameters=(QUERY, KEY))]
    calls += [KernelCall("gemm", 8, 128, 512, parameters=(UP,)), KernelCall("softmax", 8, 8, 8)]
    matrices = (
        StoredMatrix((TABLE,), 1000, 128, frozenset({"linear"}), 1),
        StoredMatrix((QUERY, KEY), 256, 128, frozenset({"linear"}), 1),
        StoredMatrix((UP,), 512, 128, frozenset({"linear"}), 1),
    )
    return ModelShape(
        calls={"run": tuple(calls)},
        matrices=matrices,
        other_bytes=20_000,
        block_bytes=200,
        activation_bytes={"run": 4096},
    )


def profile(unit: str = "instructions") -> TargetProfile:
    stored = [("fp32", None), ("fp16", None), ("int8", None), *(("int4", group) for group in (32, 64, 128, 256))]
    laws: list[dict[str, object]] = [
        {"backend": "tflite", "kind": kind, "precision": precision, "group": group, "row_out": PACE[precision],
         "spread": 0.01, "held_out": 3}
        for kind in ("gemv", "gemm", "lookup")
        for precision, group in stored
    ]  # fmt: skip
    laws.append({"backend": "tflite", "kind": "softmax", "row_in": 9.0, "spread": 0.02, "held_out": 2})
    return TargetProfile.model_validate(
        {"name": "fake", "core": "cortex-a72", "unit": unit, "measured": unit == "ms", "device": "none",
         "source": "a test", "kernel": laws}
    )  # fmt: skip


def subject(unit: str | None = "instructions") -> Subject:
    known = None if unit is None else profile(unit)
    return Subject(load_target("rpi4"), CHECKPOINT, "tflite", losses(), shape(), known, "run")


def bounds(fidelity: float | None = None, unit: str | None = "instructions", **limits: Any) -> Bounds:
    return Bounds(subject(unit), Limits(**limits), fidelity, {"ram": PLENTY})


def measured_size(plan: TensorPlan) -> int:
    return size_bytes(shape(), plan.choices)


def honest(plan: TensorPlan) -> Measurement:
    lost = sum(
        losses()[name][choice.precision, choice.group] for name, choice in plan.choices.items() if name in WEIGHT
    )
    return Measurement(measured_size(plan), 1 - lost)


def precisions(choices: Mapping[str, TensorChoice]) -> list[str]:
    return [choices[name].precision for name in (TABLE, QUERY, KEY, UP)]


def test_the_most_fidelity_within_the_bytes() -> None:
    roomy = propose(bounds(size=10_000_000))
    assert precisions(roomy.choices) == ["fp32"] * 4
    tight = propose(bounds(size=200_000))
    # What is least sensitive for its bytes gives way first.
    assert precisions(tight.choices) == ["int4", "int8", "int8", "int8"]
    assert tight.predicted["size"] <= 200_000
    assert tight.choices[BIAS].precision == "fp32"


def test_what_a_kernel_reads_side_by_side_shares_a_choice() -> None:
    for size in range(140_000, 400_000, 20_000):
        chosen = propose(bounds(size=size)).choices
        assert (chosen[QUERY].precision, chosen[QUERY].group) == (chosen[KEY].precision, chosen[KEY].group)
    assert join_overlapping(["a", "b", "c", "d"], [("a", "c"), ("c", "d"), ("x",)]) == (("a", "c", "d"), ("b",))


def test_the_prediction_of_size_is_that_of_the_cost_model_and_the_slow_say_so() -> None:
    made = propose(bounds(size=150_000))
    assert made.predicted["size"] == size_bytes(shape(), made.choices)
    slow = [choice for choice in made.choices.values() if choice.precision == "int4"]
    assert slow
    assert all("slower than int8 here (1.50×)" in choice.reason for choice in slow)


def test_the_cost_of_a_run_is_a_limit_and_an_objective() -> None:
    fast = propose(bounds(0.9, objective="instructions"))
    assert precisions(fast.choices)[1:] == ["int8"] * 3
    least = fast.predicted["instructions"]
    assert propose(bounds(instructions=least)).predicted["instructions"] <= least
    with pytest.raises(DoesNotFitError, match=r"instructions ≤ .* binds: at least"):
        propose(bounds(instructions=least * 0.99))


def test_the_smallest_that_keeps_enough() -> None:
    made = propose(bounds(0.99, objective="size"))
    assert made.predicted["fidelity"] >= 0.99
    smaller = bounds(0.99, size=int(made.predicted["size"]) - 1)
    with pytest.raises(DoesNotFitError):
        propose(smaller)


def test_the_one_that_is_really_best_wins() -> None:
    """The second candidate turns out better than the first, which was predicted to be best."""
    asked: list[TensorPlan] = []

    def measure(plan: TensorPlan) -> Measurement:
        asked.append(plan)
        return Measurement(measured_size(plan), 0.97 if len(asked) == 2 else 0.95)

    outcome = choose(bounds(0.9, size=200_000), measure)
    assert 2 <= len(asked) <= MOST_BUILT
    assert outcome.winner.choices == asked[1].choices
    plan = outcome.plan()
    assert "measured size" in plan.origin
    assert "fidelity 0.97 (3 built)" in plan.origin
    assert plan.min_fidelity == 0.9
    assert len({str(one.choices) for one in outcome.candidates}) == len(asked)


def test_a_loss_that_was_predicted_too_small_is_corrected_by_what_was_measured() -> None:
    """Every loss is three times what was predicted: the first plan misses, the next one keeps the limit."""

    def measure(plan: TensorPlan) -> Measurement:
        told = honest(plan)
        return Measurement(told.size, 1 - 3 * (1 - told.fidelity))

    outcome = choose(bounds(0.99, objective="size"), measure)
    first, *others = outcome.candidates
    assert first.measured is not None
    assert first.measured.fidelity < 0.99
    assert others
    assert outcome.winner.value("fidelity") >= 0.99


def test_a_file_that_turns_out_larger_is_chosen_smaller_the_next_time() -> None:
    def measure(plan: TensorPlan) -> Measurement:
        return Measurement(1.05 * measured_size(plan), honest(plan).fidelity)

    outcome = choose(bounds(size=200_000), measure)
    assert outcome.winner.value("size") <= 200_000


def test_instructions_that_were_predicted_too_few_are_corrected_and_decide() -> None:
    """Every run takes a fifth more than was predicted."""
    least = propose(bounds(0.9, objective="instructions")).predicted["instructions"]

    def measure(plan: TensorPlan) -> Measurement:
        told, cost = honest(plan), subject().predict(plan.choices)
        assert cost is not None
        return Measurement(told.size, told.fidelity, instructions=1.2 * cost.value)

    limit = 1.7 * least
    outcome = choose(bounds(instructions=limit), measure)
    first, winner = outcome.candidates[0], outcome.winner
    assert first.predicted["instructions"] <= limit < first.value("instructions")
    assert winner.value("instructions") == pytest.approx(1.2 * winner.predicted["instructions"])
    assert winner.value("instructions") <= limit
    with pytest.raises(DoesNotFitError, match="kept all limits when it was built") as caught:
        choose(bounds(instructions=1.1 * least), measure)
    nearest = float(str(caught.value.hint).split("--max-instructions ")[1].split()[0])
    assert nearest > 1.1 * least


def test_a_plan_that_the_solver_could_not_prove_best_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.optimize  # type: ignore[import-untyped]  # no types here

    exact = scipy.optimize.milp

    def hurried(*given: Any, **options: Any) -> Any:
        found = exact(*given, **options)
        found.status = 1
        return found

    def too_late(*given: Any, **options: Any) -> Any:
        return scipy.optimize.OptimizeResult(x=None, status=1)

    monkeypatch.setattr(scipy.optimize, "milp", hurried)
    made = propose(bounds(size=200_000))
    assert not made.proven
    assert "not proven to be the best" in tensor_plan(bounds(size=200_000), made).origin
    monkeypatch.setattr(scipy.optimize, "milp", too_late)
    with pytest.raises(DoesNotFitError, match=r"no plan that keeps all limits was found in 60 s"):
        propose(bounds(size=200_000))


def test_plans_that_all_miss_are_told_with_what_they_came_to() -> None:
    with pytest.raises(DoesNotFitError, match="no plan of tiny for rpi4 kept all limits when it was built") as caught:
        choose(bounds(0.9, size=200_000), lambda plan: Measurement(measured_size(plan), 0.5))
    assert "--min-fidelity 0.5" in str(caught.value.hint)


def test_limits_that_cannot_be_kept_name_the_binding_one_and_the_nearest_values() -> None:
    with pytest.raises(DoesNotFitError) as caught:
        propose(bounds(0.9, size=100_000))
    assert "size ≤ 100.00 kB   binds: at least 1" in caught.value.message
    with pytest.raises(DoesNotFitError) as caught:
        propose(bounds(0.999, size=150_000))
    assert "binds" not in caught.value.message
    hint = str(caught.value.hint)
    nearest = int(hint.split("--max-size ")[1].split("B")[0])
    propose(bounds(0.999, size=nearest))
    kept = float(hint.split("--min-fidelity ")[1].split(";")[0])
    propose(bounds(kept, size=150_000))


@pytest.mark.parametrize(
    ("given", "unit", "message"),
    [
        ({"objective": "size"}, "instructions", "without a limit on fidelity"),
        ({"latency_ms": 5.0, "instructions": 1e6}, "instructions", "exclude each other"),
        ({"latency_ms": 5.0}, "instructions", "--max-latency needs a profile measured on rpi4"),
        ({"instructions": 1e6}, "ms", "knows milliseconds"),
        ({"instructions": 1e6}, None, "nothing is known of what kernels cost"),
    ],
)
def test_limits_that_make_no_sense_are_refused(given: dict[str, Any], unit: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        bounds(unit=unit, **given)


def test_a_profile_of_milliseconds_limits_latency() -> None:
    made = propose(bounds(unit="ms", latency_ms=1e9))
    assert "latency" in made.predicted
    assert made.plus_minus is not None
