"""`edgeslm plan`: print the decision and do nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeslm.cli.console import announce_stage, megabytes, note, print_json, print_table, warn
from edgeslm.cli.request import chosen_model, request_options, take_limits

if TYPE_CHECKING:
    from edgeslm.backends.cortexm.memory import Buffer
    from edgeslm.pipeline import Decision


@click.command()
@request_options
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="F",
    help="Write it as a plan file, to be edited and given back with --plan.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def plan(
    as_json: bool, save: Path | None, eval_: Path | None, model: str | None, demo: str | None, **flags: Any
) -> None:
    """Print what `build` would do with the same flags, and why. Builds nothing."""
    from edgeslm import pipeline
    from edgeslm.answers import plan_answer
    from edgeslm.pipeline import BuildRequest

    limits = take_limits(flags)
    request = BuildRequest(model=chosen_model(model, demo), eval=eval_, limits=limits, **flags)
    if limits.asked:
        from edgeslm.search.run import planned

        request = planned(request, announce_stage)
    decision = pipeline.plan(request)
    for warning in (one for planned in decision.plans for one in planned.warnings):
        warn(warning)
    if save is not None:
        _save(decision, save)
    if as_json:
        print_json(plan_answer(decision))
        return
    _print_decision(decision)


def _save(decision: Decision, path: Path) -> None:
    from edgeslm.cache import explain_full_disk
    from edgeslm.errors import ConfigError
    from edgeslm.formats.archive import replacing
    from edgeslm.quantize.plan_file import plan_text

    if decision.checkpoint.net is not None:
        raise ConfigError(f"{decision.checkpoint.name} came quantized: there is nothing to choose", "leave out --save")
    text = plan_text(decision.checkpoint, decision.plan, decision.min_fidelity)
    with explain_full_disk(path.parent), replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
    note(f"{path}: edit it and give it back with --plan")


def _print_decision(decision: Decision) -> None:
    checkpoint, decided = decision.checkpoint, decision.plan
    print_table(
        None,
        [
            [
                "model",
                f"{checkpoint.name} ({checkpoint.architecture}, {checkpoint.elements / 1e6:.1f} M parameters)",
            ],
            ["task", checkpoint.task],
            ["target", f"{decision.target.title} ({decision.target.cpu.core})"],
            ["backend", decided.backend],
            ["scheme", decided.scheme],
            _lengths(decision),
            *_expected(decision),
        ],
    )
    _print_memories(decision)
    click.echo()
    for reason in (*decided.reasons, *checkpoint.notes):
        click.echo(f"- {reason}")
    for other in decision.others:
        click.echo(f"\nand as {other.scheme}, expected size {megabytes(other.weight_bytes)}")
        for reason in other.reasons:
            click.echo(f"- {reason}")
    click.echo()
    print_table(
        ["tensor", "shape", "stored as", "why"],
        [
            [
                p.name,
                "×".join(map(str, p.shape)) or "scalar",
                _stored(decision, p.name),
                decided.choices[p.name].reason,
            ]
            for p in checkpoint.parameters
        ],
    )
    counts = Counter(_stored(decision, p.name) for p in checkpoint.parameters)
    click.echo()
    click.echo(f"{len(checkpoint.parameters)} tensors: " + ", ".join(f"{n} {kind}" for kind, n in counts.most_common()))
    note("nothing was built: `edgeslm build` with the same flags carries this out")


def _expected(decision: Decision) -> list[list[str]]:
    """A microcontroller's memories are kibibytes, and flash is one of them."""
    from edgeslm.backends.cortexm.budget import kib

    found, budget = decision.budget, decision.memory
    if found is None:
        return [
            ["expected size", megabytes(decision.plan.weight_bytes)],
            ["expected memory", f"{megabytes(budget.resident)} of {megabytes(budget.available)}"],
        ]
    return [
        ["flash", f"{kib(found.flash_bytes)} of {kib(found.flash_available)} KiB"],
        ["RAM", f"{kib(found.ram_bytes)} of {kib(found.ram_available)} KiB"],
    ]


def _print_memories(decision: Decision) -> None:
    """A microcontroller's flash and RAM by item, and where activations lie in the arena."""
    budget = decision.budget
    if budget is None:
        return
    rows = [["flash", item, f"{size:,}"] for item, size in budget.flash.items()]
    rows.append(["flash", "in all", f"{budget.flash_bytes:,} of {budget.flash_available:,}"])
    rows += [["RAM", item, f"{size:,}"] for item, size in budget.ram.items()]
    rows.append(["RAM", "in all", f"{budget.ram_bytes:,} of {budget.ram_available:,}"])
    click.echo()
    print_table(["memory", "item", "bytes"], rows, right={2})
    click.echo()
    print_table(
        ["activation", "offset", "bytes", "from call", "to"],
        [[one.name, f"{offset:,}", f"{one.bytes:,}", *_life(one)] for one, offset in budget.arena],
        right={1, 2, 3, 4},
    )


def _life(one: Buffer) -> tuple[str, str]:
    """The calls of a step that first write and last read it."""
    from edgeslm.backends.cortexm.memory import BEFORE

    return ("before", "") if one.first == BEFORE else (str(one.first), str(one.last))


def _lengths(decision: Decision) -> list[str]:
    decided = decision.plan
    if decision.checkpoint.decoder is not None:
        from edgeslm.backends.cortexm.budget import kib

        size = megabytes(decided.cache_bytes) if decision.budget is None else f"{kib(decided.cache_bytes)} KiB"
        cache = f"{size} as {decided.kv_cache}"
        return ["context", f"{decided.lengths[0]} tokens; KV cache {cache}"]
    if decision.checkpoint.net is not None:
        return ["shapes", "as the file has them"]
    return ["text lengths", ", ".join(map(str, decided.lengths)) or "as the example inputs"]


def _stored(decision: Decision, parameter: str) -> str:
    choice = decision.plan.choices[parameter]
    return choice.precision + (f"-g{choice.group}" if choice.group else "")
