"""Test pieces for serial lines: a wire that mistreats bytes by a seed, a pseudo terminal with such a wire behind it,
and a fake board that speaks the protocol as the C does."""

from __future__ import annotations

import contextlib
import os
import random
import select
import struct
import threading
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from edgeslm.firmware.wire import MOST_REQUEST, Frame, Receiver, request
from tests.firmware.stub_bundle import BOS, CONTEXT, stub_answer

CLOCK_HZ = 168_000_000
LAYERS = 2


class Faults:
    """Drops, doubles and changes bytes, each with this probability, and doubles whole pieces; by a seed."""

    def __init__(self, seed: int, rate: float, doubled: float = 0.0) -> None:
        self._random = random.Random(seed)
        self._rate = rate
        self._doubled = doubled

    def __call__(self, content: bytes) -> bytes:
        if self._random.random() < self._doubled:
            content *= 2
        mistreated = bytearray()
        for byte in content:
            if self._random.random() >= self._rate:
                mistreated.append(byte)
                continue
            kind = self._random.choice(["drop", "double", "change"])
            mistreated += {
                "drop": b"",
                "double": bytes([byte, byte]),
                "change": bytes([byte ^ self._random.randrange(1, 256)]),
            }[kind]
        return bytes(mistreated)


def whole(content: bytes) -> bytes:
    """No fault at all."""
    return content


@dataclass
class FakeBoard:
    """No board and no C: what firmware_templates/protocol/serve.c does, for a model that answers as the stub does.

    A step at a position takes 1,680 ticks for each token entered, the choice of a token 840 more. It claims to be
    silicon unless told otherwise.
    """

    name: str = "stub"
    image: str = "00" * 8
    emulated: bool = False
    clock_hz: int = CLOCK_HZ
    ticks_of_a_step: int = 1680
    most: int = 256
    last: int = 0
    carried_out: list[Frame] = field(default_factory=list)
    _receiver: Receiver = field(default_factory=lambda: Receiver(MOST_REQUEST))

    def take(self, content: bytes) -> bytes:
        """What it says to these bytes."""
        return b"".join(frame.encode() for asked in self._receiver.feed(content) for frame in self._answers(asked))

    def _answers(self, asked: Frame) -> Iterator[Frame]:
        before, self.last = self.last, asked.number
        if asked.number:
            yield Frame("a", b"", asked.number)
            if asked.number == before:
                return
        self.carried_out.append(asked)
        for frame in self._frames(asked):
            yield Frame(frame.type, frame.payload, asked.number)

    def _frames(self, asked: Frame) -> Iterator[Frame]:
        if asked.type == "H":
            words = (2, MOST_REQUEST, 256, CONTEXT, LAYERS, 1 + 256 * self.emulated, 2048, 1024, 4096, self.clock_hz)
            yield Frame("h", struct.pack("<10I", *words) + bytes.fromhex(self.image) + self.name.encode())
        elif asked.type == "O":
            self.most = asked.words(1)[0]
            yield Frame("o", asked.payload)
        elif asked.type == "P":
            tokens = stub_answer(asked.payload, min(self.most, CONTEXT - len(asked.payload) - len([BOS])))
            for index, token in enumerate(tokens):
                yield Frame("t", struct.pack("<2I", index, token) + bytes([token]))
            yield request("d", 1, 1 + len(asked.payload), len(tokens), 10, 20, 300, 0)
        elif asked.type == "X":
            prompt, steps = asked.words(2)
            for position in range(prompt + steps):
                ticks = self.ticks_of_a_step * (position + 1)
                yield request("x", position, int(position >= prompt), ticks, ticks + self.ticks_of_a_step // 2)
                yield request("p", position, 0, ticks // 2, ticks // 4, ticks - ticks // 2 - ticks // 4)
            yield request("d", 1, prompt, steps, 10, 20, 300, 1000)


class MistreatedLine:
    """A Line to a fake board over a wire with faults both ways. Nothing waits; `on_wait` is told of what would have."""

    def __init__(self, board: FakeBoard, to: Faults, back: Faults, on_wait: Callable[[float], None]) -> None:
        self.to: Callable[[bytes], bytes] = to
        self.back: Callable[[bytes], bytes] = back
        self._board = board
        self._on_wait = on_wait
        self._answers = b""

    def write(self, content: bytes) -> None:
        self._answers += self.back(self._board.take(self.to(content)))

    def read(self, timeout_s: float) -> bytes:
        content, self._answers = self._answers[:13], self._answers[13:]
        if not content:
            self._on_wait(max(0.0, timeout_s))
        return content


class PtyPort:
    """A port whose other end is ours: `path` is what a user names."""

    def __init__(self) -> None:
        self.end, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.path = os.ttyname(self._theirs)

    def say(self, content: bytes) -> None:
        os.write(self.end, content)

    def hear(self, timeout_s: float = 30.0) -> bytes:
        """What came; b"" where nothing did."""
        ready, _, _ = select.select([self.end], [], [], timeout_s)
        return os.read(self.end, 65536) if ready else b""

    def hear_until(self, wanted: bytes) -> bytes:
        heard = b""
        while wanted not in heard:
            piece = self.hear()
            assert piece, f"{wanted!r} never came; {heard!r} did"
            heard += piece
        return heard

    def unplug(self) -> None:
        for end in (self.end, self._theirs):
            with contextlib.suppress(OSError):  # it is unplugged already
                os.close(end)


@contextlib.contextmanager
def served(take: Callable[[bytes], bytes]) -> Iterator[PtyPort]:
    """A port at which `take` answers, by a thread, until the end of the block or until it is unplugged."""
    port, (wake, stop) = PtyPort(), os.pipe()

    def serve() -> None:
        with contextlib.suppress(OSError):  # unplugged
            while True:
                ready, _, _ = select.select([port.end, wake], [], [])
                if wake in ready:
                    return
                port.say(take(os.read(port.end, 65536)))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        os.close(stop)
        thread.join(10)
        os.close(wake)
        port.unplug()


@contextlib.contextmanager
def mistreated(path: str, to: Callable[[bytes], bytes], back: Callable[[bytes], bytes]) -> Iterator[PtyPort]:
    """A port that leads to the one at `path`, over a wire with these faults."""
    port, (wake, stop) = PtyPort(), os.pipe()
    far = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(far)

    def carry() -> None:
        with contextlib.suppress(OSError):  # one end is unplugged
            while True:
                ready, _, _ = select.select([port.end, far, wake], [], [])
                if wake in ready:
                    return
                if port.end in ready:
                    os.write(far, to(os.read(port.end, 4096)))
                if far in ready:
                    port.say(back(os.read(far, 4096)))

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        os.close(stop)
        thread.join(10)
        os.close(wake)
        os.close(far)
        port.unplug()
