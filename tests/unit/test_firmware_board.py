"""A board over a bad wire: what is lost, damaged or never comes is told, and asked for again where that helps."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.bundle.manifest import ModelPart, TensorPart
from edgeslm.errors import ConfigError, ConnectionLostError, DeviceError, ProbeTimeoutError
from edgeslm.firmware import board as board_module
from edgeslm.firmware.board import Board
from edgeslm.firmware.encoder_board import BoardEncoder
from edgeslm.firmware.told import NO_TOKEN, Done, Position, Token
from edgeslm.firmware.wire import Frame, Receiver, request
from edgeslm.target import load_target

HELLO = Frame(
    "h", struct.pack("<10I8s", 2, 1024, 256, 48, 2, 3 + 256, 2048, 1024, 768, 168000000, bytes(range(8))) + b"tiny"
)
DONE = request("d", 1, 3, 2, 10, 20, 300, 0, number=1)
Reply = Callable[[Frame], bytes]


def token(index: int, number: int, text: bytes, to: int = 1) -> bytes:
    """Of the answer to the first request with a number, unless it is another."""
    return Frame("t", struct.pack("<2I", index, number) + text, to).encode()


class Clock:
    """Time that passes where a board is waited for in vain, and nowhere else."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


CLOCK = Clock()


class Wire:
    """A board that answers each request by `reply`; `lost` requests never reach it. Nothing waits."""

    def __init__(self, reply: Reply, lost: int = 0) -> None:
        self.asked: list[Frame] = []
        self.zeros = 0
        self.silent_after = ""
        self._reply = reply
        self._lost = lost
        self._receiver = Receiver(1024)
        self._answers = b""

    def write(self, content: bytes) -> None:
        self.zeros += content.count(0) if not content.strip(b"\0") else 0
        for frame in self._receiver.feed(content):
            silent = bool(self.silent_after) and self.asked[-1].type == self.silent_after
            self.asked.append(frame)
            if silent:
                self.silent_after = frame.type
            elif self._lost:
                self._lost -= 1
            elif frame.type == "H":
                self._answers += HELLO.encode()
            else:
                self._answers += self._reply(frame)

    def read(self, timeout_s: float) -> bytes:
        content, self._answers = self._answers[:7], self._answers[7:]
        CLOCK.now += 0 if content else timeout_s
        return content


@pytest.fixture(autouse=True, scope="module")
def _no_waits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(board_module, "time", CLOCK)
        yield


def open_board(reply: Reply, lost: int = 0) -> tuple[Board, Wire]:
    wire = Wire(reply, lost)
    return Board(wire, "the board"), wire


def answering(content: bytes) -> Board:
    return open_board(lambda frame: content)[0]


def test_an_answer_is_its_tokens_and_its_end() -> None:
    held = token(2, NO_TOKEN, b"\xef\xbf\xbd")
    answer = list(answering(token(0, 5, b"a") + token(1, 6, b"\xc3") + held + DONE.encode()).answer("x"))
    assert answer == [
        Token(0, 5, b"a"),
        Token(1, 6, b"\xc3"),
        Token(2, None, b"\xef\xbf\xbd"),
        Done("length", 3, 2, 10, 20, 300, 0),
    ]


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_request_that_was_lost_is_sent_again(lost: int) -> None:
    board, wire = open_board(lambda frame: b"", lost)
    assert (board.hello.name, board.hello.image) == ("tiny", "0001020304050607")
    assert [frame.type for frame in wire.asked] == ["H"] * (lost + 1)
    assert (wire.zeros >= 1024) == (lost > 1)  # what is damaged may still be waited for


def test_a_silent_board_is_told() -> None:
    with pytest.raises(ProbeTimeoutError, match="stays silent"):
        open_board(lambda frame: b"", lost=99)
    for content, heard in ((token(0, 5, b"a"), "nothing came"), (token(0, 5, b"a") + b"??", "2 bytes came, and no")):
        board, wire = open_board(lambda frame, content=content: content)  # type: ignore[misc]  # mypy knows no default
        wire.silent_after = "P"
        with pytest.raises(ProbeTimeoutError, match=f"the board stays silent: answering, {heard}"):
            list(board.answer("x"))


def test_an_end_that_was_lost_is_told_by_a_board_that_has_nothing_to_do() -> None:
    """It is asked what it is after some seconds, and says so only when it is idle."""
    with pytest.raises(DeviceError, match="the end of an answer was lost"):
        list(answering(token(0, 5, b"a")).answer("x"))


@pytest.mark.parametrize("content", [token(1, 6, b"b") + DONE.encode(), token(0, 5, b"a") + DONE.encode()])
def test_a_token_that_was_lost_is_told(content: bytes) -> None:
    with pytest.raises(DeviceError, match="was lost on the way"):
        list(answering(content).answer("x"))


def test_a_damaged_frame_is_counted() -> None:
    broken = bytearray(token(0, 5, b"a"))
    broken[-1] ^= 1
    with pytest.raises(DeviceError, match=r"lost on the way \(1 damaged\)"):
        list(answering(bytes(broken) + token(1, 6, b"b") + DONE.encode()).answer("x"))


WHOLE = [token(0, 5, b"a"), token(1, 6, b"\xfd> "), token(2, 7, b"\r\n> ")]
WHOLE.append(request("d", 1, 3, 3, 10, 20, 300, 0, number=1).encode())


