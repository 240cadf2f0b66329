"""Milliseconds foretold for a board: right where the model holds, as wrong as it says, never unmeasured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgeslm.errors import ConfigError
from edgeslm.probe.estimate import Point, calibrate, estimate, fit, left_out_error
from edgeslm.probe.measured import instructions_part, latency_part
from edgeslm.probe.report import LengthPart, ProbeReport
from tests.unit.probe_reports import make_report

LENGTHS = (16, 32, 64, 128)
positive = st.floats(0.1, 10)


def made(emulated: bool, name: str, scale: float, ms: float = 1e-7, size: int = 24 << 20) -> ProbeReport:
    """A report of a bundle that takes `scale` million instructions a token, at `ms` each on the board."""
    report = make_report(emulated=emulated, bundle={"digest": name * 64, "model_bytes": size})
    lengths = []
    for tokens in LENGTHS:
        count = scale * 1e6 * tokens
        lengths.append(
            LengthPart(
                tokens=tokens,
                warm_up_runs=3,
                latency_ms=None if emulated else latency_part([count * ms] * 5),
                samples_ms=() if emulated else (count * ms,) * 5,
                instructions=instructions_part([int(count)] * 2, tokens) if emulated else None,
            )
        )
    return report.model_copy(update={"lengths": tuple(lengths)})


def on_another_board() -> ProbeReport:
    return made(False, "a", 1).model_copy(update={"device": make_report(device={"board": "another"}).device})


@given(
    a=positive,
    b=positive,
    points=st.lists(st.tuples(st.floats(1e6, 1e9), st.floats(1e6, 1e8)), min_size=3, max_size=20, unique=True),
)
def test_a_board_that_keeps_to_the_model_is_found(a: float, b: float, points: list[tuple[float, float]]) -> None:
    ratios = np.array([instructions / size for instructions, size in points])
    assume(ratios.max() / ratios.min() > 1.5)
    truth = [
        Point(str(number), i, int(size), a * 1e-7 * i + b * 1e-7 * int(size)) for number, (i, size) in enumerate(points)
    ]
    found = fit(truth)
    assert found == pytest.approx((a * 1e-7, b * 1e-7), rel=1e-3)


@given(st.lists(st.tuples(st.floats(1e6, 1e9), st.floats(1e6, 1e8), st.floats(0.1, 1e3)), min_size=3, max_size=20))
def test_neither_price_is_below_zero(points: list[tuple[float, float, float]]) -> None:
    found = [Point(str(number), i, int(size), ms) for number, (i, size, ms) in enumerate(points)]
    a, b = fit(found)
    assert a >= 0 <= b
    assert a + b > 0
    assert left_out_error(found) >= 0


def test_a_bundle_is_foretold_from_others_that_were_measured() -> None:
    calibration = [made(emulated, name, scale) for name, scale in (("a", 1), ("b", 3)) for emulated in (False, True)]
    counted = made(True, "c", 2)
    found = estimate(counted, calibrate("cortex-a72", calibration))
    assert found.points == 8
    assert found.core == "cortex-a72"
    assert found.error == pytest.approx(0, abs=1e-6)
    assert [part.ms for part in found.lengths] == pytest.approx([2e6 * tokens * 1e-7 for tokens in LENGTHS], rel=1e-6)
    assert len(found.basis) == 2
    assert "a" * 12 in found.basis[0]


def test_the_error_is_that_of_a_bundle_left_out() -> None:
    # A second bundle that takes 1.5 times as long for each instruction is foretold 1/3 too fast from the first.
    calibration = [made(False, "a", 1), made(True, "a", 1), made(False, "b", 1, ms=1.5e-7), made(True, "b", 1)]
    found = estimate(made(True, "c", 2), calibrate("cortex-a72", calibration))
    assert found.error == pytest.approx(0.5, rel=0.01)
    assert found.lengths[0].error_ms == pytest.approx(found.lengths[0].ms * found.error)


@pytest.mark.parametrize(
    ("calibration", "told"),
    [
        ([], "has 0 measured and counted lengths"),
        ([made(False, "a", 1)], "has 0 measured and counted lengths"),
        ([made(False, "a", 1), made(True, "b", 1)], "has 0 measured and counted lengths"),
        ([made(True, "a", 1), made(False, "a", 1), on_another_board()], "several boards"),
    ],
)
def test_without_measurements_there_is_no_estimate(calibration: list[ProbeReport], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        calibrate("cortex-a72", calibration)


def test_another_core_s_measurements_are_none() -> None:
    with pytest.raises(ConfigError, match="has 0 measured and counted lengths of cortex-a76"):
        calibrate("cortex-a76", [made(False, "a", 1), made(True, "a", 1)])
