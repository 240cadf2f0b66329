"""An answer, token by token."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from .context import Context
from .errors import UsageError
from .sampling import Sampling
from .stops import Stops
from .text_stream import TextStream
from .timings import TimedEngine, Timings

if TYPE_CHECKING:
    from .constraint import Constraint

Reason = Literal["stop", "length", "context", "interrupted"]


class Piece(NamedTuple):
    """A token, and the text that is certain with it: often its own, "" where it has to wait for the next ones."""

    text: str
    token: int


@dataclass(frozen=True)
class Finish:
    """How an answer ended.

    `reason`: "stop" (the end-of-sequence token, a stop string, or a constraint that leaves nothing more to say),
    "length" (`max_tokens`), "context" (the cache is full), "interrupted" (Ctrl-C, or `close`). `generated_tokens`
    counts the end-of-sequence token as well.
    """

    reason: Reason
    prompt_tokens: int
    generated_tokens: int
    timings: Timings | None = None


class Generation:
    """An answer to `prompt`, computed as it is iterated over: an iterator of Pieces, one for each token.

    `finish` is None until it ended. Pieces joined are the text: special tokens are left out, and so are a stop string
    and what comes behind it. Raises UsageError where another answer of the same model began meanwhile, DeviceError
    where the model gives no number, or none of the tokens that the constraint allows.
    """

    def __init__(
        self,
        context: Context,
        prompt: list[int],
        stream: TextStream,
        *,
        end_ids: frozenset[int],
        sampling: Sampling,
        max_tokens: int,
        stop: Sequence[str] = (),
        constraint: Constraint | None = None,
        cut: int = 0,
        reuse_cache: bool = False,
        timings: bool = False,
    ) -> None:
        if max_tokens < 1:
            raise UsageError(f"max_tokens is {max_tokens}; it must be at least 1")
        self.prompt = prompt
        self.cut = cut  # tokens that were cut from the prompt
        self.tokens: list[int] = []
        self.finish: Finish | None = None
        self._texts: list[str] = []
        self._context = context
        self._stream = stream
        self._end_ids = end_ids
        self._sampling = sampling
        self._stops = Stops(stop) if stop else None
        self._constraint = constraint
        self._reuse = reuse_cache
        self._timed = timings
        self._engine: TimedEngine | None = None
        room = context.engine.context - len(prompt)
        self._limit = min(max_tokens, room)
        self._at_limit: Reason = "length" if max_tokens <= room else "context"
        self._pieces = self._generate()

    def __iter__(self) -> Iterator[Piece]:
        return self._pieces

    def __next__(self) -> Piece:
        return next(self._pieces)

    @property
    def text(self) -> str:
        """The answer until now."""
        return "".join(self._texts)

    @property
    def fits(self) -> bool:
        """Whether the answer until now is all that its constraint wants; True without one."""
        cut = self._stops is not None and self._stops.stopped
        return self._constraint is None or (self._constraint.satisfied and not cut)

    def read(self) -> str:
        """Compute the answer to its end; its whole text."""
        for _ in self._pieces:
            pass
        return self.text

    def close(self) -> None:
        """End the answer here. What the cache holds of it stays."""
        self._pieces.close()
        if self.finish is None:
            self._end("interrupted")

    def _generate(self) -> Generator[Piece, None, None]:
        try:
            yield from self._compute()
        except KeyboardInterrupt:
            self._end("interrupted")
            raise

    def _compute(self) -> Iterator[Piece]:
        feed: Callable[[int], str] = self._stream.feed
        flush, stops = self._stream.finish, self._stops
        if self._timed:
            self._engine = TimedEngine(self._context.engine)
            feed = self._engine.note_first(feed)
        turn = self._context.begin(self._engine)
        choose, constraint = self._sampling.chooser(self.prompt), self._constraint
        if constraint is not None:
            choose = constraint.guide(choose)
        # All that happens for each token is in this loop, and local: it must cost little beside a fast model's step.
        tokens, texts, end_ids, limit, step = self.tokens, self._texts, self._end_ids, self._limit, turn.step
        reason: Reason | None = None
        logits = turn.enter(self.prompt, self._reuse)
        while True:
            token = choose(logits)
            tokens.append(token)
            if token in end_ids:
                reason, text = "stop", flush()
            elif constraint is not None and constraint.complete:
                reason, text = "stop", feed(token) + flush()
            elif len(tokens) == limit:
                reason, text = self._at_limit, feed(token) + flush()
            else:
                text = feed(token)
            if stops is not None:
                text = stops.feed(text)
                if stops.stopped:
                    reason = "stop"
                elif reason is not None:
                    text += stops.finish()
            texts.append(text)
            if reason is not None:
                self._end(reason)
            yield Piece(text, token)
            if reason is not None:
                return
            logits = step(token)

    def _end(self, reason: Reason) -> None:
        measured = self._engine.timings if self._engine is not None else None
        self.finish = Finish(reason, len(self.prompt), len(self.tokens), measured)
