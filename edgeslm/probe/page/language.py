"""The sections of a language model: its first token, its steps by depth, and what a step reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeslm.probe.language_report import DepthPart, LanguagePart, PromptPart
from edgeslm.probe.measured import LatencyPart
from edgeslm.probe.page import plots
from edgeslm.probe.page.figures import UNKNOWN, Fact, Plot, Samples, Section, Table, facts, show, with_unit

LATENCY = ("p50", "p90", "p99", "mean", "min", "max", "runs", "discarded")
LATENCY_HEADER = ("p50 ms", "p90 ms", "p99 ms", "mean ms", "min ms", "max ms", "runs", "discarded")


def language_sections(part: LanguagePart, reference: int | None, emulated: bool, prefix: str) -> Iterator[Section]:
    """`reference`: the depth of the headline. `prefix` keeps the names in them apart from another report's."""
    yield _prompts(part.prompts, emulated, prefix)
    yield _decode(part.decode, reference, emulated, prefix)
    yield _reads(part, reference, prefix)


def latency_cells(part: LatencyPart | None) -> list[str]:
    """In the order of LATENCY."""
    return [UNKNOWN if part is None else show(getattr(part, field)) for field in LATENCY]


def _prompts(prompts: Sequence[PromptPart], emulated: bool, prefix: str) -> Section:
    drawn = None
    if emulated:
        header: tuple[str, ...] = ("tokens", "whole prompt", "per token", "spread", "runs", "warm-up")
        rows = [(show(one.tokens), *_count_cells(one), show(one.warm_up_runs)) for one in prompts]
        text = "Guest instructions up to the first token, in one thread, the median of the runs. They are no times."
    else:
        header = ("tokens", *LATENCY_HEADER, "prefill ms", "tokens/s", "warm-up")
        rows = [
            (
                show(one.tokens),
                *latency_cells(one.ttft_ms),
                *map(show, (one.prefill_ms, one.tokens_per_s, one.warm_up_runs)),
            )
            for one in prompts
        ]
        text = "From asking to the first token's text; the prompt is tokens already. Prefill is what the runtime takes."
        drawn = plots.first_token_by_length(prompts, f"{prefix}-first-tokens")
    return Section(
        "Prompts",
        f"{prefix}-prompts",
        text=text,
        plots=_there(drawn),
        tables=[Table(header, rows)],
        samples=_samples([(one.tokens, one.samples_ms) for one in prompts]),
        points=_left_out([(one.tokens, one.why_not) for one in prompts]),
        points_title="Left out",
    )


def _decode(depths: Sequence[DepthPart], reference: int | None, emulated: bool, prefix: str) -> Section:
    marked = next((row for row, one in enumerate(depths) if one.tokens == reference), None)
    if emulated:
        header: tuple[str, ...] = ("depth", "one step", "per token", "spread", "runs", "warm-up")
        rows = [(show(one.tokens), *_count_cells(one), show(one.warm_up_steps)) for one in depths]
        text = "Guest instructions of a greedy step, choosing and text included, in one thread. They are no times."
    else:
        header = ("depth", "tokens/s", *LATENCY_HEADER, "outside ms", "warm-up")
        rows = [
            (
                show(one.tokens),
                show(one.tokens_per_s),
                *latency_cells(one.latency_ms),
                show(one.outside_ms),
                show(one.warm_up_steps),
            )
            for one in depths
        ]
        text = (
            "Of one greedy step: the runtime's own, choosing the likeliest token, making text of it. Outside is what "
            "lies outside the runtime. A depth is what prompt and answer have in tokens."
        )
    drawn = (
        None if emulated else plots.distribution(depths, f"{prefix}-steps", "Every step"),
        plots.decode_by_depth(depths, emulated, f"{prefix}-decode-speed"),
    )
    return Section(
        "Decode",
        f"{prefix}-decode",
        text=text,
        plots=_there(*drawn),
        tables=[Table(header, rows, marked=marked)],
        samples=_samples([(one.tokens, one.samples_ms) for one in depths]),
        points=_left_out([(one.tokens, one.why_not) for one in depths]),
        points_title="Left out",
    )


def _reads(part: LanguagePart, reference: int | None, prefix: str) -> Section:
    rows = [(show(one.tokens), show(one.bytes_read), show(one.bandwidth_share)) for one in part.decode]
    bandwidth = [Fact("read test here", with_unit(part.read_test_mib_s, "MiB/s"))]
    if part.bandwidth_source:
        text = f"{with_unit(part.bandwidth_mib_s, 'MiB/s')} ({part.bandwidth_source})"
        bandwidth.insert(0, Fact("bandwidth", text))
    return Section(
        "What a step reads",
        f"{prefix}-reads",
        text="Counted in the graph: weights once, one row of a table that is only looked up in, and the rows of the "
        "cache. The share is of the memory's bandwidth, by the median step.",
        facts=[
            *facts(
                ("weights", with_unit(part.weight_bytes, "bytes")),
                ("a row of the cache", with_unit(part.cache_row_bytes, "bytes")),
            ),
            *bandwidth,
            *facts(("context", f"{show(part.context)} tokens"), ("vocabulary", f"{show(part.vocabulary)} tokens")),
        ],
        tables=[
            Table(
                ("depth", "bytes per token", "share of bandwidth"),
                rows,
                marked=next((row for row, one in enumerate(part.decode) if one.tokens == reference), None),
            )
        ],
        beside=True,
    )


def _count_cells(part: PromptPart | DepthPart) -> list[str]:
    count = part.instructions
    return [*map(show, (count.per_inference, count.per_token, count.spread, count.runs) if count else [None] * 4)]


def _samples(parts: Sequence[tuple[int, tuple[float, ...]]]) -> Samples | None:
    rows = [(show(tokens), "  ".join(map(show, samples))) for tokens, samples in parts if samples]
    return Samples("Every reading, in milliseconds and in the order taken", rows) if rows else None


def _left_out(parts: Sequence[tuple[int, str | None]]) -> list[str]:
    return [f"{show(tokens)} tokens: {why_not}" for tokens, why_not in parts if why_not]


def _there(*drawn: Plot | None) -> list[Plot]:
    return [plot for plot in drawn if plot]
