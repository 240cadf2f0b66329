"""A ProbeReport of a microcontroller's firmware, from what its board told."""

from __future__ import annotations

from collections.abc import Sequence

from edgeslm import __version__
from edgeslm.bundle import manifest as manifest_parts
from edgeslm.bundle.inspect import Inspection
from edgeslm.bundle.manifest import Manifest
from edgeslm.probe.assemble import bundle_part
from edgeslm.probe.firmware_counts import Counts, counts_notes, counts_of
from edgeslm.probe.language import reference_prompt
from edgeslm.probe.language_report import DepthPart, LanguagePart, PromptPart, SpeedPart
from edgeslm.probe.report import (
    ConditionPart,
    DevicePart,
    EnergyPart,
    FirmwarePart,
    LayerPart,
    LengthPart,
    MemoryPart,
    PositionPart,
    ProbeReport,
    ProfilePart,
    RuntimePart,
    ThroughputPart,
)
from edgeslm.probe.settings import Event

REFERENCE = 128
PROMPTS = (16, 128, 512)
DEPTHS = (16, 64, 128, 256, 512, 1024, 2048)
SECTIONS = ("board", "prefill", "decode", "end")
"""What is missing of a report that ended early."""
TEXT_SECTIONS = ("board", "text", "end")
"""The same of an encoder's."""
NET_SECTIONS = ("board", "run", "end")
"""The same of a net's."""
CACHE_BYTES = {"float32": (4, 0), "float16": (2, 0), "int8": (1, 4)}
"""Of a number in the cache, and of the scale that a row of a head has."""
NO_ENERGY = {
    True: "an emulated board takes none of its own",
    False: "no meter is read beside a board",
}
"""By whether the board is emulated."""


def firmware_report(
    inspection: Inspection,
    via: str,
    events: Sequence[Event],
    *,
    started_at: str,
    duration_s: float,
    problem: str | None,
) -> ProbeReport | None:
    """The report of these events (transports/board.py); None where the board did not even say what it is."""
    board = next((event for event in events if event["section"] == "board"), None)
    if board is None:
        return None
    manifest = inspection.manifest
    texts = [event for event in events if event["section"] == "text"]
    positions = [event for event in events if event["section"] == "position"]
    prefill = [event for event in positions if not event["logits"]]
    decode = [event for event in positions if event["logits"]]
    end = next((event for event in events if event["section"] == "end"), None)
    run = next((event for event in events if event["section"] == "run"), None)
    speaks = manifest.model.language is not None
    there = {"board": board, "prefill": prefill, "decode": decode, "text": texts, "run": run, "end": end}
    sections = SECTIONS if speaks else NET_SECTIONS if manifest.task == "tensors" else TEXT_SECTIONS
    missing = tuple(name for name in sections if not there[name])
    counts = counts_of(board, end)
    reference = min(REFERENCE, len(decode)) if decode else None
    longest = max(texts, key=lambda event: int(event["tokens"])) if texts else None
    if longest is not None:
        reference = longest["tokens"]
    step = run or longest or (decode[reference - 1] if reference else None)
    language = _language(manifest, board, counts, prefill, decode) if speaks else None
    prompt = reference_prompt(language, reference) if language else None
    return ProbeReport(
        edgeslm=__version__,
        complete=problem is None and not missing,
        problem=problem,
        missing=missing,
        via=via,
        emulated=counts.emulated,
        started_at=started_at,
        duration_s=round(duration_s, 3),
        bundle=bundle_part(inspection),
        device=_device(manifest, counts),
        runtime=RuntimePart(name="firmware", version=_firmware(manifest).compiler, python=None, threads=1),
        reference_tokens=reference,
        latency_ms=counts.latency(step["whole"]) if step else None,
        instructions=counts.instructions(step["whole"], step.get("tokens", 1)) if step else None,
        ttft_ms=prompt.ttft_ms.p50 if prompt and prompt.ttft_ms else None,
        tokens_per_s=_speed(prompt, step, counts) if language else None,
        load_ms=None,
        reload_ms=None,
        first_run_ms=None,
        peak_rss_mib=None,
        memory=MemoryPart(rss=None, peak_rss=None, private=None),
        lengths=tuple(_length(event, counts) for event in ([run] if run else texts)),
        throughput=_throughput(longest, counts),
        energy=EnergyPart(measured=False, why_not=NO_ENERGY[counts.emulated]),
        profile=_run_profile(run, counts)
        if run
        else _text_profile(longest, counts)
        if longest
        else _profile(decode, reference, counts)
        if reference
        else None,
        estimate=None,
        language=language,
        firmware=_memory(manifest, board, counts, prefill, decode, end),
        notes=counts_notes(board, end, manifest.target.cpu.clock_mhz),
    )


def _language(
    manifest: Manifest, board: Event, counts: Counts, prefill: Sequence[Event], decode: Sequence[Event]
) -> LanguagePart:
    spoken = manifest.model.language
    assert spoken is not None
    each, scale = CACHE_BYTES[spoken.kv_cache]
    return LanguagePart(
        context=board["context"],
        vocabulary=board["vocabulary"],
        prompts=tuple(_prompt(tokens, counts, prefill, decode) for tokens in PROMPTS if tokens <= len(decode)),
        decode=tuple(_depth(depth, counts, decode) for depth in DEPTHS if depth <= len(decode)),
        weight_bytes=None,
        cache_row_bytes=2 * spoken.layers * spoken.kv_heads * (spoken.head_dim * each + scale),
        bandwidth_mib_s=None,
        bandwidth_source=None,
        read_test_mib_s=None,
    )


