"""How things look: tables and JSON on stdout, progress on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pydantic import BaseModel

STAGE_TITLES = {
    "memory": "lay out memory",
    "export": "export to ONNX",
    "lower": "convert for the backend",
    "calibration": "read calibration texts",
    "scoring": "read scoring texts",
    "moments": "see what its layers are given",
    "reference": "run PyTorch for reference",
    "sensitivity": "see what each tensor loses",
    "quantize": "quantize",
    "generate": "write the C",
    "score": "score against PyTorch",
    "bits": "compare with the reference, bit by bit",
    "layers": "name each operator's layer",
    "image": "compile and link",
    "bundle": "write the bundle",
}


def print_json(answer: BaseModel) -> None:
    """The answer as one JSON document on stdout."""
    click.echo(answer.model_dump_json(indent=2))


def print_table(header: Sequence[str] | None, rows: Sequence[Sequence[str]], right: set[int] | None = None) -> None:
    """A table on stdout without wrapping: it may be read by a program. Columns in `right` are right-aligned."""
    from rich.cells import cell_len

    lines = [list(header), *rows] if header else list(rows)
    widths = [max(cell_len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for number, line in enumerate(lines):
        cells = []
        for i, cell in enumerate(line):
            gap = " " * (widths[i] - cell_len(cell))
            cells.append(gap + cell if right and i in right else cell + gap)
        text = "  ".join(cells).rstrip()
        click.echo(click.style(text, bold=True) if header and number == 0 else text)


def note(text: str) -> None:
    """Narration on stderr."""
    click.echo(text, err=True)


def warn(text: str) -> None:
    click.echo(f"{click.style('warning:', fg='yellow', bold=True)} {text}", err=True)


@contextlib.contextmanager
def announce_stage(stage: str, cached: bool) -> Iterator[None]:
    """A spinner while a stage runs and a line when it is done; plain lines where stderr is no terminal."""
    title = STAGE_TITLES.get(stage, stage)
    if cached:
        note(f"  {click.style('=', fg='blue')} {title:<28} cached")
        yield
        return
    started = time.monotonic()
    with _spinner(title):
        yield
    note(f"  {click.style('+', fg='green')} {title:<28} {time.monotonic() - started:5.1f} s")


def _spinner(title: str) -> contextlib.AbstractContextManager[object]:
    if not sys.stderr.isatty():
        return contextlib.nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(f"{title} …")


def printable(text: str) -> str:
    """What a device or a stranger's report tells must not steer the terminal."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def megabytes(count: int) -> str:
    """MB is 10⁶ bytes."""
    return f"{count / 1e6:.1f} MB"
