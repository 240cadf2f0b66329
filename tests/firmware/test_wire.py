"""Frames on a wire that loses, doubles and changes bytes: Python's codec and the board's are one."""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.firmware.wire import BEGIN, END, SYNC, Frame, Receiver, request
from tests.firmware.host_program import build_frames_library

MOST = 1024
"""EDGESLM_MOST_PAYLOAD: a board's receiver waits for no more."""
Echo = Callable[[bytes], bytes]

payloads = st.one_of(
    st.binary(max_size=40),
    st.lists(st.sampled_from([SYNC, 0, ord("H")]), max_size=30).map(bytes),  # frames' own bytes
    st.integers(MOST - 1, MOST).map(lambda count: bytes([SYNC]) * count),
)
frames = st.builds(Frame, st.sampled_from("HOPXQtdxpeh"), payloads, st.integers(0, 255))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Frames in a row, some of them twice, with bytes dropped, doubled, changed or put in."""
    sent = [frame.encode() for frame in draw(st.lists(frames, min_size=1, max_size=5))]
    content = bytearray(b"".join(sent + sent[: draw(st.integers(0, 2))]))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(content) - 1))
        kind = draw(st.sampled_from(["drop", "double", "change", "insert"]))
        if kind == "drop" and len(content) > 1:
            del content[place]
        elif kind == "double":
            content.insert(place, content[place])
        elif kind == "change":
            content[place] ^= draw(st.integers(1, 255))
        else:
            content[place:place] = draw(st.binary(min_size=1, max_size=12))
    return bytes(content)


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Echo:
    """What the board's codec receives of some bytes, sent again by it."""
    library = ctypes.CDLL(str(build_frames_library(tmp_path_factory.mktemp("frames"))))
    library.take_sent.restype = ctypes.c_uint32

    def through(content: bytes) -> bytes:
        library.receive_and_send(content, len(content))
        place = ctypes.POINTER(ctypes.c_uint8)()
        count = library.take_sent(ctypes.byref(place))
        return bytes(place[:count])

    return through


@given(frame=frames, cut=st.integers(0, 50))
def test_a_frame_comes_as_it_was_sent_in_pieces_of_any_size(frame: Frame, cut: int) -> None:
    receiver, content = Receiver(), frame.encode()
    assert [*receiver.feed(content[:cut]), *receiver.feed(content[cut:])] == [frame]
    assert receiver.damaged == 0


@given(content=damaged())
def test_both_codecs_find_the_same_frames_in_damaged_bytes(echo: Echo, content: bytes) -> None:
    found = list(Receiver(MOST).feed(content))
    assert echo(content) == b"".join(frame.encode() for frame in found)


@given(content=damaged(), frame=frames)
def test_a_frame_behind_damage_and_zeros_is_always_found(echo: Echo, content: bytes, frame: Frame) -> None:
    """What board.py sends before it asks once more."""
    whole = content + bytes(BEGIN + MOST + END) + frame.encode()
    assert list(Receiver(MOST).feed(whole))[-1] == frame
    assert echo(whole).endswith(frame.encode())


def test_a_byte_that_is_lost_costs_one_frame(echo: Echo) -> None:
    """Whichever it is: the next frame is found in what the receiver holds already."""
    first, second = request("X", 20, 300).encode(), Frame("P", b"Once upon a time", 255)
    for place in range(len(first)):
        content = first[:place] + first[place + 1 :] + second.encode() + bytes(BEGIN + MOST + END)
        assert list(Receiver(MOST).feed(content)) == [second]
        assert echo(content) == second.encode()


@given(content=st.binary(max_size=400))
def test_noise_is_no_frame(echo: Echo, content: bytes) -> None:
    """Nor does it keep anything: 32 bits of CRC let one damaged frame of 4 billion pass."""
    found = list(Receiver(MOST).feed(content))
    for frame in found:
        assert frame.encode() in content
    assert echo(content) == b"".join(frame.encode() for frame in found)


def test_the_frame_on_the_wire_is_the_documented_one() -> None:
    content = request("X", 2, 0x01020304, number=9).encode()
    body = b"X\x08\x00\x09" + b"\x02\x00\x00\x00" + b"\x04\x03\x02\x01"
    assert content == b"\xfd" + body + zlib.crc32(body).to_bytes(4, "little")
    assert request("X", 2, 7).words(2) == (2, 7)


@given(text=st.text())
def test_a_text_of_a_person_never_begins_a_frame(text: str) -> None:
    assert SYNC not in text.encode()


def test_what_no_length_can_tell_is_refused() -> None:
    with pytest.raises(ValueError, match="65535"):
        Frame("P", bytes(65536)).encode()
    with pytest.raises(ValueError, match="3 words"):
        request("X", 1).words(3)
