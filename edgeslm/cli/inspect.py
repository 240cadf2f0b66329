"""`edgeslm inspect`: what is inside a bundle, every digest verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeslm.cli.console import megabytes, note, print_json, print_table, warn

if TYPE_CHECKING:
    from edgeslm.bundle.inspect import Inspection
    from edgeslm.bundle.manifest import AndroidPart, FidelityPart, FirmwarePart, Manifest, TensorPart
    from edgeslm.target import Target


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def inspect(bundle: Path, as_json: bool) -> None:
    """Show what is inside BUNDLE, a file or its unpacked folder, and verify every digest.

    Exit status 8 when something in it is not what its manifest says.
    """
    from edgeslm.answers import inspect_answer
    from edgeslm.bundle.inspect import inspect_bundle

    inspection = inspect_bundle(bundle)
    if inspection.manifest.below_gate:
        warn("this bundle is BELOW ITS GATES: it was built with --allow-below-gate")
    if as_json:
        print_json(inspect_answer(inspection))
        return
    _print_inspection(inspection)


def _print_inspection(inspection: Inspection) -> None:
    manifest = inspection.manifest
    fidelity, model = manifest.fidelity, manifest.model
    print_table(
        None,
        [
            ["bundle", f"{inspection.path}  ({megabytes(inspection.bytes)}{', unpacked' * inspection.unpacked})"],
            ["digest", inspection.digest],
            ["model", f"{manifest.name} ({manifest.architecture}, {manifest.task})"],
            ["target", f"{manifest.target.title} ({manifest.target.cpu.core})"],
            ["backend", f"{manifest.backend}, runs on {model.runtime}"],
            ["scheme", manifest.scheme],
            *(_android_rows(manifest.android) if manifest.android else []),
            ["text lengths", _lengths(manifest)],
            ["fidelity", _fidelity(fidelity)],
            ["gates", _gates(fidelity)],
            *([["compiler", manifest.firmware.compiler]] if manifest.firmware else []),
            *([["image", manifest.firmware.digest]] if manifest.firmware and manifest.firmware.digest else []),
            ["built by", f"edgeslm {manifest.edgeslm}"],
            ["tools", ", ".join(f"{name} {version}" for name, version in sorted(manifest.tools.items()))],
            ["scored on", " ".join(manifest.host_cpu) or "an unknown CPU"],
        ],
    )
    tensors = [
        [
            tensor.name,
            way,
            tensor.dtype,
            "×".join("length" if n < 0 else str(n) for n in tensor.shape),
            _meaning(tensor),
        ]
        for way, tensors in (("in", model.inputs), ("out", model.outputs))
        for tensor in tensors
    ]
    if tensors:
        click.echo()
        means = any(tensor[-1] for tensor in tensors)
        print_table(
            ["tensor", "", "type", "shape"] + ["what it stands for"] * means, [row[: 4 + means] for row in tensors]
        )
    if manifest.android is not None:
        click.echo()
        print_table(
            ["opened as", "bytes", "fidelity", "gates"],
            [
                [one.id, f"{manifest.files[one.model.files[0]].bytes:,}", _fidelity(one.fidelity), _gates(one.fidelity)]
                for one in manifest.android.models
            ],
            right={1},
        )
    if manifest.firmware is not None:
        click.echo()
        print_table(["memory", "item", "bytes"], _firmware_rows(manifest.firmware, manifest.target), right={2})
    click.echo()
    print_table(
        ["file", "bytes", "SHA-256"],
        [[name, f"{part.bytes:,}", part.sha256] for name, part in sorted(manifest.files.items())],
        right={1},
    )
    note(f"\nall {len(manifest.files)} digests are right")


def _android_rows(android: AndroidPart) -> list[list[str]]:
    """Where an app finds the library, and where LiteRT comes from."""
    merged = f"in the library: {', '.join(android.merged)}"
    return [
        ["library", f"{android.library} ({android.coordinate})"],
        ["project", f"{android.project}/, for Android Studio"],
        ["LiteRT", f"{android.litert}, at the app's build" if android.litert else merged],
    ]


def _gates(fidelity: FidelityPart) -> str:
    missed = [gate.name for gate in fidelity.gates if not gate.passed]
    return f"MISSED: {', '.join(missed)}" if missed else f"all {len(fidelity.gates)} passed"


def _fidelity(fidelity: FidelityPart) -> str:
    if any(one.identical is not None for one in fidelity.outputs):
        share = min(one.identical or 0.0 for one in fidelity.outputs)
        return f"{share:.4%} of all numbers are those of {fidelity.reference}, on {fidelity.samples} samples"
    return f"cosine at least {_number(fidelity.cosine_min)} on {fidelity.samples} samples"


def _meaning(tensor: TensorPart) -> str:
    if tensor.ids is not None:
        return f"ids below {tensor.ids}"
    return "" if tensor.scale is None else f"{tensor.scale:.9g} · (integer - {tensor.zero_point})"


def _lengths(manifest: Manifest) -> str:
    if manifest.generation is not None:
        return f"prompt and answer together {manifest.generation.context} tokens"
    return ", ".join(map(str, manifest.model.lengths)) or "fixed shapes"


def _firmware_rows(firmware: FirmwarePart, target: Target) -> list[list[str]]:
    """What a microcontroller's image takes, by item."""
    rows = []
    for kind, items, kib in (
        ("flash", firmware.flash, target.memory.storage_kib),
        ("RAM", firmware.ram, target.memory.ram_kib),
    ):
        rows += [[kind, name, f"{size:,}"] for name, size in sorted(items.items(), key=lambda item: -item[1])]
        rows.append([kind, "in all", f"{sum(items.values()):,} of {kib * 1024:,}"])
    return rows


def _number(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.6f}"
