"""Laws of kernels by shape: what they are made of, and that the recorded points bear out what the profiles say."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.artifacts import TensorChoice
from edgeslm.cost.kernels import KernelCall, choice_of
from edgeslm.cost.law import TERMS, Law, features, fit_law, nonnegative
from edgeslm.cost.points import dump_points, load_points
from edgeslm.cost.predict import call_cost, knows, predict, slow_choices
from edgeslm.cost.profile import TargetProfile, find_profile, shipped_profiles
from edgeslm.cost.sizes import size_bytes
from edgeslm.errors import ProfileError
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.stages.firmware_plan import decide_firmware
from edgeslm.stages.firmware_shape import RUN, step_shape
from edgeslm.target import load_target
from scripts.bench_cost import MICROCONTROLLERS, POINTS, recorded_runs, shipped
from scripts.mcu_figures import TOKENS_GOLDEN
from tests.conftest import ROOT

extents = st.integers(1, 300)
STORIES = ROOT.parent / "shared" / "models" / "stories260k"
PROFILES = {profile.name: profile for profile in shipped_profiles()}
PROFILE_OF = {"x86-64-v3": "linux-x86_64"}
EMULATED = {"cortex-m4": "mps2-an386", "cortex-m55": "mps3-an547"}
COUNTED = sorted(path.stem for path in POINTS.glob("cortex-a*.json"))


@given(
    st.sampled_from([law for profile in PROFILES.values() for law in profile.kernel]),
    extents,
    extents,
    extents,
    extents,
)
def test_a_law_is_positive_and_never_falls_with_rows_inputs_or_outputs(
    law: object, rows: int, inputs: int, outputs: int, more: int
) -> None:
    found = law.law  # type: ignore[attr-defined]
    kind = law.kind  # type: ignore[attr-defined]
    cost = found.cost(KernelCall(kind, rows, inputs, outputs))
    assert math.isfinite(cost)
    assert cost > 0
    if not found.wide_rows:  # a whole wide tile may cost less than the tiles that a part of it takes
        assert found.cost(KernelCall(kind, rows + more, inputs, outputs)) >= cost
    assert found.cost(KernelCall(kind, rows, inputs + more, outputs)) >= cost
    assert found.cost(KernelCall(kind, rows, inputs, outputs + more)) >= cost


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_least_squares_without_negative_numbers_is_the_best_there_is(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    matrix, wanted = random.standard_normal((12, count)), random.standard_normal(12)
    found = nonnegative(matrix, wanted)
    gradient = matrix.T @ (matrix @ found - wanted)
    assert (found >= 0).all()
    # Karush, Kuhn and Tucker: where a number is zero the error would grow, elsewhere it does not change.
    assert (gradient > -1e-6).all()
    assert np.abs(gradient[found > 1e-9]).max(initial=0.0) < 1e-6


def test_whole_tiles_are_paid_for() -> None:
    tiles = (4, 16, 8, 0)
    one, four, five = (features(KernelCall("gemm", rows, 30, 17), tiles) for rows in (1, 4, 5))
    tile, depth = TERMS.index("tile"), TERMS.index("depth")
    assert (one[tile], four[tile], five[tile]) == (2, 2, 4)  # 17 columns are two tiles
    assert one[depth] == 2 * 32  # 30 inputs are four steps of 8


def test_wide_tiles_leave_the_rest_to_plain_ones() -> None:
    seen = features(KernelCall("gemm", 37, 8, 1), (4, 1, 1, 16))
    assert (seen[TERMS.index("wide")], seen[TERMS.index("tile")]) == (2, 2)  # 2 × 16, and 5 rows in tiles of 4


@settings(max_examples=8)
@given(st.integers(1, 8), st.floats(0.01, 5), st.floats(0.01, 50))
def test_a_fit_finds_the_law_that_made_the_points(row_tile: int, depth: float, tile: float) -> None:
    made = Law(row_tile, 1, 1, 0, (100.0, 0, 0, 2.0, 0, tile, depth, 0, 0, 0, 0))
    shapes = [
        (8, 64, 64),
        (3, 32, 48),
        (17, 96, 32),
        (5, 128, 16),
        (64, 64, 96),
        (12, 48, 80),
        (6, 24, 24),
        (2, 200, 8),
    ]
    held = [(10, 100, 40), (7, 64, 16), (33, 32, 32)]
    points, others = (
        [(call, made.cost(call)) for call in (KernelCall("gemm", *shape) for shape in some)] for some in (shapes, held)
    )
    law = fit_law(points, others)
    assert law.held_out == 3
    assert law.spread < 0.06


def test_points_are_read_as_they_were_written() -> None:
    text = (POINTS / "cortex-a72.json").read_text()
    assert dump_points(load_points(text)) == text


@pytest.mark.parametrize("core", COUNTED)
def test_a_shipped_profile_is_what_its_recorded_points_give(core: str) -> None:
    profile = shipped(load_points((POINTS / f"{core}.json").read_text()), recorded_runs())
    assert profile == PROFILES[core]
    matrices = [law for law in profile.kernel if law.kind in ("gemv", "gemm")]
    assert len(matrices) == 14
    assert all(law.held_out >= 2 and law.spread <= 0.02 for law in matrices)


@pytest.mark.parametrize("core", MICROCONTROLLERS)
def test_a_microcontrollers_profile_is_what_its_recorded_points_give(core: str) -> None:
    profile = shipped(load_points((POINTS / f"{core}.json").read_text()), ())
    assert profile == PROFILES[core]
    products = [law for law in profile.kernel if law.kind.startswith("gemv")]
    assert {(law.precision, law.group) for law in products} == {
        ("fp32", None),
        ("int8", None),
        ("int4", 16),
        ("int4", 32),
    }
    assert all(law.backend == "cortexm" and law.spread <= 0.03 for law in products)


@pytest.mark.skipif(not STORIES.is_dir(), reason=f"{STORIES} is not here")
@pytest.mark.parametrize(("core", "short"), [("cortex-m4", "m4"), ("cortex-m55", "m55")])
def test_tokens_on_microcontrollers_are_predicted(core: str, short: str) -> None:
    """Nothing was fitted to whole tokens; their counts are golden ones of the firmware's tests."""
    checkpoint, target = open_checkpoint(str(STORIES)), load_target(EMULATED[core])
    plan = decide_firmware(target, checkpoint, (64,), "float32", "int8").plan
    counted = json.loads(TOKENS_GOLDEN.read_text())["positions"][short]
    for tokens in (1, 31, 64):
        shape = step_shape(target, checkpoint, plan, tokens)
        found = predict(PROFILES[core], "cortexm", shape.calls[RUN], plan.choices, "decoder")
        assert found.value == pytest.approx(counted[tokens - 1], rel=0.04), tokens
        assert size_bytes(shape, plan.choices) == pytest.approx(plan.weight_bytes, rel=0.01)


