"""The host's side of the protocol against a fake board over a wire that drops, doubles and changes bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from edgeslm.errors import DeviceError
from edgeslm.firmware import board as board_module
from edgeslm.firmware.board import Board
from edgeslm.firmware.told import Done, Position, Token
from edgeslm.firmware.wire import Frame
from tests.firmware.bad_wire import FakeBoard, Faults, MistreatedLine, whole
from tests.firmware.stub_bundle import stub_answer

PROMPTS = ("Hello", "ab", "")
MOST = 9


class Clock:
    """Time that passes where a board is waited for in vain, and nowhere else."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


CLOCK = Clock()


@pytest.fixture(autouse=True, scope="module")
def _no_waits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(board_module, "time", CLOCK)
        yield


def line_to(fake: FakeBoard, seed: int = 0, rate: float = 0.0, doubled: float = 0.0) -> MistreatedLine:
    return MistreatedLine(fake, Faults(seed, rate, doubled), Faults(seed + 1, rate, doubled), CLOCK.wait)


def told(board: Board, prompt: str) -> list[int | None]:
    *tokens, done = board.answer(prompt)
    assert isinstance(done, Done)
    assert b"".join(token.text for token in tokens if isinstance(token, Token)) == bytes(
        stub_answer(prompt.encode(), MOST)
    )
    return [token.id for token in tokens if isinstance(token, Token)]


seeds = st.integers(0, 2**32)


@settings(max_examples=150)
@given(seed=seeds, rate=st.sampled_from([0.001, 0.005, 0.02, 0.1]), doubled=st.sampled_from([0.0, 0.2]))
def test_whatever_the_wire_does_an_answer_is_right_or_refused(seed: int, rate: float, doubled: float) -> None:
    """And once the wire is whole again the next answer is right, whatever was left on it."""
    fake = FakeBoard()
    line = line_to(fake, seed, rate, doubled)
    try:
        board = Board(line, "the board")
    except DeviceError:
        line.to = line.back = whole
        board = Board(line, "the board")
    refused = 0
    for prompt in PROMPTS:
        try:
            board.set_options(MOST)
            assert told(board, prompt) == stub_answer(prompt.encode(), MOST)
            found = [came for came in board.probe(2, 1) if isinstance(came, Position)]
            assert [(came.ticks, came.logits) for came in found] == [(1680, False), (3360, False), (5040, True)]
        except DeviceError:  # and no other: nothing is wrong with what was asked
            refused += 1
    event(f"{refused} of {len(PROMPTS)} refused")
    line.to = line.back = whole
    board.set_options(MOST)
    for prompt in PROMPTS:
        assert told(board, prompt) == stub_answer(prompt.encode(), MOST)


@given(seed=seeds)
def test_what_is_doubled_is_carried_out_once(seed: int) -> None:
    """Every second request comes twice, and every second answer: each is still the right one, and no work is done
    twice."""
    fake = FakeBoard()
    board = Board(line_to(fake, seed, 0.0, doubled=0.5), "the board")
    board.set_options(MOST)
    for prompt in (*PROMPTS, *PROMPTS):
        assert told(board, prompt) == stub_answer(prompt.encode(), MOST)
    assert [frame.payload.decode() for frame in fake.carried_out if frame.type == "P"] == [*PROMPTS, *PROMPTS]


def test_an_answer_that_comes_once_more_too_late_answers_nothing() -> None:
    """Each answer comes again when the next request is under way already, before that one's own."""
    line = line_to(FakeBoard())
    before = b""

    def late(content: bytes) -> bytes:
        nonlocal before
        come, before = before + content, content
        return come

    line.back = late
    board = Board(line, "the board")
    for prompt in PROMPTS:
        board.set_options(MOST)
        assert told(board, prompt) == stub_answer(prompt.encode(), MOST)
        assert told(board, prompt + "b") == stub_answer(prompt.encode() + b"b", MOST)


@pytest.mark.parametrize("lost", range(3))
def test_a_request_whose_confirmation_is_lost_is_not_carried_out_again(lost: int) -> None:
    fake = FakeBoard()
    line = line_to(fake)
    board = Board(line, "the board")
    board.set_options(MOST)
    left = [lost + 1]

    def lose(content: bytes) -> bytes:
        left[0] -= 1
        return b"" if left[0] > 0 else content

    line.back = lose
    if lost:  # the answer was lost with it: that is told, and it is not computed once more
        with pytest.raises(DeviceError, match="the end of an answer was lost"):
            list(board.answer("Hello"))
    else:
        told(board, "Hello")
    assert sum(frame.type == "P" for frame in fake.carried_out) == 1
    line.back = whole
    assert told(board, "ab") == stub_answer(b"ab", MOST)


def test_a_length_that_was_damaged_holds_nothing_up() -> None:
    """The first token's says that 2,313 bytes come: what follows is found all the same, and soon."""
    line = line_to(FakeBoard())
    board = Board(line, "the board")
    board.set_options(MOST)
    line.back = lambda content: re.sub(rb"(\xfdt\x09)\0", b"\\1\x09", content, count=1, flags=re.DOTALL)
    began = CLOCK.now
    with pytest.raises(DeviceError, match=r"frame 0 of an answer was lost on the way \(\d damaged\)"):
        list(board.answer("Hello"))
    assert CLOCK.now - began <= board_module.QUIET_S


def test_numbers_go_round_and_a_session_begins_anew() -> None:
    """More requests than there are numbers; and a board that remembers the number of another session."""
    fake = FakeBoard()
    for _ in range(2):
        board = Board(line_to(fake), "the board")
        for count in range(300):
            board.set_options(1 + count % 7)
        fake.carried_out.clear()
        board = Board(line_to(fake), "the board")
        board.set_options(3)
        assert [frame.type for frame in fake.carried_out] == ["H", "O"]


def test_an_answer_that_a_damaged_byte_ended_is_none() -> None:
    """Ctrl-C outside of frames ends an answer; nobody sent one here."""

    class Ended(FakeBoard):
        def _frames(self, asked: Frame) -> Iterator[Frame]:
            for frame in super()._frames(asked):
                yield Frame("d", b"\3\0\0\0" + frame.payload[4:]) if frame.type == "d" else frame

    board = Board(line_to(Ended()), "the board")
    with pytest.raises(DeviceError, match="a damaged byte told it to"):
        list(board.answer("Hello"))
    board = Board(line_to(Ended()), "the board")
    answer = board.answer("Hello")
    next(answer)
    board.interrupt()
    *_, done = answer
    assert isinstance(done, Done)
    assert done.reason == "interrupted"