def _speed(prompt: PromptPart | None, step: Event | None, counts: Counts) -> SpeedPart | None:
    """Of the prompt and the step whose figures stand at the top; None where neither is a time."""
    prefill, decode = prompt.tokens_per_s if prompt else None, counts.rate(step["whole"]) if step else None
    return None if prefill is None and decode is None else SpeedPart(prefill=prefill, decode=decode)


def _prompt(tokens: int, counts: Counts, prefill: Sequence[Event], decode: Sequence[Event]) -> PromptPart:
    """All tokens but the last leave the output layer out; that one's logits give the first token."""
    last = decode[tokens - 1]
    entered = sum(event["step"] for event in prefill[: tokens - 1])
    whole, step = entered + last["whole"], entered + last["step"]
    return PromptPart(
        tokens=tokens,
        warm_up_runs=0,
        ttft_ms=counts.latency(whole),
        samples_ms=counts.samples(whole),
        prefill_ms=counts.ms(step),
        tokens_per_s=counts.rate(step, tokens),
        instructions=counts.instructions(whole, tokens),
        why_not=None,
    )


def _depth(depth: int, counts: Counts, decode: Sequence[Event]) -> DepthPart:
    """The step after which prompt and answer have `depth` tokens, with the choice of a token and its text."""
    event = decode[depth - 1]
    return DepthPart(
        tokens=depth,
        warm_up_steps=0,
        latency_ms=counts.latency(event["whole"]),
        samples_ms=counts.samples(event["whole"]),
        tokens_per_s=counts.rate(event["whole"]),
        outside_ms=counts.ms(event["whole"] - event["step"]),
        instructions=counts.instructions(event["whole"], 1),
        bytes_read=None,
        bandwidth_share=None,
        why_not=None,
    )


def _profile(decode: Sequence[Event], depth: int, counts: Counts) -> ProfilePart:
    """One step by its parts; choosing a token and its text are the rest."""
    event = decode[depth - 1]
    parts: list[int] = event["parts"]
    names = ["embedding", *(f"layer {number}" for number in range(len(parts) - 2)), "output layer"]
    taken = dict(zip(names, parts, strict=True)) | {"choosing a token, and its text": event["whole"] - event["step"]}
    return _shares(taken, depth, event["whole"], counts)


def _length(event: Event, counts: Counts) -> LengthPart:
    whole: int = event["whole"]
    return LengthPart(
        tokens=event["tokens"],
        warm_up_runs=0,
        latency_ms=counts.latency(whole),
        samples_ms=counts.samples(whole),
        instructions=counts.instructions(whole, event["tokens"]),
        cycles=None if counts.emulated else whole,
    )


def _throughput(longest: Event | None, counts: Counts) -> tuple[ThroughputPart, ...]:
    """A board reads one text after the other."""
    texts = counts.rate(longest["whole"]) if longest else None
    if longest is None or texts is None:
        return ()
    return (ThroughputPart(batch=1, batches=1, texts_per_s=texts, tokens_per_s=texts * longest["tokens"]),)


def _text_profile(event: Event, counts: Counts) -> ProfilePart:
    """A text by its parts."""
    parts: list[int] = event["parts"]
    names = ["embedding", *(f"layer {number}" for number in range(len(parts) - 2)), "output"]
    return _shares(dict(zip(names, parts, strict=True)), event["tokens"], event["whole"], counts)


def _run_profile(event: Event, counts: Counts) -> ProfilePart:
    """A net by its steps."""
    return _shares(dict(zip(event["steps"], event["parts"], strict=True)), None, event["whole"], counts)


def _shares(taken: dict[str, int], tokens: int | None, measured: int, counts: Counts) -> ProfilePart:
    whole = max(1, sum(taken.values()))
    layers = [
        LayerPart(
            layer=name,
            operators=1,
            ms=counts.ms(count),
            instructions=float(count) if counts.emulated else None,
            share=count / whole,
            cycles=None if counts.emulated else count,
        )
        for name, count in taken.items()
    ]
    layers.sort(key=lambda layer: -layer.share)
    covered = whole / max(1, measured)
    return ProfilePart(tokens=tokens, runs=1, operators=(), layers=tuple(layers), covered=round(covered, 4))


def _memory(
    manifest: Manifest,
    board: Event,
    counts: Counts,
    prefill: Sequence[Event],
    decode: Sequence[Event],
    end: Event | None,
) -> FirmwarePart:
    firmware = _firmware(manifest)
    return FirmwarePart(
        compiler=firmware.compiler,
        counter=board["ticks"],
        unit=counts.unit,
        clock_hz=counts.clock_hz or None,
        positions=tuple(
            PositionPart(position=first["position"], prefill=first["step"], decode=second["whole"])
            for first, second in zip(prefill, decode, strict=False)  # the steps may have ended early
        ),
        flash=firmware.flash,
        ram=firmware.ram,
        stack_bytes=board["stack_bytes"],
        stack_used=end["stack_used"] if end else None,
        arena_bytes=board["arena_bytes"],
        arena_used=end["arena_used"] if end else None,
    )


def _device(manifest: Manifest, counts: Counts) -> DevicePart:
    cpu = manifest.target.cpu
    nothing = ConditionPart(**dict.fromkeys(ConditionPart.model_fields))
    mhz = counts.clock_hz / 1e6 or None
    return DevicePart(
        machine=cpu.arch,
        cpu=None,
        core=cpu.core,
        cores=1,
        board=None if counts.emulated else manifest.target.title,
        virtual="qemu-system-arm" if counts.emulated else None,
        clock_max_mhz=mhz,
        memory_mib=None,
        system=None,
        kernel=None,
        glibc=None,
        is_target=True,
        before=nothing.model_copy(update={"clock_mhz": mhz}),
        after=nothing,
        throttled=None,
    )


def _firmware(manifest: Manifest) -> manifest_parts.FirmwarePart:
    assert manifest.firmware is not None
    return manifest.firmware
