"""The part of a report that only a language model has: prompts by length, steps by depth, bytes by step."""

from __future__ import annotations

from typing import Literal

from edgeslm.probe.measured import InstructionsPart, LatencyPart, Part

BandwidthSource = Literal["target", "read test"]


class SpeedPart(Part):
    """Tokens a second at the report's reference; null where they were not measured."""

    prefill: float | None  # of a prompt, inside the runtime
    decode: float | None  # of whole greedy steps


class PromptPart(Part):
    """The first token of prompts of one length. Their text is tokenized before the clock starts."""

    tokens: int
    warm_up_runs: int
    ttft_ms: LatencyPart | None  # from asking to the first token's text
    samples_ms: tuple[float, ...]  # in the order they were taken
    prefill_ms: float | None  # the median of what was spent inside the runtime
    tokens_per_s: float | None  # tokens by prefill_ms
    instructions: InstructionsPart | None  # of the whole prompt with the choice of a token; per_token: by its tokens
    why_not: str | None  # where it was left out


class DepthPart(Part):
    """Greedy steps at one depth: the runtime's step, the likeliest token chosen, and its text."""

    tokens: int  # what prompt and answer have when the last of the steps is done
    warm_up_steps: int  # of each answer
    latency_ms: LatencyPart | None  # of one step
    samples_ms: tuple[float, ...]
    tokens_per_s: float | None  # by the mean
    outside_ms: float | None  # the median of what a step spends outside the runtime
    instructions: InstructionsPart | None  # of one step
    bytes_read: int | None  # weights, and the rows of the cache that the step reads
    bandwidth_share: float | None  # bytes_read by the median latency, of LanguagePart.bandwidth_mib_s
    why_not: str | None


class LanguagePart(Part):
    """What was measured of a language model."""

    context: int  # tokens that prompt and answer may have
    vocabulary: int
    prompts: tuple[PromptPart, ...]
    decode: tuple[DepthPart, ...]
    weight_bytes: int | None  # that a step reads: of a table that is only looked up in, one row
    cache_row_bytes: int  # keys and values of one token, in all layers
    bandwidth_mib_s: float | None  # what bandwidth_share is a share of
    bandwidth_source: BandwidthSource | None
    read_test_mib_s: float | None  # a plain sum over 128 MiB, the fastest of five, with as many threads as the model
