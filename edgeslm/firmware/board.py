"""A board that speaks the protocol of firmware_templates/protocol/serve.h, over whatever carries bytes to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from edgeslm.errors import ConfigError, ConnectionLostError, DeviceError, ProbeTimeoutError
from edgeslm.firmware.wire import BEGIN, END, MOST_REQUEST, Frame, Receiver, request

PROTOCOL = 1
NO_TOKEN = 0xFFFFFFFF
INTERRUPT = b"\x03"
TRIES = 3
"""A request that is not answered is sent again: bytes are lost where nobody listened yet."""
ASK_S = 5.0
"""A board answers `H` at once, an emulated one on a busy machine almost so."""
START_S = 20.0
LINE_END, GREETING_END = b"\r\n", b"> "
"""What protocol/terminal.c shows a person when the board has started."""
MOST_ANSWER = 4096
"""No answer is longer; a damaged length is not waited for."""
MOST_READS = 64
"""A board that never ends to send is not waited for."""
Reason = Literal["stop", "length", "context", "interrupted"]
REASONS: tuple[Reason, ...] = ("stop", "length", "context", "interrupted")
TICK_SOURCES = {1: "DWT", 2: "PMU", 3: "SysTick", 4: "none"}


class Line(Protocol):
    """What carries bytes: an emulator's pipe, a serial port."""

    def write(self, content: bytes) -> None:
        """Raises DeviceError where nobody is there any more."""

    def read(self, timeout_s: float) -> bytes:
        """What has come, b"" where nothing came in time. Raises DeviceError where nobody is there any more."""


@dataclass(frozen=True)
class Hello:
    """What a board says of itself. `ticks`: the counter it measures by."""

    name: str
    most_payload: int
    vocabulary: int
    context: int
    layers: int
    ticks: str
    stack_bytes: int
    arena_bytes: int
    cache_bytes: int


@dataclass(frozen=True)
class Token:
    """`text` is bytes of UTF-8: a character may be spread over several tokens. `id` is None for text held back."""

    index: int
    id: int | None
    text: bytes


@dataclass(frozen=True)
class Done:
    reason: Reason
    prompt_tokens: int
    tokens: int
    prefill_ticks: int
    decode_ticks: int
    stack_used: int
    arena_used: int  # 0 after an answer: only probes measure it


@dataclass(frozen=True)
class Position:
    """Ticks of one step. `whole_ticks` with choosing a token and its text; `parts`: embedding, layers, output layer."""

    position: int
    logits: bool
    ticks: int
    whole_ticks: int
    parts: tuple[int, ...]


@dataclass(frozen=True)
class Outputs:
    """What an encoder says of a text. `rows`: token (0 where the text has outputs, not each token), the first output,
    the outputs as the board keeps them: float32, or fixed-point numbers."""

    ids: tuple[int, ...]
    rows: tuple[tuple[int, int, bytes], ...]
    cut: bool  # the text had more tokens
    ticks: int  # of the model, and of its outputs
    stack_used: int


@dataclass(frozen=True)
class EncodedText:
    """What a text of so many tokens takes. `parts`: ticks of embedding, layers, outputs; the board's memories."""

    tokens: int
    ticks: int
    parts: tuple[int, ...]
    stack_used: int
    arena_used: int


