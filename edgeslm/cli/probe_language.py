"""A language model's figures on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeslm.cli.console import print_table

if TYPE_CHECKING:
    from edgeslm.probe.language_report import DepthPart, LanguagePart, PromptPart


def print_language(part: LanguagePart, emulated: bool) -> None:
    """Prompts by length, steps by depth: times of a device, instructions of an emulated one."""
    if emulated:
        _print_counts("prompt", "first token", part.prompts)
        click.echo()
        _print_counts("depth", "step", part.decode)
        return
    _print_prompts(part)
    click.echo()
    _print_depths(part)


def _print_prompts(part: LanguagePart) -> None:
    print_table(
        ["prompt", "first token p50 ms", "p99 ms", "prefill tokens/s", "runs"],
        [
            [f"{one.tokens}", f"{at.p50:.1f}", f"{at.p99:.1f}", _number(one.tokens_per_s, 1), f"{at.runs}"]
            for one in part.prompts
            for at in (one.ttft_ms,)
            if at is not None
        ],
        right=set(range(5)),
    )


def _print_depths(part: LanguagePart) -> None:
    print_table(
        ["depth", "tokens/s", "p50 ms", "p90 ms", "p99 ms", "outside ms", "read MiB", "of bandwidth", "runs"],
        [
            [
                f"{one.tokens}",
                _number(one.tokens_per_s, 1),
                *(f"{ms:.2f}" for ms in (at.p50, at.p90, at.p99)),
                _number(one.outside_ms, 3),
                "" if one.bytes_read is None else f"{one.bytes_read / 2**20:.2f}",
                "" if one.bandwidth_share is None else f"{one.bandwidth_share:.0%}",
                f"{at.runs}",
            ]
            for one in part.decode
            for at in (one.latency_ms,)
            if at is not None
        ],
        right=set(range(9)),
    )


def _print_counts(tokens: str, what: str, parts: tuple[PromptPart, ...] | tuple[DepthPart, ...]) -> None:
    print_table(
        [tokens, f"instructions, {what}", "per token", "runs", "spread"],
        [
            [
                f"{part.tokens}",
                f"{count.per_inference / 1e6:,.2f} M",
                "" if count.per_token is None else f"{count.per_token / 1e6:,.3f} M",
                f"{count.runs}",
                f"{count.spread:.4%}",
            ]
            for part in parts
            for count in (part.instructions,)
            if count is not None
        ],
        right=set(range(5)),
    )


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
