"""A stop string ends a text wherever its pieces' borders are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.device.errors import UsageError
from edgeslm.device.stops import Stops

FEW = st.text(alphabet="ab", max_size=12)


def streamed(pieces: list[str], strings: list[str]) -> tuple[str, bool]:
    stops = Stops(strings)
    shown = ""
    for piece in pieces:
        shown += stops.feed(piece)
        if stops.stopped:
            return shown, True
    return shown + stops.finish(), False


def plain(text: str, strings: list[str]) -> tuple[str, bool]:
    """The text up to the stop string that is complete first, looked for in the whole."""
    for end in range(len(text) + 1):
        found = [stop for stop in strings if text[:end].endswith(stop)]
        if found:
            return text[: end - max(map(len, found))], True
    return text, False


@given(st.lists(FEW, max_size=8), st.lists(st.text(alphabet="ab", min_size=1, max_size=5), max_size=3))
def test_borders_do_not_matter(pieces: list[str], strings: list[str]) -> None:
    assert streamed(pieces, strings) == plain("".join(pieces), strings)


@given(st.lists(FEW, max_size=8), st.lists(st.text(alphabet="ab", min_size=1, max_size=5), max_size=3))
def test_no_more_is_held_back_than_may_begin_a_stop(pieces: list[str], strings: list[str]) -> None:
    stops = Stops(strings)
    shown = text = ""
    for piece in pieces:
        text += piece
        shown += stops.feed(piece)
        if stops.stopped:
            return
        held = text[len(shown) :]
        assert text == shown + held
        assert not held or any(stop.startswith(held) for stop in strings)


def test_a_stop_that_was_only_begun_comes_out() -> None:
    stops = Stops(["\nUser:"])
    assert [stops.feed(piece) for piece in ["a", "\nUs", "ing", "\nUse"]] == ["a", "", "\nUsing", ""]
    assert stops.finish() == "\nUse"
    assert not stops.stopped


def test_an_empty_stop_is_refused() -> None:
    with pytest.raises(UsageError, match="a stop string is empty"):
        Stops(["a", ""])
