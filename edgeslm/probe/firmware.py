"""A ProbeReport of a microcontroller's firmware, from what its board told."""

from __future__ import annotations

from collections.abc import Sequence

from edgeslm import __version__
from edgeslm.bundle import manifest as manifest_parts
from edgeslm.bundle.inspect import Inspection
from edgeslm.bundle.manifest import Manifest
from edgeslm.probe.assemble import bundle_part
from edgeslm.probe.language_report import DepthPart, LanguagePart, PromptPart
from edgeslm.probe.measured import InstructionsPart, instructions_part
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
NO_TIMES = "an emulator's time is none of the board's: instructions are counted, and they are no milliseconds"


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
    reference = min(REFERENCE, len(decode)) if decode else None
    longest = max(texts, key=lambda event: int(event["tokens"])) if texts else None
    if longest is not None:
        reference = longest["tokens"]
    return ProbeReport(
        edgeslm=__version__,
        complete=problem is None and not missing,
        problem=problem,
        missing=missing,
        via=via,
        emulated=True,
        started_at=started_at,
        duration_s=round(duration_s, 3),
        bundle=bundle_part(inspection),
        device=_device(manifest),
        runtime=RuntimePart(name="firmware", version=_firmware(manifest).compiler, python=None, threads=1),
        reference_tokens=reference,
        latency_ms=None,
        instructions=_of_run(run)
        if run
        else _text(longest)
        if longest
        else _step(decode, reference)
        if reference
        else None,
        load_ms=None,
        reload_ms=None,
        first_run_ms=None,
        peak_rss_mib=None,
        memory=MemoryPart(rss=None, peak_rss=None, private=None),
        lengths=tuple(
            LengthPart(
                tokens=event["tokens"], warm_up_runs=0, latency_ms=None, samples_ms=(), instructions=_text(event)
            )
            for event in texts
        )
        + _lengths_of(run),
        throughput=(),
        energy=EnergyPart(measured=False, why_not="an emulated board takes none of its own"),
        profile=_profile_of(run, longest, decode, reference),
        estimate=None,
        language=_language(manifest, board, prefill, decode) if speaks else None,
        firmware=_memory(manifest, board, prefill, decode, end),
        notes=(NO_TIMES, f"counted by {board['ticks']}: exact to one of its ticks, {_tick(manifest)} instructions"),
    )


def _of_run(run: Event) -> InstructionsPart | None:
    """One inference of a net."""
    return instructions_part([run["whole"]], None)


def _lengths_of(run: Event | None) -> tuple[LengthPart, ...]:
    """A net has one shape, and no tokens."""
    if run is None:
        return ()
    return (LengthPart(tokens=None, warm_up_runs=0, latency_ms=None, samples_ms=(), instructions=_of_run(run)),)


def _profile_of(
    run: Event | None, longest: Event | None, decode: Sequence[Event], reference: int | None
) -> ProfilePart | None:
    if run is not None:
        return _shares(dict(zip(run["steps"], run["parts"], strict=True)), None, run["whole"])
    if longest is not None:
        return _text_profile(longest)
    return _profile(decode, reference) if reference else None


def _language(manifest: Manifest, board: Event, prefill: Sequence[Event], decode: Sequence[Event]) -> LanguagePart:
    spoken = manifest.model.language
    assert spoken is not None
    each, scale = CACHE_BYTES[spoken.kv_cache]
    return LanguagePart(
        context=board["context"],
        vocabulary=board["vocabulary"],
        prompts=tuple(_prompt(tokens, prefill, decode) for tokens in PROMPTS if tokens <= len(decode)),
        decode=tuple(_depth(depth, decode) for depth in DEPTHS if depth <= len(decode)),
        weight_bytes=None,
        cache_row_bytes=2 * spoken.layers * spoken.kv_heads * (spoken.head_dim * each + scale),
        bandwidth_mib_s=None,
        bandwidth_source=None,
        read_test_mib_s=None,
    )


def _prompt(tokens: int, prefill: Sequence[Event], decode: Sequence[Event]) -> PromptPart:
    """All tokens but the last leave the output layer out; that one's logits give the first token."""
    entered = sum(event["step"] for event in prefill[: tokens - 1])
    return PromptPart(
        tokens=tokens,
        warm_up_runs=0,
        ttft_ms=None,
        samples_ms=(),
        prefill_ms=None,
        tokens_per_s=None,
        instructions=instructions_part([entered + decode[tokens - 1]["whole"]], tokens),
        why_not=None,
    )


def _depth(depth: int, decode: Sequence[Event]) -> DepthPart:
    return DepthPart(
        tokens=depth,
        warm_up_steps=0,
        latency_ms=None,
        samples_ms=(),
        tokens_per_s=None,
        outside_ms=None,
        instructions=_step(decode, depth),
        bytes_read=None,
        bandwidth_share=None,
        why_not=None,
    )


def _step(decode: Sequence[Event], depth: int) -> InstructionsPart | None:
    """The step after which prompt and answer have `depth` tokens, with the choice of a token and its text."""
    return instructions_part([decode[depth - 1]["whole"]], 1)


def _profile(decode: Sequence[Event], depth: int) -> ProfilePart:
    """One step by its parts; choosing a token and its text are the rest."""
    event = decode[depth - 1]
    parts: list[int] = event["parts"]
    names = ["embedding", *(f"layer {number}" for number in range(len(parts) - 2)), "output layer"]
    counts = dict(zip(names, parts, strict=True)) | {"choosing a token, and its text": event["whole"] - event["step"]}
    return _shares(counts, depth, event["whole"])


def _text(event: Event) -> InstructionsPart | None:
    return instructions_part([event["whole"]], event["tokens"])


def _text_profile(event: Event) -> ProfilePart:
    """A text by its parts."""
    parts: list[int] = event["parts"]
    names = ["embedding", *(f"layer {number}" for number in range(len(parts) - 2)), "output"]
    return _shares(dict(zip(names, parts, strict=True)), event["tokens"], event["whole"])


def _shares(counts: dict[str, int], tokens: int | None, measured: int) -> ProfilePart:
    whole = max(1, sum(counts.values()))
    layers = [
        LayerPart(layer=name, operators=1, ms=None, instructions=float(count), share=count / whole)
        for name, count in counts.items()
    ]
    layers.sort(key=lambda layer: -layer.share)
    covered = whole / max(1, measured)
    return ProfilePart(tokens=tokens, runs=1, operators=(), layers=tuple(layers), covered=round(covered, 4))


def _memory(
    manifest: Manifest, board: Event, prefill: Sequence[Event], decode: Sequence[Event], end: Event | None
) -> FirmwarePart:
    firmware = _firmware(manifest)
    return FirmwarePart(
        compiler=firmware.compiler,
        counter=board["ticks"],
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


def _device(manifest: Manifest) -> DevicePart:
    cpu = manifest.target.cpu
    nothing = ConditionPart(**dict.fromkeys(ConditionPart.model_fields))
    return DevicePart(
        machine=cpu.arch,
        cpu=None,
        core=cpu.core,
        cores=1,
        board=None,
        virtual="qemu-system-arm",
        clock_max_mhz=None,
        memory_mib=None,
        system=None,
        kernel=None,
        glibc=None,
        is_target=True,
        before=nothing,
        after=nothing,
        throttled=None,
    )


def _firmware(manifest: Manifest) -> manifest_parts.FirmwarePart:
    assert manifest.firmware is not None
    return manifest.firmware


def _tick(manifest: Manifest) -> str:
    return f"{1000 / manifest.target.cpu.clock_mhz:.3g}"
