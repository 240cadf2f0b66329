"""From what single tensors lose, and all of them together, to a loss for every choice."""

from __future__ import annotations

import pytest

from edgeslm.quantize.choices import Choice
from edgeslm.quantize.sensitivity import Loss, Sensitivity, TensorLosses
from edgeslm.search.losses import complete, measured_choices, measured_whole, together

HALF: Choice = ("fp16", None)
INT8: Choice = ("int8", None)
ALLOWED: dict[str, tuple[Choice, ...]] = {
    "layer": (("fp32", None), HALF, INT8, ("int4", 32), ("int4", 64), ("int4", 128), ("int4", 256)),
    "table": (("fp32", None), INT8, ("int4", 32)),
}


def found() -> Sensitivity:
    layer = TensorLosses("layer", (Loss("int8", None, 1e-4, 5e-4), Loss("int4", 32, 1e-2, 0.03),
                                   Loss("int4", 128, 4e-2, 0.1)))  # fmt: skip
    table = TensorLosses("table", (Loss("int8", None, 3e-4, 4e-4), Loss("int4", 32, 2e-2, 0.04)))
    whole = (Loss("fp16", None, 1e-8, 4e-8), Loss("int8", None, 4e-4, 6e-4), Loss("int4", 32, 3e-2, 0.06),
             Loss("int4", 128, 4e-2, 0.1))  # fmt: skip
    return Sensitivity("1 - cosine", "texts", 40, 700, (layer, table), whole)


def test_few_choices_are_measured_tensor_by_tensor_and_each_for_all_at_once() -> None:
    assert measured_choices(ALLOWED["layer"]) == (("fp32", None), INT8, ("int4", 32), ("int4", 128))
    assert measured_whole(ALLOWED, language=False) == {
        HALF: ["layer"], INT8: ["layer", "table"], ("int4", 32): ["layer", "table"], ("int4", 128): ["layer"],
    }  # fmt: skip
    assert measured_whole(ALLOWED, language=True) == {HALF: ["layer"]}


def test_tensors_together_lose_what_the_model_loses_of_its_worst_text() -> None:
    losses = together(found(), worst=True)
    for choice, worst in ((INT8, 6e-4), (("int4", 32), 0.06), (("int4", 128), 0.1)):
        assert sum(by_choice.get(choice, 0.0) for by_choice in losses.values()) == pytest.approx(worst)
    assert losses["table"][INT8] == pytest.approx(3 * losses["layer"][INT8])  # as their means are
    means = together(found(), worst=False)
    assert means["layer"][INT8] == pytest.approx(1e-4)
    # Different tensors hurt different texts: the sums of their worst ones would be twice and half as much again.
    assert sum(one.losses[0].worst for one in found().tensors) > 6e-4


def test_halves_lose_what_was_measured_of_them_shared_as_int8() -> None:
    losses = together(found(), worst=True)
    assert losses["layer"]["fp16", None] == pytest.approx(4e-8 / 4)
    assert complete(losses["layer"], ALLOWED["layer"])["fp16", None] == losses["layer"]["fp16", None]


def test_blocks_between_and_beyond_the_measured_ones_lie_on_their_line() -> None:
    losses = complete(together(found(), worst=False)["layer"], ALLOWED["layer"])
    assert set(losses) == set(ALLOWED["layer"])
    assert losses["int4", 64] == pytest.approx((losses["int4", 32] * losses["int4", 128]) ** 0.5)
    assert losses["int4", 256] == pytest.approx(2 * losses["int4", 128])


def test_without_a_measurement_of_all_losses_stay_as_they_are() -> None:
    bare = Sensitivity("KL", "tokens", 1, 700, found().tensors)
    assert together(bare, worst=False)["table"] == bare.losses["table"]
    assert HALF not in together(bare, worst=False)["layer"]
