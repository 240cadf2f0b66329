"""Which of an emulator's counts belong to which operator: a profiler reads the clock around them.

How often each runtime does, and in which order, stands in edgeslm/device/probe/profile_litert.py and
profile_openvino.py, where it was found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LITERT_EDGE = 3  # reads before the first operator, and after the last one
OPENVINO_EDGE = 1


CONCATENATION = "Copy"
"""How XNNPACK's name for it begins. It times each input and tells one operator."""


def instructions_by_operator(
    reads: Sequence[int], operators: Sequence[Mapping[str, Any]], concatenated: int = 1
) -> list[float] | None:
    """One count for each of the profile's operators; None where the clock was not read as often as they need, which is
    so where XNNPACK concatenates other numbers of inputs than `concatenated`.

    `reads`: the instructions between one clock read and the next in one profiled run, the first from the mark before
    it, the last up to the mark behind it.
    """
    spans: list[tuple[int, int]] = []  # for each operator the first and the last of the counts that are its own
    edge = OPENVINO_EDGE if operators and operators[0]["source"] == "openvino" else LITERT_EDGE
    read = edge - 1
    for operator in operators:
        # XNNPACK reads the clock once before the first of a row of operators, and after each of them.
        in_a_row = operator["source"] == "xnnpack" and operator["index"] > 0
        read += 1 if in_a_row else 2
        first = read
        if operator["source"] == "xnnpack" and operator["kind"].startswith(CONCATENATION):
            read += concatenated - 1
        spans.append((first, read))
    if not operators or len(reads) != read + edge + 2:
        return None
    return [float(sum(reads[first : last + 1])) for first, last in spans]
