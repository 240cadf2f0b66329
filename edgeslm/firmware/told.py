"""What a board tells: the answers of firmware_templates/protocol/serve.h, out of their frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeslm.errors import ConfigError, DeviceError
from edgeslm.firmware.wire import Frame

NO_TOKEN = 0xFFFFFFFF
Reason = Literal["stop", "length", "context", "interrupted"]
REASONS: tuple[Reason, ...] = ("stop", "length", "context", "interrupted")
EMULATED = 256
"""Added to the counter of a board that no silicon runs."""
TICK_SOURCES = {1: "DWT", 2: "PMU", 3: "SysTick", 4: "none"}


@dataclass(frozen=True)
class Hello:
    """What a board says of itself. `ticks`: the counter it measures by, which counts the core's clock. `image`: the
    first 16 digits of the digest of its image, zeros where it was built by CMake."""

    name: str
    most_payload: int
    vocabulary: int
    context: int
    layers: int
    ticks: str
    stack_bytes: int
    arena_bytes: int
    cache_bytes: int
    clock_hz: int  # what the board runs at, by its own start-up; 0 where it does not know
    emulated: bool  # no silicon: ticks are no times
    image: str


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


def hello_of(frame: Frame) -> Hello:
    """Of an `h`."""
    _, payload, vocabulary, context, layers, ticks, stack, arena, cache, clock, *_ = frame.words(12)
    return Hello(
        frame.text(12).decode(errors="replace"),
        payload,
        vocabulary,
        context,
        layers,
        TICK_SOURCES.get(ticks & ~EMULATED, "unknown"),
        stack,
        arena,
        cache,
        clock,
        emulated=bool(ticks & EMULATED),
        image=frame.payload[40:48].hex(),
    )


def done_of(frame: Frame) -> Done:
    reason, *counts = frame.words(7)
    return Done(REASONS[min(reason, 3)], *counts)


def error_of(frame: Frame, name: str) -> DeviceError | ConfigError:
    """What a board tells by an `e`."""
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
        22: f"has no kernel {first}, or no room for its {second} buffers",
        21: f"refuses step {first} of its net ({second})",
        16: f"does not know the request {chr(first)!r}",
        17: f"has a context of {second}, not {first}",
        18: f"refuses token {second} at position {first}",
        19: f"faulted at {second:#010x} (fault status {first:#x})",
    }.get(code, f"tells error {code} ({first}, {second})")
    return DeviceError(f"{name} {what}", "flash the bundle's firmware.bin again" if code != 17 else None)
