"""A board over a bad wire: what is lost, damaged or never comes is told, and asked for again where that helps."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from edgeslm.errors import ConfigError, DeviceError, ProbeTimeoutError
from edgeslm.firmware import board as board_module
from edgeslm.firmware.board import NO_TOKEN, Board, Done, Position, Token
from edgeslm.firmware.wire import Frame, Receiver, request

HELLO = Frame("h", struct.pack("<9I", 1, 1024, 256, 48, 2, 3, 2048, 1024, 768) + b"tiny")
DONE = request("d", 1, 3, 2, 10, 20, 300, 0)
Reply = Callable[[Frame], bytes]


def token(index: int, number: int, text: bytes) -> bytes:
    return Frame("t", struct.pack("<2I", index, number) + text).encode()


class Wire:
    """A board that answers each request by `reply`; `lost` requests never reach it. Nothing waits."""

    def __init__(self, reply: Reply, lost: int = 0) -> None:
        self.asked: list[Frame] = []
        self.zeros = 0
        self._reply = reply
        self._lost = lost
        self._receiver = Receiver(1024)
        self._answers = b""

    def write(self, content: bytes) -> None:
        self.zeros += content.count(0) if not content.strip(b"\0") else 0
        for frame in self._receiver.feed(content):
            self.asked.append(frame)
            if self._lost:
                self._lost -= 1
            elif frame.type == "H":
                self._answers += HELLO.encode()
            else:
                self._answers += self._reply(frame)

    def read(self, timeout_s: float) -> bytes:
        content, self._answers = self._answers[:7], self._answers[7:]
        return content


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wire that answers at once is not waited for."""
    monkeypatch.setattr(board_module, "ASK_S", 0.01)


def open_board(reply: Reply, lost: int = 0) -> tuple[Board, Wire]:
    wire = Wire(reply, lost)
    return Board(wire, "the board", limit_s=0.01), wire


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


@pytest.mark.parametrize("lost", [1, 2])
def test_a_request_that_was_lost_is_sent_again(lost: int) -> None:
    board, wire = open_board(lambda frame: b"", lost)
    assert board.hello.name == "tiny"
    assert [frame.type for frame in wire.asked] == ["H"] * (lost + 1)
    assert (wire.zeros >= 1024) == (lost == 2)  # what is damaged may still be waited for


def test_a_silent_board_is_told() -> None:
    with pytest.raises(ProbeTimeoutError, match="stays silent"):
        open_board(lambda frame: b"", lost=99)
    with pytest.raises(ProbeTimeoutError, match="the board stays silent: answering"):
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
        list(answering(request("e", *words).encode()).answer("x"))


def test_a_prompt_that_no_frame_holds_is_not_sent() -> None:
    board, wire = open_board(lambda frame: b"")
    with pytest.raises(ConfigError, match="1,025 bytes"):
        list(board.answer("x" * 1025))
    assert [frame.type for frame in wire.asked] == ["H"]


def test_another_protocol_is_told() -> None:
    wire = Wire(lambda frame: b"")
    other = Frame("h", struct.pack("<9I", 2, *[0] * 8))
    wire.write = lambda content: setattr(wire, "_answers", other.encode())  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="version 2 of the protocol"):
        Board(wire, "the board")


def test_options_are_said_back() -> None:
    board, wire = open_board(lambda frame: Frame("o", frame.payload).encode())
    board.set_options(7, 0.5, 3)
    assert wire.asked[-1] == request("O", 7, 32768, 3)
    with pytest.raises(DeviceError, match="other options"):
        answering(request("o", 1, 2, 3).encode()).set_options(7)


def test_positions_come_with_their_parts() -> None:
    content = b"".join(
        request("x", place, int(place == 1), 100 + place, 110 + place).encode()
        + request("p", place, 1, 2, 3, 4).encode()
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
