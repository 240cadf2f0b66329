"""Amounts as a user writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.errors import ConfigError
from edgeslm.limits import Limits, amount_with_error, parse_bytes, parse_count, parse_milliseconds


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("14MB", 14_000_000), ("12.6 MB", 12_600_000), ("64KiB", 65_536), ("1GiB", 1 << 30), ("999B", 999)],
)
def test_sizes_say_their_unit(text: str, wanted: int) -> None:
    assert parse_bytes(text) == wanted


def test_times_and_counts() -> None:
    assert parse_milliseconds("25ms") == 25
    assert parse_milliseconds("0.5s") == 500
    assert parse_milliseconds("800us") == pytest.approx(0.8)
    assert parse_count("20M") == 20e6
    assert parse_count("1234") == 1234


@pytest.mark.parametrize("text", ["14", "MB", "14mb", "14Mb", "-1MB", "1e6B", "0MB", "14 MB extra", "", "٣MB", "nanMB"])
def test_a_size_without_a_unit_or_with_another_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a size"):
        parse_bytes(text)


@pytest.mark.parametrize("text", ["25", "25 MB", "1min"])
def test_a_time_needs_a_unit_of_time(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a time"):
        parse_milliseconds(text)


@given(st.text(max_size=8))
def test_any_text_is_an_amount_or_is_refused(text: str) -> None:
    try:
        parse_bytes(text)
    except ConfigError as error:
        refused = error
    else:
        return
    assert "as in 14MB" in str(refused.hint)


@pytest.mark.parametrize(("text", "meant"), [("14mb", "14MB"), ("1.5KIB", "1.5KiB"), ("3 Mb", "3MB")])
def test_other_letters_are_understood_and_still_refused(text: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_bytes(text)
    assert str(caught.value.hint).startswith(f"did you mean {meant}? ")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (("latency", 21.4, 1.2, 12), "21.4 ms ± 1.2 (12 held-out shapes)"),
        (("latency", 0.0312, 0.0021, None), "0.0312 ms ± 0.0021"),
        (("instructions", 223.09e6, 0.553e6, 134), "223.09 M ± 0.55 (134 held-out shapes)"),
        (("instructions", 442_900.0, 3_100.0, 62), "442,900 ± 3,100 (62 held-out shapes)"),
        (("size", 12_800_000.0, None, None), "12.800 MB"),
        (("ram", 100_435_000.0, 2_226_628.59, None), "100.435 MB ± 2.227"),
        (("ram", 800_500.0, 12_300.0, None), "800.50 kB ± 12.30"),
    ],
)
def test_an_error_has_the_unit_of_its_value(given: tuple[str, float, float | None, int | None], wanted: str) -> None:
    assert amount_with_error(*given) == wanted


def test_limits_as_flags() -> None:
    given = Limits(size=14_000_000, latency_ms=25.0, objective="size")
    assert given.flags == ("--max-size 14000000B", "--max-latency 25ms", "--objective size")
    assert given.asked
    assert not Limits().asked
