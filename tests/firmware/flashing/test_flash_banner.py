"""Waiting for what an image says when it starts, on a line that may say much else."""

from __future__ import annotations

import struct

import pytest

from edgeslm.errors import DeviceError, ProbeTimeoutError
from edgeslm.firmware.wire import Frame, Receiver
from edgeslm.flash import banner
from edgeslm.flash.banner import await_banner, drop_old_words
from edgeslm.flash.image import FlashImage

OTHER = "0123456789abcdef"


class FakeLine:
    """A FAKE line: what comes, piece by piece; H is answered by what the board is."""

    def __init__(self, pieces: list[bytes], image: str = OTHER) -> None:
        self._pieces = pieces
        self._image = image
        self._receiver = Receiver(1024)

    def write(self, content: bytes) -> None:
        for frame in self._receiver.feed(content):
            if frame.type == "H":
                words = struct.pack("<10I", 2, 1024, 256, 48, 2, 3, 2048, 1024, 768, 0)
                self._pieces.append(Frame("h", words + bytes.fromhex(self._image) + b"stub").encode())

    def read(self, timeout_s: float) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banner, "BANNER_S", 0.2)


def test_a_greeting_is_heard_behind_noise_and_in_pieces(image: FlashImage) -> None:
    greeting = f"\r\nstub, fp32, {image.told}\r\n> ".encode()
    noise = [b"\xff\x00boot rom\r\n"] * 1000
    assert await_banner(FakeLine([*noise, greeting[:9], greeting[9:30], greeting[30:]]), image) == (
        f"stub, fp32, {image.told}"
    )


def test_another_image_is_told(image: FlashImage) -> None:
    with pytest.raises(DeviceError, match=f"runs image {OTHER}, not {image.told}"):
        await_banner(FakeLine([f"\r\nstub, fp32, {OTHER}\r\n> ".encode()]), image)


@pytest.mark.usefixtures("_short")
def test_silence_is_told(image: FlashImage) -> None:
    with pytest.raises(ProbeTimeoutError, match="stays silent after its reset"):
        await_banner(FakeLine([]), image)


def test_a_damaged_greeting_is_made_up_for_by_asking(image: FlashImage) -> None:
    damaged = f"\r\nstub, fp32, {image.told[:5]}\r\n> ".encode()
    assert await_banner(FakeLine([damaged], image.told), image) == f"stub, {image.told}"
    with pytest.raises(DeviceError, match=f"runs image {OTHER}"):
        await_banner(FakeLine([damaged], OTHER), image)


@pytest.mark.usefixtures("_short")
def test_what_was_said_before_the_reset_answers_nothing(image: FlashImage) -> None:
    line = FakeLine([f"\r\nstub, fp32, {image.told}\r\n> ".encode()])
    drop_old_words(line)
    with pytest.raises(ProbeTimeoutError):
        await_banner(line, image)
