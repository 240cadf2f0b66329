"""The memory plan: nothing that lives together overlaps, and of few buffers it is the smallest there is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.backends.cortexm.memory import Buffer, MemoryPlan, live_bytes, plan_memory, reject_overlaps
from edgeslm.errors import InternalError


@st.composite
def lifetimes(draw: st.DrawFn, most: int = 24) -> list[Buffer]:
    made = []
    for number in range(draw(st.integers(0, most))):
        first = draw(st.integers(0, 12))
        made.append(Buffer(f"b{number}", draw(st.integers(1, 400)), first, first + draw(st.integers(0, 6))))
    return made


def overlaps(plan: MemoryPlan) -> list[tuple[str, str]]:
    """By bytes, not by intervals: another way than the plan's own check."""
    taken: dict[tuple[int, int], str] = {}
    found = []
    for one in plan.buffers:
        start = plan.offsets[one.name]
        for step, byte in itertools.product(range(one.first, one.last + 1), range(start, start + one.bytes)):
            if (step, byte) in taken:
                found.append((taken[step, byte], one.name))
            taken[step, byte] = one.name
    return found


@settings(max_examples=60, deadline=None)
@given(lifetimes())
def test_no_two_live_buffers_share_a_byte(buffers: list[Buffer]) -> None:
    plan = plan_memory(buffers)
    assert set(plan.offsets) == {one.name for one in buffers}
    assert not overlaps(plan)
    assert all(offset % 8 == 0 for offset in plan.offsets.values())
    assert plan.bytes >= live_bytes(buffers)


@settings(max_examples=30, deadline=None)
@given(lifetimes(most=5))
def test_a_plan_of_few_buffers_is_the_smallest_there_is(buffers: list[Buffer]) -> None:
    def stacked(order: tuple[Buffer, ...]) -> int:
        offsets: dict[str, int] = {}
        for one in order:
            offsets[one.name] = next(
                place
                for place in range(0, 10_000, 8)
                if all(
                    not one.meets(other)
                    or place + one.aligned <= offsets[other.name]
                    or offsets[other.name] + other.aligned <= place
                    for other in order
                    if other.name in offsets
                )
            )
        return max((offsets[one.name] + one.aligned for one in order), default=0)

    assert plan_memory(buffers).bytes == min(map(stacked, itertools.permutations(buffers)))


def test_an_overlap_is_found() -> None:
    one, other = Buffer("one", 16, 0, 3), Buffer("other", 16, 3, 5)
    with pytest.raises(InternalError, match="one and other overlap"):
        reject_overlaps(MemoryPlan((one, other), {"one": 0, "other": 8}))
    reject_overlaps(MemoryPlan((one, other), {"one": 0, "other": 16}))
    with pytest.raises(InternalError, match="the same name"):
        plan_memory([one, Buffer("one", 8, 9, 9)])
