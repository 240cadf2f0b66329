"""Which of an emulator's counts belong to which operator: a profiler reads the clock around them.

How often each runtime does, and in which order, stands in edgeslm/device/probe/profile_litert.py and
profile_openvino.py, where it was found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LITERT_EDGE = 3  # reads before the first operator, and after the last one
OPENVINO_EDGE = 1


def instructions_by_operator(reads: Sequence[int], operators: Sequence[Mapping[str, Any]]) -> list[float] | None:
    """One count for each of the profile's operators; None where the clock was not read as often as they need, which is
    so where XNNPACK concatenates: it times each input and tells one operator.

    `reads`: the instructions between one clock read and the next in one profiled run, the first from the mark before
    it, the last up to the mark behind it.
    """
    ends: list[int] = []  # for each operator the clock read right after it
    edge = OPENVINO_EDGE if operators and operators[0]["source"] == "openvino" else LITERT_EDGE
    read = edge - 1
    for operator in operators:
        # XNNPACK reads the clock once before the first of a row of operators, and after each of them.
        in_a_row = operator["source"] == "xnnpack" and operator["index"] > 0
        read += 1 if in_a_row else 2
        ends.append(read)
    if not operators or len(reads) != read + edge + 2:
        return None
    return [float(reads[end]) for end in ends]