@st.composite
def mistreated(draw: st.DrawFn) -> bytes:
    """An answer of which frames were lost, came twice or changed places, and bytes were lost, doubled or changed."""
    frames = list(WHOLE)
    for _ in range(draw(st.integers(0, 2))):
        place, other = (draw(st.integers(0, len(frames) - 1)) for _ in range(2))
        kind = draw(st.sampled_from(["lose", "double", "swap"]))
        if kind == "swap":
            frames[place], frames[other] = frames[other], frames[place]
        elif kind == "double":
            frames.insert(other, frames[place])
        elif len(frames) > 1:
            del frames[place]
    content = bytearray(b"".join(frames))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(content) - 1))
        content[place : place + 1] = draw(st.sampled_from([b"", content[place : place + 1] * 2, b"\xfd", b"\0"]))
    return bytes(content)


@given(content=mistreated())
def test_an_answer_is_whole_or_refused(content: bytes) -> None:
    """However the wire treats it, nobody takes half an answer for a whole one."""
    expected = list(answering(b"".join(WHOLE)).answer("x"))
    assert len(expected) == 4
    with contextlib.suppress(DeviceError):
        assert list(answering(content).answer("x")) == expected


def test_what_came_twice_answers_no_later_prompt() -> None:
    """A prompt that the wire doubled is answered twice: the second answer is nobody's."""

    def twice(frame: Frame) -> bytes:
        done = request("d", 1, 1, 1, *[0] * 4, number=frame.number).encode()
        return 2 * (token(0, frame.payload[0], b"a", frame.number) + done)

    board, _ = open_board(twice)
    for prompt in ("x", "y"):
        assert next(board.answer(prompt)) == Token(0, ord(prompt), b"a")


@pytest.mark.parametrize("before", [b"", token(0, 5, b"a"), token(0, 5, b"a")[:9]])
def test_a_board_that_starts_again_is_told(before: bytes) -> None:
    with pytest.raises(ConnectionLostError, match="the board started again in the middle of answering"):
        list(answering(before + b"\r\nstub, fp32\r\n> ").answer("x"))


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        ((1, 60, 48), ConfigError, "60 tokens; the model's context has 48"),
        ((1, 0, 48), ConfigError, "too long for the board's tokenizer"),
        ((2, 0, 48), ConfigError, "the prompt is empty"),
        ((3, 0, 48), ConfigError, "no UTF-8"),
        ((17, 60, 48), DeviceError, "context of 48, not 60"),
        ((18, 3, 999), DeviceError, "refuses token 999 at position 3"),
        ((19, 0x8200, 0x1234), DeviceError, "faulted at 0x00001234"),
        ((77, 1, 2), DeviceError, "error 77"),
    ],
)
def test_what_a_board_refuses_is_a_sentence(words: tuple[int, ...], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        list(answering(request("e", *words, number=1).encode()).answer("x"))


def test_a_prompt_that_no_frame_holds_is_not_sent() -> None:
    board, wire = open_board(lambda frame: b"")
    with pytest.raises(ConfigError, match="1,025 bytes"):
        list(board.answer("x" * 1025))
    assert [frame.type for frame in wire.asked] == ["H"]


def test_another_protocol_is_told() -> None:
    wire = Wire(lambda frame: b"")
    other = request("h", 3)  # what else it tells is another protocol's
    wire.write = lambda content: setattr(wire, "_answers", other.encode())  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="version 3 of the protocol"):
        Board(wire, "the board")


def test_options_are_said_back() -> None:
    board, wire = open_board(lambda frame: Frame("o", frame.payload, frame.number).encode())
    board.set_options(7, 0.5, 3)
    assert wire.asked[-1] == request("O", 7, 32768, 3, number=1)
    with pytest.raises(DeviceError, match="other options"):
        answering(request("o", 1, 2, 3, number=1).encode()).set_options(7)


def test_positions_come_with_their_parts() -> None:
    content = b"".join(
        request("x", place, int(place == 1), 100 + place, 110 + place, number=1).encode()
        + request("p", place, 1, 2, 3, 4, number=1).encode()
        for place in range(2)
    )
    found = list(answering(content + DONE.encode()).probe(1, 1))
    assert found[:2] == [
        Position(0, False, 100, 110, (1, 2, 3, 4)),
        Position(1, True, 101, 111, (1, 2, 3, 4)),
    ]
    assert isinstance(found[2], Done)
    with pytest.raises(DeviceError, match="lost on the way"):
        list(answering(content + DONE.encode()).probe(1, 2))


@pytest.mark.parametrize(("wanted", "lost"), [(None, None), (None, 1), (None, 3), (5, None), (5, 0)])
def test_an_encoders_output_that_was_lost_becomes_no_zero(wanted: int | None, lost: int | None) -> None:
    """Each token has 3 outputs, of which a frame brings 2 at most."""
    ids = (4, 5)
    told = [place for place, token in enumerate(ids) if wanted in (None, token)]
    rows = [(place, start, part) for place in told for start, part in ((0, b"\0\0\x80?" * 2), (2, b"\0\0\x80?"))]
    if lost is not None:
        del rows[lost]
    frames = [request("i", *ids, number=1), *(Frame("v", struct.pack("<2I", t, s) + part, 1) for t, s, part in rows)]
    frames.append(request("d", 0, len(ids), len(told), 1, 1, 1, 0, number=1))
    board = answering(b"".join(frame.encode() for frame in frames))
    output = TensorPart(name="logits", dtype="float32", shape=(1, -1, 3))
    model = ModelPart.model_construct(outputs=(output,))
    engine = BoardEncoder(board, model, load_target("mps2-an386"), lambda ids: "a text", wanted)
    asked = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)))}
    if lost is None:
        assert engine.run(None, asked)["logits"].sum() == 3 * len(told)
    else:
        with pytest.raises(DeviceError, match="outputs of the board's answer were lost"):
            engine.run(None, asked)
