"""`edgeslm build`: carry the plan out; bundle and parity report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeslm.cli.console import announce_stage, megabytes, note, print_json, print_table, warn
from edgeslm.cli.request import chosen_model, request_options, take_limits

if TYPE_CHECKING:
    from edgeslm.answers import BuildAnswer, FidelityAnswer, FigureAnswer


@click.command()
@request_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def build(as_json: bool, eval_: Path | None, model: str | None, demo: str | None, **flags: Any) -> None:
    """Build a bundle for a device and report how faithful it is.

    Exit status 7 and no bundle when a fidelity gate is missed.
    """
    from edgeslm import api
    from edgeslm.answers import build_answer
    from edgeslm.report import report_path

    chosen, limits = chosen_model(model, demo), take_limits(flags)
    report = api.build(model=chosen, eval=eval_, limits=limits, announce=announce_stage, tell=note, **flags)
    for warning in (*report.plan.warnings, *(one for other in report.others for one in other.plan.warnings)):
        warn(warning)
    if report.below_gate:
        warn("this bundle is below its gates and says so in its manifest")
    answer = build_answer(report)
    if as_json:
        print_json(answer)
    else:
        generation = report.checkpoint.generation
        talks = generation is not None and generation.chat_template is not None
        kept = report_path(report.bundle.path)
        _print_report(
            answer, kept, talks, _runs_here(str(flags["target"])), _library(str(flags["target"]), answer.model)
        )


def _runs_here(target: str) -> bool:
    """False for a board that is not emulated: its bundle is flashed, and answers there."""
    from edgeslm.firmware.qemu import is_emulated
    from edgeslm.target import load_target

    found = load_target(target)
    return not found.is_firmware or is_emulated(found)


def _library(target: str, model: str) -> str | None:
    """The member of an Android bundle that an app takes."""
    from edgeslm.bundle.android.project import library_places
    from edgeslm.target import load_target

    return library_places(model)[0] if load_target(target).is_android else None


def _print_report(answer: BuildAnswer, kept: Path, talks: bool, runs_here: bool, library: str | None) -> None:
    for reason in answer.notes:
        note(f"  note: {reason}")
    fidelity = answer.fidelity
    click.echo()
    click.echo(f"Parity with {fidelity.reference} on {fidelity.samples} samples ({fidelity.texts})")
    if fidelity.perplexity:
        found = fidelity.perplexity
        click.echo(
            f"Perplexity {found.compiled:.6g}; PyTorch in float32 {found.reference:.6g} ({found.tokens:,} tokens)"
        )
    agreed = "same next token" if answer.task == "generation" else "same label"
    if any(score.identical is not None for score in fidelity.outputs):  # a graph of integers
        shares = [[score.output, f"{score.identical:.4%}", f"{score.max_abs_error:.2e}"] for score in fidelity.outputs]
        print_table(["output", "identical numbers", "largest error"], shares, right={1, 2})
    else:
        _print_scores(fidelity, agreed)
    _print_gates(fidelity)
    for other in answer.others:
        click.echo(f"\nAnd as {other.scheme} ({megabytes(other.model_bytes)})")
        _print_scores(other.fidelity, agreed)
        _print_gates(other.fidelity)
    _print_figures(answer)
    click.echo()
    print_table(
        None,
        [
            ["bundle", f"{answer.bundle}  ({megabytes(answer.bundle_bytes)})"],
            ["model", f"{answer.model} for {answer.target}: {answer.backend}, {answer.scheme}"],
            ["model size", megabytes(answer.model_bytes)],
            ["digest", answer.digest],
            *([["library", f"{library}, in the bundle"]] if library else []),
            ["report", str(kept)],
        ],
    )
    given = {"generation": "--prompt '…'", "tensors": "--file inputs.npz"}.get(answer.task, "--text '…'")
    if not runs_here:
        note(f"\nnext: edgeslm flash {answer.bundle}")
    else:
        way = " --via qemu" if answer.backend == "cortexm" else ""
        note(f"\nnext: edgeslm run {answer.bundle}{way} {given}" + (" --chat" if talks else ""))


def _print_gates(fidelity: FidelityAnswer) -> None:
    click.echo()
    print_table(
        ["gate", "value", "limit", ""],
        [
            [gate.name, f"{gate.value:.6g}", f"{gate.threshold:.6g}", "passed" if gate.passed else "MISSED"]
            for gate in fidelity.gates
        ],
        right={1, 2},
    )


def _print_figures(answer: BuildAnswer) -> None:
    """What was predicted of the plan that limits had found, and what was measured."""
    from edgeslm.limits import amount, amount_with_error

    if not answer.figures:
        return
    rows = [
        [
            one.name,
            "" if one.limit is None else f"{'≥' if one.name == 'fidelity' else '≤'} {amount(one.name, one.limit)}",
            amount_with_error(one.name, one.predicted, one.plus_minus, one.held_out),
            "" if one.measured is None else amount(one.name, one.measured),
            _gap(one),
        ]
        for one in answer.figures
    ]
    click.echo()
    print_table(["chosen by", "limit", "predicted", "measured", "gap"], rows, right={4})


def _gap(figure: FigureAnswer) -> str:
    """By how much the measurement is beyond the prediction: a share, of fidelity the difference."""
    if figure.measured is None:
        return ""
    if figure.name == "fidelity":
        return f"{figure.measured - figure.predicted:+.2g}"
    return f"{100 * (figure.measured / figure.predicted - 1):+.2f} %"


def _print_scores(fidelity: FidelityAnswer, agreed: str) -> None:
    print_table(
        ["output", "cosine, worst", "cosine, mean", "largest error", agreed],
        [
            [
                score.output,
                f"{score.cosine_min:.6f}",
                f"{score.cosine_mean:.6f}",
                f"{score.max_abs_error:.2e}",
                "" if score.label_agreement is None else f"{score.label_agreement:.1%}",
            ]
            for score in fidelity.outputs
        ],
        right={1, 2, 3, 4},
    )
