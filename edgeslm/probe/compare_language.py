"""What of language models is compared: prompts of the same length, steps at the same depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeVar

from edgeslm.probe.language_report import DepthPart, PromptPart
from edgeslm.probe.report import ProbeReport

Better = Literal["lower", "higher"]
AnyPart = TypeVar("AnyPart", PromptPart, DepthPart)


class Row(NamedTuple):
    """One figure of all reports, in their order; None where one does not have it."""

    figure: str
    tokens: int
    unit: str
    better: Better
    values: list[float | None]


def language_rows(reports: Sequence[ProbeReport]) -> Iterator[Row]:
    """Every figure that belongs to a length or depth which two reports have at least."""
    for tokens in _shared([{part.tokens for part in _prompts(report)} for report in reports]):
        yield from _prompt_rows(reports, tokens)
    for tokens in shared_depths(reports):
        yield from _depth_rows(reports, tokens)


def shared_depths(reports: Sequence[ProbeReport]) -> list[int]:
    """Depths that two reports have at least."""
    return _shared([{part.tokens for part in _depths(report)} for report in reports])


def depth_values(report: ProbeReport, measure: Callable[[DepthPart], float | None]) -> dict[int | None, float | None]:
    """A figure of a report by depth."""
    return {part.tokens: measure(part) for part in _depths(report)}


def _prompt_rows(reports: Sequence[ProbeReport], tokens: int) -> Iterator[Row]:
    parts = [_at(_prompts(report), tokens) for report in reports]
    real = _where(reports, parts, emulated=False)
    first = [part.ttft_ms if part else None for part in real]
    yield Row("first token p50", tokens, "ms", "lower", [part.p50 if part else None for part in first])
    yield Row("first token p99", tokens, "ms", "lower", [part.p99 if part else None for part in first])
    yield Row("prefill", tokens, "tokens/s", "higher", [part.tokens_per_s if part else None for part in real])
    counts = [part.instructions if part else None for part in _where(reports, parts, emulated=True)]
    each = [count.per_token if count else None for count in counts]
    yield Row("instructions per token of a prompt", tokens, "instructions", "lower", each)


def _depth_rows(reports: Sequence[ProbeReport], tokens: int) -> Iterator[Row]:
    parts = [_at(_depths(report), tokens) for report in reports]
    real = _where(reports, parts, emulated=False)
    steps = [part.latency_ms if part else None for part in real]
    shares = [part.bandwidth_share if part else None for part in real]
    counts = [instructions_of(part) if part else None for part in _where(reports, parts, emulated=True)]
    yield Row("decode", tokens, "tokens/s", "higher", [part.tokens_per_s if part else None for part in real])
    yield Row("token p50", tokens, "ms", "lower", [part.p50 if part else None for part in steps])
    yield Row("token p99", tokens, "ms", "lower", [part.p99 if part else None for part in steps])
    yield Row("outside the runtime", tokens, "ms", "lower", [part.outside_ms if part else None for part in real])
    yield Row("instructions per token", tokens, "instructions", "lower", counts)
    yield Row("read per token", tokens, "bytes", "lower", [part.bytes_read if part else None for part in parts])
    yield Row("share of the memory's bandwidth", tokens, "", "higher", shares)


def instructions_of(part: DepthPart) -> float | None:
    return part.instructions.per_inference if part.instructions else None


def _prompts(report: ProbeReport) -> Sequence[PromptPart]:
    return report.language.prompts if report.language else ()


def _depths(report: ProbeReport) -> Sequence[DepthPart]:
    return report.language.decode if report.language else ()


def _at(parts: Sequence[AnyPart], tokens: int) -> AnyPart | None:
    return next((part for part in parts if part.tokens == tokens), None)


def _where(reports: Sequence[ProbeReport], parts: Sequence[AnyPart | None], emulated: bool) -> list[AnyPart | None]:
    """An emulator's times and a device's counts are none, whatever a report says."""
    return [part if report.emulated is emulated else None for report, part in zip(reports, parts, strict=True)]


def _shared(everywhere: Sequence[set[int]]) -> list[int]:
    found = {tokens for lengths in everywhere for tokens in lengths}
    return sorted(tokens for tokens in found if sum(tokens in lengths for lengths in everywhere) > 1)
