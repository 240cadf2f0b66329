"""What a program's calls leave out of its kernels: nothing that any of them needs."""

from __future__ import annotations

import pytest

from edgeslm.backends.cortexm.extents import EXTENTS, FOURS, extent_macros
from edgeslm.backends.cortexm.program import AttentionShape, Call, Use, Weight

HEADS = AttentionShape(8, 4, 8, 1.0)


def gemv(rows: int, columns: int, mode: str = "0u", kernel: str = "edgeslm_gemv_i8") -> Call:
    return Call(kernel, (Use("y"), Weight("w"), Use("x"), f"{rows}u", f"{columns}u", mode))


def test_what_divides_by_four_has_no_tails() -> None:
    calls = [gemv(64, 172), Call("edgeslm_rmsnorm", (Use("x"), Use("x"), Weight("n"), "64u", "1e-5f"))]
    assert extent_macros(calls, HEADS, 512) == {
        "EDGESLM_FOURS": 1,
        "EDGESLM_HEAD_DIM": 8,
        "EDGESLM_LONGEST": 172,
        "EDGESLM_BIASES": 0,
        "EDGESLM_INT4": 0,
    }


@pytest.mark.parametrize(
    "odd",
    [
        gemv(63, 64),
        gemv(64, 62),
        gemv(64, 62, kernel="edgeslm_gemv_i4"),
        Call("edgeslm_scale", (Use("x"), "0.5f", "30u")),
        Call("edgeslm_scale", (Use("x"), "0.5f", "count")),  # known to the compiler alone
        Call("edgeslm_rope", (Use("x"), Use("angles"), "12u", "8u", "3u")),
    ],
)
def test_one_odd_row_keeps_all_tails(odd: Call) -> None:
    assert FOURS in extent_macros([gemv(64, 64)], HEADS, 512)
    assert FOURS not in extent_macros([gemv(64, 64), odd], HEADS, 512)


def test_an_odd_vocabulary_and_odd_heads_keep_them_too() -> None:
    assert FOURS not in extent_macros([gemv(64, 64)], HEADS, 97)
    assert FOURS not in extent_macros([gemv(64, 64)], AttentionShape(2, 2, 6, 1.0), 96)


def test_biases_and_int4_are_kept_where_one_matrix_has_them() -> None:
    assert (
        extent_macros([gemv(64, 64), gemv(64, 64, "EDGESLM_BIAS | EDGESLM_ACCUMULATE")], HEADS)["EDGESLM_BIASES"] == 1
    )
    call = Call("edgeslm_row_i4", (Use("y"), Weight("w"), "token", "64u", "16u", "0u"))
    assert extent_macros([gemv(64, 64), call], HEADS)["EDGESLM_INT4"] == 1


def test_an_unknown_kernel_leaves_nothing_out() -> None:
    assert "edgeslm_new" not in EXTENTS
    assert extent_macros([gemv(64, 64), Call("edgeslm_new", (Use("y"),))], HEADS) == {}