class Board:
    """`limit_s`: what a board may take for one frame of an answer. `starts`: it is being started, and will say so; what
    is sent before may be lost."""

    def __init__(self, line: Line, name: str, *, limit_s: float = 60.0, starts: bool = False) -> None:
        self._line = line
        self._name = name
        self._limit_s = limit_s
        self._receiver = Receiver(MOST_ANSWER)
        self._came: list[Frame] = []
        if starts:
            self._await_greeting()
        self.hello = self._ask_hello()

    def set_options(self, most_tokens: int, temperature: float = 0.0, seed: int = 0) -> None:
        """They hold for all answers from now on."""
        asked = request("O", min(most_tokens, NO_TOKEN), min(round(temperature * 65536), NO_TOKEN), seed & NO_TOKEN)
        if self._ask(asked, "o", self._limit_s).payload != asked.payload:
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
        self._forget()
        self._send(Frame("P", content))
        expected = 0
        while True:
            frame = self._next(self._limit_s, "answering")
            if frame.type == "t":
                index, token = frame.words(2)
                self._require_in_order(index, expected)
                held = token == NO_TOKEN
                expected += not held
                yield Token(index, None if held else token, frame.text(2))
            elif frame.type == "d":
                done = _done(frame)
                self._require_in_order(done.tokens, expected)
                yield done
                return

    def encode(self, text: str, wanted: int | None = None) -> Outputs:
        """An encoder's outputs for a text; where each token has some, only for tokens of the id that is wanted, if any.

        Raises ConfigError for a text that is too long for a frame or the board's tokenizer, and what `answer` raises.
        """
        content = text.encode()
        most = self.hello.most_payload - 4
        if len(content) > most:
            raise ConfigError(f"the text has {len(content):,} bytes; {self._name} takes {most:,}", "a shorter text")
        asked = request("E", NO_TOKEN if wanted is None else wanted)
        self._send(Frame("E", asked.payload + content))
        ids: tuple[int, ...] | None = None
        rows: list[tuple[int, int, bytes]] = []
        while True:
            frame = self._next(self._limit_s, "encoding")
            if frame.type == "i":
                ids = frame.words(len(frame.payload) // 4)
            elif frame.type == "v":
                token, start = frame.words(2)
                rows.append((token, start, frame.text(2)))
            elif frame.type == "d":
                cut, tokens, told, ticks, output_ticks, stack, _ = frame.words(7)
                self._require_in_order(len(ids or ()), tokens)
                self._require_in_order(len({token for token, *_ in rows}), told)
                return Outputs(ids or (), tuple(rows), bool(cut), ticks + output_ticks, stack)

    def probe_text(self, tokens: int) -> EncodedText:
        """What a text of so many tokens costs an encoder. Raises as `answer` does."""
        self._send(request("X", tokens))
        counted, parts, done = (self._next(self._limit_s, "measuring") for _ in range(3))
        told, _, _, whole = counted.words(4)
        again, *ticks_of = parts.words(self.hello.layers + 3)
        self._require_in_order(told, tokens)
        self._require_in_order(again, tokens)
        *_, stack, arena = done.words(7)
        return EncodedText(tokens, whole, tuple(ticks_of), stack, arena)

    def ask(self, asked: Frame, kind: str) -> Frame:
        """The answer of that type to a request that may be sent again. Raises as `answer` does."""
        return self._ask(asked, kind, self._limit_s)

    def follow(self, asked: Frame, doing: str) -> Iterator[Frame]:
        """The frames that answer a request that is sent once, up to the one that ends them. Raises as `answer` does."""
        self._send(asked)
        while True:
            frame = self._next(self._limit_s, doing)
            yield frame
            if frame.type == "d":
                return

    def require_in_order(self, found: int, expected: int) -> None:
        """Raises DeviceError where a frame of an answer was lost."""
        self._require_in_order(found, expected)

    def interrupt(self) -> None:
        """End the answer under way; its last frames still come."""
        self._line.write(INTERRUPT)

    def probe(self, prompt: int, steps: int) -> Iterator[Position | Done]:
        """Enter `prompt` tokens without logits, then take `steps` greedy steps: each position's ticks as they come.

        Raises as `answer` does.
        """
        self._forget()
        self._send(request("X", prompt, steps))
        expected = 0
        while True:
            frame = self._next(self._limit_s, "measuring")
            if frame.type == "x":
                parts = self._next(self._limit_s, "measuring")
                position, logits, ticks, whole = frame.words(4)
                again, *ticks_of = parts.words(self.hello.layers + 3)
                self._require_in_order(position, expected)
                self._require_in_order(again, expected)
                expected += 1
                yield Position(position, bool(logits), ticks, whole, tuple(ticks_of))
            elif frame.type == "d":
                self._require_in_order(prompt + steps, expected)
                yield _done(frame)
                return

    def stop(self) -> None:
        """The emulator exits; a board starts again."""
        self._send(request("Q"))

    def _await_greeting(self) -> None:
        said, ends = b"", time.monotonic() + START_S
        while not said.endswith(GREETING_END) and (left := ends - time.monotonic()) > 0:
            said += self._line.read(left)

    def _ask_hello(self) -> Hello:
        frame = self._ask(request("H"), "h", ASK_S)
        (protocol,) = frame.words(1)
        if protocol != PROTOCOL:
            raise DeviceError(
                f"{self._name} speaks version {protocol} of the protocol; this edgeslm speaks {PROTOCOL}",
                "flash the bundle's firmware.bin again",
            )
        _, payload, vocabulary, context, layers, ticks, stack, arena, cache = frame.words(9)
        name = frame.text(9).decode(errors="replace")
        source = TICK_SOURCES.get(ticks, "unknown")
        return Hello(name, payload, vocabulary, context, layers, source, stack, arena, cache)

    def _ask(self, asked: Frame, kind: str, limit_s: float) -> Frame:
        """The answer of this type. Where none comes again, zeros push what is damaged through the board's receiver."""
        for number in range(TRIES):
            self._send(asked)
            ends = time.monotonic() + limit_s
            while (left := ends - time.monotonic()) > 0:
                frame = self._receive(left)
                if frame is not None and frame.type == kind:
                    return frame
                if frame is not None and frame.type == "e":
                    raise self._error(frame)
            if number == TRIES - 2:
                self._line.write(bytes(BEGIN + MOST_REQUEST + END))
        raise self._silent(TRIES * limit_s, f"asked {TRIES} times")

    def _forget(self) -> None:
        """What came too late, or twice, answers nothing that is asked from now on."""
        for _ in range(MOST_READS):
            if not self._line.read(0.0):
                break
        self._receiver = Receiver(MOST_ANSWER)
        self._came.clear()

    def _send(self, frame: Frame) -> None:
        self._line.write(frame.encode())

    def _next(self, limit_s: float, doing: str) -> Frame:
        frame = self._receive(limit_s, doing)
        if frame is None:
            raise self._silent(limit_s, doing)
        if frame.type == "e":
            raise self._error(frame)
        return frame

    def _receive(self, limit_s: float, doing: str = "") -> Frame | None:
        """The next frame, None where none comes in time. A board that is `doing` something has no reason to greet."""
        ends = time.monotonic() + limit_s
        while not self._came:
            left = ends - time.monotonic()
            if left <= 0:
                return None
            self._came += self._receiver.feed(self._line.read(left))
            if doing and not self._came and self._receiver.between.endswith(LINE_END + GREETING_END):
                raise ConnectionLostError(
                    f"{self._name} started again in the middle of {doing}",
                    "its supply, its watchdog, or its reset button; then ask again",
                )
        return self._came.pop(0)

    def _require_in_order(self, found: int, expected: int) -> None:
        if found != expected:
            raise DeviceError(
                f"{self._name}: frame {expected} of an answer was lost on the way ({self._receiver.damaged} damaged)",
                "a shorter cable, a common ground, another adapter; then ask again",
            )

    def _silent(self, seconds: float, doing: str) -> ProbeTimeoutError:
        damaged = self._receiver.damaged
        heard = f"{damaged} damaged frames came" if damaged else "nothing came that is a frame"
        return ProbeTimeoutError(
            f"{self._name} stays silent: {doing}, {heard} in {seconds:.0f} s",
            "is it this bundle's firmware, and 115200 baud? A reset begins anew",
        )

    def _error(self, frame: Frame) -> DeviceError | ConfigError:
        code, first, second = frame.words(3)
        if code == 1 and first == 0:
            return ConfigError("the prompt is too long for the board's tokenizer", "a shorter prompt")
        if code == 1:
            return ConfigError(
                f"the prompt has {first} tokens; the model's context has {second}, one of them for an answer",
                "a shorter prompt, or a bundle built with a larger --context",
            )
        if code == 2:
            return ConfigError("the prompt is empty, and the model has no token that begins a text", "--prompt '…'")
        if code == 3:
            return ConfigError("the prompt is no text that the board's tokenizer takes: no UTF-8", "--prompt '…'")
        if code == 21 and second == 1:
            return ConfigError(
                f"an id is outside of the table whose rows it names (step {first} of the net)",
                "edgeslm inspect tells what ids an input takes",
            )
        what = {
            20: f"has no byte {second} of its input or output {first}",
            21: f"refuses step {first} of its net ({second})",
            16: f"does not know the request {chr(first)!r}",
            17: f"has a context of {second}, not {first}",
            18: f"refuses token {second} at position {first}",
            19: f"faulted at {second:#010x} (fault status {first:#x})",
        }.get(code, f"tells error {code} ({first}, {second})")
        return DeviceError(f"{self._name} {what}", "flash the bundle's firmware.bin again" if code != 17 else None)


def _done(frame: Frame) -> Done:
    reason, *counts = frame.words(7)
    return Done(REASONS[min(reason, 3)], *counts)
