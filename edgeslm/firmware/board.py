"""A board that speaks the protocol of firmware_templates/protocol/serve.h, over whatever carries bytes to it."""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections.abc import Iterator
from typing import Protocol

from edgeslm.errors import ConfigError, ConnectionLostError, DeviceError, ProbeTimeoutError
from edgeslm.firmware.told import (
    NO_TOKEN,
    Done,
    EncodedText,
    Hello,
    Outputs,
    Position,
    Token,
    done_of,
    error_of,
    hello_of,
)
from edgeslm.firmware.wire import BEGIN, END, MOST_NUMBER, MOST_REQUEST, Frame, Receiver, request

PROTOCOL = 2
INTERRUPT = b"\x03"
PATIENCE_S = (1.0, 2.0, 4.0, 8.0)
"""For the first frame of an answer, try by try. A board that is idle says at once that it has a request, an emulated
one on a busy machine almost so; bytes are lost where nobody listened yet."""
QUIET_S = 5.0
"""An answer that pauses for so long may have lost its end: a board that has nothing to do says what it is."""
PAUSE_S = 0.9
"""No board pauses for so long in the middle of a frame: what still wants bytes then is none."""
START_S = 20.0
GREETING_END = b"> "
"""What protocol/terminal.c shows a person when the board has started, at its end."""
GREETING = re.compile(rb", [^\r\n]+\r\n> $")
"""The same, with the end of the line before it, which has the scheme."""
MOST_ANSWER = 4096
"""No answer is longer; a damaged length is not waited for."""
MOST_READS = 64
"""A board that never ends to send is not waited for."""
CABLE = "a shorter cable, a common ground, another adapter; then ask again"


class Line(Protocol):
    """What carries bytes: an emulator's pipe, a serial port."""

    def write(self, content: bytes) -> None:
        """Raises DeviceError where nobody is there any more."""

    def read(self, timeout_s: float) -> bytes:
        """What has come, b"" where nothing came in time. Raises DeviceError where nobody is there any more."""


