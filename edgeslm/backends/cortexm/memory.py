"""A static memory plan: where in one arena each buffer lies, known before anything is compiled.

Buffers whose lifetimes meet must not overlap; all others may. This is dynamic storage allocation (Garey and Johnson
1979, SR2). Greedy orders come near the least size at once; where they miss it, orders are searched: some order in
which every buffer goes to the lowest free place gives the best plan there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgeslm.errors import InternalError

ALIGNMENT = 8
"""Bytes. Doublewords on every core, and enough for what kernels read."""
MOST_TRIES = 20_000
"""Placements that the search may try: a tenth of a second."""


@dataclass(frozen=True)
class Buffer:
    """`first` and `last` are the steps of a schedule that first writes and last touches it, both included."""

    name: str
    bytes: int
    first: int
    last: int

    @property
    def aligned(self) -> int:
        return -(-self.bytes // ALIGNMENT) * ALIGNMENT

    def meets(self, other: Buffer) -> bool:
        return self.first <= other.last and other.first <= self.last


TEXT = "text"
"""The buffer of a prompt that is turned into tokens."""
BEFORE = -1
"""Its step: no call of the schedule has been made."""


def text_buffers(missing: int) -> tuple[Buffer, ...]:
    """The buffer that the tokenizer needs beyond other memory that is free then; none where nothing is missing."""
    return (Buffer(TEXT, missing, BEFORE, BEFORE),) if missing > 0 else ()


@dataclass(frozen=True)
class MemoryPlan:
    """`offsets`: name -> bytes from the arena's beginning."""

    buffers: tuple[Buffer, ...]
    offsets: dict[str, int]

    @property
    def bytes(self) -> int:
        """Of the arena."""
        return max((self.offsets[one.name] + one.aligned for one in self.buffers), default=0)

    @property
    def placed(self) -> list[tuple[Buffer, int]]:
        """Buffers and their offsets, by offset, then by the time they are first written."""
        return sorted(
            ((one, self.offsets[one.name]) for one in self.buffers), key=lambda each: (each[1], each[0].first)
        )


def live_bytes(buffers: Iterable[Buffer]) -> int:
    """The live set: the most that is alive at one step. No plan is smaller."""
    every = list(buffers)
    starts = {one.first for one in every}
    return max((sum(one.aligned for one in every if one.first <= step <= one.last) for step in starts), default=0)


def plan_memory(buffers: Sequence[Buffer]) -> MemoryPlan:
    """Raises InternalError where two buffers have one name."""
    if len({one.name for one in buffers}) != len(buffers):
        raise InternalError("two buffers of a schedule have the same name")
    least = live_bytes(buffers)
    orders = (
        sorted(buffers, key=lambda one: (-one.aligned, one.first, one.name)),
        sorted(buffers, key=lambda one: (one.first - one.last, -one.aligned, one.name)),
        sorted(buffers, key=lambda one: (-one.aligned * (one.last - one.first + 1), one.name)),
        sorted(buffers, key=lambda one: (one.first, -one.aligned, one.name)),
    )
    plans = [_placed(order) for order in orders]
    best = min(plans, key=lambda plan: plan.bytes)
    if best.bytes > least:
        best = _Search(orders[0], best, least).run()
    reject_overlaps(best)
    return best


def reject_overlaps(plan: MemoryPlan) -> None:
    """Raises InternalError where two buffers that are alive together share a byte."""
    for place, one in enumerate(plan.buffers):
        for other in plan.buffers[place + 1 :]:
            start, second = plan.offsets[one.name], plan.offsets[other.name]
            if one.meets(other) and start < second + other.bytes and second < start + one.bytes:
                raise InternalError(f"{one.name} and {other.name} overlap in the arena")


def _placed(order: Sequence[Buffer]) -> MemoryPlan:
    """Each at the lowest place that is free during its life."""
    offsets: dict[str, int] = {}
    for number, one in enumerate(order):
        offsets[one.name] = _lowest(one, order[:number], offsets)
    return MemoryPlan(tuple(order), offsets)


def _lowest(one: Buffer, placed: Iterable[Buffer], offsets: dict[str, int]) -> int:
    taken = sorted((offsets[other.name], other.aligned) for other in placed if other.meets(one))
    place = 0
    for start, size in taken:
        if place + one.aligned <= start:
            break
        place = max(place, start + size)
    return place


class _Search:
    """Depth first over the orders of placing, until a plan is as small as the live set or the tries are used up."""

    def __init__(self, buffers: Sequence[Buffer], best: MemoryPlan, least: int) -> None:
        self.buffers = buffers
        self.best = best
        self.least = least
        self.tries = MOST_TRIES

    def run(self) -> MemoryPlan:
        self._extend([], {})
        return self.best

    def _extend(self, placed: list[Buffer], offsets: dict[str, int]) -> None:
        if len(placed) == len(self.buffers):
            self.best = MemoryPlan(tuple(placed), dict(offsets))
            return
        highest = max(offsets.values(), default=0)
        for one in self.buffers:
            if one.name in offsets:
                continue
            if self.tries == 0 or self.best.bytes <= self.least:
                return
            self.tries -= 1
            place = _lowest(one, placed, offsets)
            # Orders by rising place are enough, and what is no better than the best is not followed.
            if place < highest or place + one.aligned >= self.best.bytes:
                continue
            self._extend([*placed, one], {**offsets, one.name: place})