def test_recorded_models_are_predicted() -> None:
    """Whole models under the emulator, those that nothing was fitted to as well."""
    runs = recorded_runs()
    assert sum(not run.fitted for run in runs) >= 8
    for run in runs:
        if PROFILES[PROFILE_OF.get(run.core, run.core)].unit == "ms":
            continue  # a clock's figures are set side by side in docs/measurements.md
        around = next(one for one in PROFILES[run.core].run if one.task == run.task)
        predicted = run.kernels + around.call + around.operator * run.operators
        assert predicted == pytest.approx(run.measured, rel=0.03), run.model


def test_int4_is_known_to_be_slow_where_there_are_no_dot_products() -> None:
    choice = TensorChoice("int4", "", 32)
    (slow,) = slow_choices(PROFILES["cortex-a72"], "tflite", [choice, choice])
    assert slow.times > 1.5
    assert "1.7" in slow.why
    assert not slow_choices(PROFILES["cortex-a72"], "tflite", [TensorChoice("int8", "")])
    assert slow_choices(PROFILES["cortex-a76"], "tflite", [choice])[0].times < 1.5
    (expanded,) = slow_choices(PROFILES["cortex-a53"], "openvino", [choice])
    assert "expands it to floats" in expanded.why


def test_a_prediction_says_its_error_and_how_many_shapes_bear_it_out() -> None:
    profile = PROFILES["cortex-a72"]
    calls = [KernelCall("gemm", 64, 384, 384, parameters=("a",)), KernelCall("softmax", 768, 64, 1)]
    found = predict(profile, "tflite", calls, {"a": TensorChoice("int8", "")}, "encoder")
    matrix, softmax = calls
    alone = call_cost(profile, "tflite", matrix, "int8", None) + call_cost(profile, "tflite", softmax, "fp32", None)
    around = next(one for one in profile.run if one.task == "encoder")
    assert found.value == pytest.approx(alone + around.call + 2 * around.operator)
    assert 0 < found.plus_minus < 0.02 * found.value
    assert found.held_out == 7 + 4
    assert found.text == f"{found.value / 1e6:.2f} M instructions ± {found.plus_minus / 1e6:.2f} (11 held-out shapes)"


def test_matrices_side_by_side_are_stored_as_the_finest_of_them() -> None:
    call = KernelCall("gemv", 1, 64, 192, parameters=("q", "k", "v"))
    choices = {"q": TensorChoice("int4", "", 32), "k": TensorChoice("int8", ""), "v": TensorChoice("int4", "", 32)}
    assert choice_of(call, choices) == ("int8", None)
    assert choice_of(call, {}) == ("fp32", None)


def test_what_a_profile_does_not_know_is_said() -> None:
    profile = PROFILES["cortex-a72"]
    call = KernelCall("gemv", 1, 64, 64, parameters=("a",))
    with pytest.raises(ProfileError, match="does not know gemv of int4 in blocks of 16 with tflite") as raised:
        predict(profile, "tflite", [call], {"a": TensorChoice("int4", "", 16)}, "decoder")
    assert "int4 in blocks of 32" in (raised.value.hint or "")
    assert knows(profile, "tflite", "int4", 32)
    assert not knows(profile, "tflite", "int4", 16)


def test_each_emulated_board_has_a_profile_and_none_is_of_another_core() -> None:
    for name in ("rpi3", "rpi4", "rpi5", "rpi-zero2w"):
        found: TargetProfile | None = find_profile(load_target(name))
        assert found is not None
        assert found.core == load_target(name).cpu.core
        assert (found.unit, found.measured) == ("instructions", False)