class Board:
    """`limit_s`: what a board may take for one frame of an answer. `starts`: it is being started, and will say so; what
    is sent before may be lost.

    Every request has a number, which its answer repeats: what the wire doubled, or brought late, answers nothing else.
    A request that the board does not confirm is sent again with the same number, and is carried out once.
    """

    def __init__(self, line: Line, name: str, *, limit_s: float = 60.0, starts: bool = False) -> None:
        self._line = line
        self._name = name
        self._limit_s = limit_s
        self._receiver = Receiver(MOST_ANSWER)
        self._came: list[Frame] = []
        self._number = self._count = 0
        self._heard_at = time.monotonic()
        self._under_way = False
        self._interrupted = False
        if starts:
            self._await_greeting()
        self.hello = self._ask_hello()

    def set_options(self, most_tokens: int, temperature: float = 0.0, seed: int = 0) -> None:
        """They hold for all answers from now on."""
        asked = request("O", min(most_tokens, NO_TOKEN), min(round(temperature * 65536), NO_TOKEN), seed & NO_TOKEN)
        if self._ask("O", asked.payload, "o").payload != asked.payload:
            raise DeviceError(f"{self._name} took other options than it was given", "reset it")

    def answer(self, prompt: str) -> Iterator[Token | Done]:
        """The tokens of an answer as they come, then how it ended.

        Raises ConfigError for a prompt that the model has no room for, DeviceError where a token was lost on the way,
        ConnectionLostError where the board starts again, ProbeTimeoutError where it falls silent.
        """
        content = prompt.encode()
        if len(content) > self.hello.most_payload:
            raise ConfigError(
                f"the prompt has {len(content):,} bytes; {self._name} takes {self.hello.most_payload:,}",
                "a shorter prompt",
            )
        self._begin("P", content, "answering")
        expected = 0
        while True:
            frame = self._next("answering", "td")
            if frame.type == "d":
                done = self._end(frame)
                self._require_in_order(done.tokens, expected)
                yield done
                return
            index, token = frame.words(2)
            self._require_in_order(index, expected)
            held = token == NO_TOKEN
            expected += not held
            yield Token(index, None if held else token, frame.text(2))

    def encode(self, text: str, wanted: int | None = None) -> Outputs:
        """An encoder's outputs for a text; where each token has some, only for tokens of the id that is wanted, if any.

        Raises ConfigError for a text that is too long for a frame or the board's tokenizer, and what `answer` raises.
        """
        content = text.encode()
        most = self.hello.most_payload - 4
        if len(content) > most:
            raise ConfigError(f"the text has {len(content):,} bytes; {self._name} takes {most:,}", "a shorter text")
        asked = request("E", NO_TOKEN if wanted is None else wanted)
        self._begin("E", asked.payload + content, "encoding")
        ids: tuple[int, ...] | None = None
        rows: list[tuple[int, int, bytes]] = []
        while True:
            frame = self._next("encoding", "ivd")
            if frame.type == "i":
                ids = frame.words(len(frame.payload) // 4)
            elif frame.type == "v":
                token, start = frame.words(2)
                rows.append((token, start, frame.text(2)))
            else:
                self._under_way = False
                cut, tokens, told, ticks, output_ticks, stack, _ = frame.words(7)
                self._require_in_order(len(ids or ()), tokens)
                self._require_in_order(len({token for token, *_ in rows}), told)
                return Outputs(ids or (), tuple(rows), bool(cut), ticks + output_ticks, stack)

    def probe_text(self, tokens: int) -> EncodedText:
        """What a text of so many tokens costs an encoder. Raises as `answer` does."""
        self._begin("X", request("X", tokens).payload, "measuring")
        counted, parts, done = (self._next("measuring", kind) for kind in "xpd")
        self._under_way = False
        told, _, _, whole = counted.words(4)
        again, *ticks_of = parts.words(self.hello.layers + 3)
        self._require_in_order(told, tokens)
        self._require_in_order(again, tokens)
        *_, stack, arena = done.words(7)
        return EncodedText(tokens, whole, tuple(ticks_of), stack, arena)

    def ask(self, asked: Frame, kind: str) -> Frame:
        """The answer of that type to a request that may be carried out again. Raises as `answer` does."""
        return self._ask(asked.type, asked.payload, kind)

    def follow(self, asked: Frame, doing: str) -> Iterator[Frame]:
        """The frames `x` and `d` that answer a request, up to the `d` that ends them. Raises as `answer` does."""
        self._begin(asked.type, asked.payload, doing)
        while True:
            frame = self._next(doing, "xd")
            if frame.type == "d":
                self._under_way = False
            yield frame
            if frame.type == "d":
                return

    def require_in_order(self, found: int, expected: int) -> None:
        """Raises DeviceError where a frame of an answer was lost."""
        self._require_in_order(found, expected)

    def interrupt(self) -> None:
        """End the answer under way; its last frames still come."""
        self._interrupted = True
        self._line.write(INTERRUPT)

    def leave(self) -> None:
        """Ends what is still under way: the board is then free for whoever comes next."""
        if self._under_way:
            with contextlib.suppress(DeviceError):  # it may be gone
                self.interrupt()

    def probe(self, prompt: int, steps: int) -> Iterator[Position | Done]:
        """Enter `prompt` tokens without logits, then take `steps` greedy steps: each position's ticks as they come.

        Raises as `answer` does.
        """
        self._begin("X", request("X", prompt, steps).payload, "measuring")
        expected = 0
        while True:
            frame = self._next("measuring", "xd")
            if frame.type == "x":
                parts = self._next("measuring", "p")
                position, logits, ticks, whole = frame.words(4)
                again, *ticks_of = parts.words(self.hello.layers + 3)
                self._require_in_order(position, expected)
                self._require_in_order(again, expected)
                expected += 1
                yield Position(position, bool(logits), ticks, whole, tuple(ticks_of))
            else:
                done = self._end(frame)
                self._require_in_order(prompt + steps, expected)
                yield done
                return

    def stop(self) -> None:
        """The emulator exits; a board starts again."""
        self._line.write(request("Q").encode())

    def _await_greeting(self) -> None:
        said, ends = b"", time.monotonic() + START_S
        while not said.endswith(GREETING_END) and (left := ends - time.monotonic()) > 0:
            said += self._line.read(left)

    def _ask_hello(self) -> Hello:
        frame = self._ask("H", b"", "h")
        (protocol,) = frame.words(1)
        if protocol != PROTOCOL:
            raise DeviceError(
                f"{self._name} speaks version {protocol} of the protocol; this edgeslm speaks {PROTOCOL}",
                "flash the bundle's firmware.bin again",
            )
        return hello_of(frame)

    def _ask(self, kind: str, payload: bytes, answer: str) -> Frame:
        """The answer of this type to a request that may be carried out more than once: each try has its number.

        `H` has none: a board that has a request with another number of ours would take it for that one.
        """
        self._forget()
        for attempt, patience in enumerate(PATIENCE_S):
            self._number = 0 if kind == "H" else self._another_number()
            self._send(Frame(kind, payload, self._number), attempt)
            ends = time.monotonic() + patience
            while (frame := self._receive(ends - time.monotonic())) is not None:
                if frame.type == answer:
                    return frame
                if frame.type == "e":
                    raise error_of(frame, self._name)
        raise self._silent(sum(PATIENCE_S), f"asked {len(PATIENCE_S)} times")

    def _begin(self, kind: str, payload: bytes, doing: str) -> None:
        """Send a request until the board says that it has it, or answers."""
        self._forget()
        asked = self._without_interrupt(kind, payload)
        self._number = asked.number
        self._under_way = True
        for attempt, patience in enumerate(PATIENCE_S):
            self._send(asked, attempt)
            frame = self._receive(patience, doing)
            if frame is not None:
                self._came.insert(0, frame)
                return
        raise self._silent(sum(PATIENCE_S), f"{doing}, asked {len(PATIENCE_S)} times")

    def _end(self, frame: Frame) -> Done:
        """How it ended. Raises DeviceError where it was by a Ctrl-C that nobody sent."""
        self._under_way = False
        done = done_of(frame)
        asked, self._interrupted = self._interrupted, False
        if done.reason == "interrupted" and not asked:
            raise DeviceError(f"{self._name} ended its answer early: a damaged byte told it to", CABLE)
        return done

    def _another_number(self) -> int:
        self._count = self._count % MOST_NUMBER + 1
        return self._count

    def _without_interrupt(self, kind: str, payload: bytes) -> Frame:
        """A request with a number that puts no Ctrl-C into the frame, if there is one: the wire may bring it once more,
        when the board is answering already and takes every byte for a key."""
        for _ in range(MOST_NUMBER - 1):
            frame = Frame(kind, payload, self._another_number())
            if INTERRUPT not in frame.encode():
                break
        return frame

    def _forget(self) -> None:
        """What came too late, or twice, answers nothing that is asked from now on."""
        for _ in range(MOST_READS):
            if not self._line.read(0.0):
                break
        self._receiver = Receiver(MOST_ANSWER)
        self._came.clear()

    def _send(self, frame: Frame, attempt: int) -> None:
        """From the third try on, zeros push what is damaged through the board's receiver."""
        if attempt > 1:
            self._line.write(bytes(BEGIN + MOST_REQUEST + END))
        self._line.write(frame.encode())

    def _next(self, doing: str, kinds: str) -> Frame:
        """The next frame of the answer under way. Raises DeviceError where it is none of these kinds."""
        ends, frame = time.monotonic() + self._limit_s, None
        for attempt in itertools.count():
            left = ends - time.monotonic()
            frame = self._receive(min(QUIET_S, left), doing, also="h" if attempt else "")
            if frame is not None or left <= QUIET_S:
                break
            self._send(request("H"), attempt)
        if frame is None:
            raise self._silent(self._limit_s, doing)
        if frame.type == "e":
            self._under_way = False
            raise error_of(frame, self._name)
        if frame.type == "a":
            return self._next(doing, kinds)
        if frame.type not in kinds:
            raise self._lost("a part" if frame.type != "h" else "the end")
        return frame

    def _receive(self, limit_s: float, doing: str = "", also: str = "") -> Frame | None:
        """The next frame with the request's number, None where none comes in time; or one of the type `also`. A board
        that is `doing` something has no reason to greet."""
        ends = time.monotonic() + limit_s
        while True:
            while self._came:
                frame = self._came.pop(0)
                if frame.number == self._number or frame.type == also:
                    return frame
            left = ends - time.monotonic()
            if left <= 0:
                if time.monotonic() - self._heard_at >= PAUSE_S:
                    self._came += [one for one in self._receiver.give_up() if isinstance(one, Frame)]
                if not self._came:
                    return None
                continue
            content = self._line.read(left)
            if content:
                self._heard_at = time.monotonic()
            self._came += self._receiver.feed(content)
            if doing and not self._came and GREETING.search(self._receiver.between):
                self._under_way = False
                raise ConnectionLostError(
                    f"{self._name} started again in the middle of {doing}",
                    "its supply, its watchdog, or its reset button; then ask again",
                )

    def _require_in_order(self, found: int, expected: int) -> None:
        if found != expected:
            raise self._lost(f"frame {expected}")

    def _lost(self, what: str) -> DeviceError:
        return DeviceError(
            f"{self._name}: {what} of an answer was lost on the way ({self._receiver.damaged} damaged)", CABLE
        )

    def _silent(self, seconds: float, doing: str) -> ProbeTimeoutError:
        damaged, passed = self._receiver.damaged, self._receiver.passed
        heard = f"{passed:,} bytes came, and no whole frame" if passed else "nothing came"
        heard = f"{damaged} damaged frames came" if damaged else heard
        return ProbeTimeoutError(
            f"{self._name} stays silent: {doing}, {heard} in {seconds:.0f} s",
            "is it this bundle's firmware, and the right baud rate (115200)? A reset begins anew",
        )
