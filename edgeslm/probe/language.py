"""A language model's part of the report, from the device's events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgeslm.probe.language_report import BandwidthSource, DepthPart, LanguagePart, PromptPart, SpeedPart
from edgeslm.probe.measured import instructions_part, latency_part
from edgeslm.probe.settings import Event
from edgeslm.probe.step_reads import StepReads
from edgeslm.target import Target

SECTIONS = ("start", "device", "load", "prompt", "decode", "memory", "bandwidth", "energy", "after", "profile", "end")
"""In the order in which a device tells them of a language model."""
UNTIMED = frozenset({"bandwidth"})
"""What an emulated device leaves out."""
MIB = 1 << 20
TakeCounts = Callable[[int], list[list[int]]]


def language_part(
    told: Mapping[str, Sequence[Event]],
    take_counts: TakeCounts,
    reads: StepReads,
    target: Target,
    is_target: bool,
) -> LanguagePart:
    """`take_counts(runs)`: the emulator's next counts, which come in the order of the prompts and depths.

    `is_target`: whether this is the device that `target` describes, and no emulator of it.
    """
    tested = next((event["read_mib_s"] for event in told.get("bandwidth", [])), None)
    bandwidth, source = _bandwidth(tested, target, is_target)
    prompts = tuple(_prompt(event, take_counts) for event in told.get("prompt", []))  # before the depths: counts
    return LanguagePart(
        context=reads.language.context,
        vocabulary=reads.language.vocabulary,
        prompts=prompts,
        decode=tuple(_depth(event, take_counts, reads, bandwidth) for event in told.get("decode", [])),
        weight_bytes=reads.weight_bytes,
        cache_row_bytes=reads.row_bytes,
        bandwidth_mib_s=bandwidth,
        bandwidth_source=source,
        read_test_mib_s=tested,
    )


def reference_prompt(part: LanguagePart, reference_tokens: int | None) -> PromptPart | None:
    """The prompt whose figures stand at the top: of those that were measured the nearest to the reference."""
    measured = [prompt for prompt in part.prompts if prompt.ttft_ms or prompt.instructions]
    return min(measured, key=lambda prompt: abs(prompt.tokens - (reference_tokens or 0)), default=None)


def reference_depth(part: LanguagePart, reference_tokens: int | None) -> DepthPart | None:
    return next((depth for depth in part.decode if depth.tokens == reference_tokens), None)


def speed_part(prompt: PromptPart | None, depth: DepthPart | None) -> SpeedPart | None:
    """None where neither is known, as with an emulator."""
    prefill, decode = prompt.tokens_per_s if prompt else None, depth.tokens_per_s if depth else None
    return None if prefill is None and decode is None else SpeedPart(prefill=prefill, decode=decode)


def _bandwidth(tested: float | None, target: Target, is_target: bool) -> tuple[float | None, BandwidthSource | None]:
    """The target's own figure, where an Arm core said that this is it: any x86 computer passes for that target, and any
    phone for Android's."""
    if is_target and target.cpu.arch == "aarch64" and target.packaging != "android":
        return float(target.memory.bandwidth_mib_s), "target"
    return (tested, "read test") if tested else (None, None)


def _prompt(event: Event, take_counts: TakeCounts) -> PromptPart:
    tokens, samples, prefill_ms = event["tokens"], event["samples_ms"], event["prefill_ms"]
    counts = [sum(run) for run in take_counts(event["counted_runs"])]
    return PromptPart(
        tokens=tokens,
        warm_up_runs=event["warm_up_runs"],
        ttft_ms=latency_part(samples, event["discarded"]),
        samples_ms=tuple(samples),
        prefill_ms=prefill_ms,
        tokens_per_s=1e3 * tokens / prefill_ms if prefill_ms else None,
        instructions=instructions_part(counts, tokens),
        why_not=event["why_not"],
    )


def _depth(event: Event, take_counts: TakeCounts, reads: StepReads, bandwidth_mib_s: float | None) -> DepthPart:
    samples, steps = event["samples_ms"], event["counted_steps"]
    counts = [sum(run) / steps for run in take_counts(event["counted_runs"])]
    latency = latency_part(samples, event["discarded"])
    bytes_read = reads.at(event["depth"])
    share = None
    if latency is not None and latency.p50 > 0 and bytes_read is not None and bandwidth_mib_s:
        share = bytes_read / MIB / (latency.p50 / 1e3) / bandwidth_mib_s
    return DepthPart(
        tokens=event["depth"],
        warm_up_steps=event["warm_up_steps"],
        latency_ms=latency,
        samples_ms=tuple(samples),
        tokens_per_s=1e3 / latency.mean if latency and latency.mean > 0 else None,
        outside_ms=event["outside_ms"],
        instructions=instructions_part(counts, 1),
        bytes_read=bytes_read,
        bandwidth_share=share,
        why_not=event["why_not"],
    )
