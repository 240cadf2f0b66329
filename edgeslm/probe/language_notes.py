"""What a reader has to know beside a language model's numbers: what is missing, and what is not what it looks like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgeslm.probe.language_report import LanguagePart
from edgeslm.probe.settings import Event
from edgeslm.probe.step_reads import StepReads


def language_notes(part: LanguagePart, told: Mapping[str, Sequence[Event]], reads: StepReads) -> Iterator[str]:
    """`told`: the device's events by section."""
    for prompt in part.prompts:
        if prompt.why_not:
            yield f"no prompt of {prompt.tokens:,} tokens: {prompt.why_not}"
    for depth in part.decode:
        if depth.why_not:
            yield f"no step at a depth of {depth.tokens:,} tokens: {depth.why_not}"
    if reads.why_not:
        yield f"how much a step reads is not known: {reads.why_not}"
    for event in told.get("bandwidth", []):
        if event["why_not"]:
            yield f"the memory's bandwidth was not measured: {event['why_not']}"
    if any(depth.bandwidth_share is not None and depth.bandwidth_share > 1 for depth in part.decode):
        yield "a step reads more than the memory gives: part of the weights stays in the processor's caches"


def missing_profile(counted: bool, profile: Event, found: bool) -> Iterator[str]:
    """Counts that could not be told apart: the runtime's operators and its clock reads do not fit each other."""
    if counted and profile.get("operators") and not found:
        yield "no profile by operator: the clock was not read once for each operator, so their counts are not known"
