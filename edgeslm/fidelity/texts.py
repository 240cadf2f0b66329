"""Texts that calibrate and texts that score: two halves that must not meet.

A model judged on the texts its ranges were fitted to looks better than it is. The package brings both halves;
a user's file takes the place of either.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgeslm.errors import TextsError

MAX_BYTES = 4_000_000
MAX_TEXTS = 2_000  # every text runs through PyTorch and through the compiled model: more would take an hour
SHOWN = 3  # how many shared texts an error names


@dataclass(frozen=True)
class Texts:
    """One text a line, blank lines left out. `numbers` are their line numbers in the file they came from."""

    digest: str
    described: str
    lines: tuple[str, ...]
    where: str  # the file, or "the built-in … texts"
    numbers: tuple[int, ...]
    built_in: bool = False


def load_texts(calibration: Path | None, eval: Path | None) -> tuple[Texts, Texts]:
    """(calibration, scoring): the user's file where one is given, the built-in half otherwise.

    Raises TextsError for a file that cannot be used, and where the two share a text.
    """
    if calibration is not None and eval is not None and _is_same_file(calibration, eval):
        raise TextsError(
            f"the calibration text is the scoring text: both are {calibration}",
            "a model scored on what it was calibrated on looks better than it is: give --eval another file, or leave "
            "one of the two out to use the built-in texts",
        )
    chosen = _read_file(calibration) if calibration else _built_in("calibration")
    scoring = _read_file(eval) if eval else _built_in("scoring")
    _require_disjoint(chosen, scoring)
    return chosen, scoring


def parse_texts(raw: bytes, where: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Texts and their line numbers, counted from 1. Raises TextsError with file and line."""
    lines: list[str] = []
    numbers: list[int] = []
    # Split before decoding, at LF only: a text may hold U+2028, and a bad byte is reported with its line.
    for number, row in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            text = row.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise TextsError(
                f"{where}:{number}: byte {row[error.start]:#04x} at column {error.start + 1} is not UTF-8",
                "save the file as UTF-8, one text a line",
            ) from None
        if "\0" in text:
            raise TextsError(f"{where}:{number}: holds a NUL byte", "is it a text file? one text a line is expected")
        if text:
            lines.append(text)
            numbers.append(number)
    if not lines:
        raise TextsError(f"{where} holds no text", "one text a line is expected; blank lines do not count")
    if len(lines) > MAX_TEXTS:
        raise TextsError(
            f"{where}:{numbers[MAX_TEXTS]}: more than {MAX_TEXTS} texts", "a few hundred varied texts are enough"
        )
    return tuple(lines), tuple(numbers)


def _read_file(path: Path) -> Texts:
    try:
        with path.open("rb") as source:
            raw = source.read(MAX_BYTES + 1)
    except OSError as error:
        raise TextsError(
            f"texts file {path} cannot be read: {error.strerror}", "UTF-8, one text a line is expected"
        ) from None
    if len(raw) > MAX_BYTES:
        raise TextsError(
            f"texts file {path} is larger than {MAX_BYTES / 1e6:.0f} MB", "a few hundred varied texts are enough"
        )
    lines, numbers = parse_texts(raw, str(path))
    digest = _digest(lines)
    count = f"{len(lines)} text{'s' if len(lines) > 1 else ''}"
    return Texts(digest, f"{path.name} ({count}, sha256 {digest[:8]}…)", lines, str(path), numbers)


def _built_in(half: str) -> Texts:
    raw = (resources.files("edgeslm.fidelity") / f"{half}.txt").read_bytes()
    lines, numbers = parse_texts(raw, f"{half}.txt")
    return Texts(
        _digest(lines), f"{len(lines)} built-in texts", lines, f"the built-in {half} texts", numbers, built_in=True
    )


def _digest(lines: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # whoever opens the missing one will say so
        return False


def _require_disjoint(calibration: Texts, scoring: Texts) -> None:
    known: dict[str, int] = {}
    for text, number in zip(calibration.lines, calibration.numbers, strict=True):
        known.setdefault(_folded(text), number)
    shared = [
        (known[_folded(text)], number, text)
        for text, number in zip(scoring.lines, scoring.numbers, strict=True)
        if _folded(text) in known
    ]
    if not shared:
        return
    what = (
        "the calibration text is the scoring text"
        if len(shared) == len(scoring.lines)
        else f"{len(shared)} of {len(scoring.lines)} scoring texts also calibrate"
    )
    rows = [f"line {there} and line {here}: {_shortened(text)}" for there, here, text in shared[:SHOWN]]
    if len(shared) > SHOWN:
        rows.append(f"and {len(shared) - SHOWN} more")
    listing = "\n".join(f"         {row}" for row in rows)
    raise TextsError(
        f"{what} ({calibration.where} and {scoring.where}):\n{listing}",
        "a model scored on what it was calibrated on looks better than it is: take these lines out of one of the two",
    )


def _folded(text: str) -> str:
    """Two texts that differ in case, spacing or Unicode form only are the same text to a tokenizer, or nearly."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _shortened(text: str, width: int = 60) -> str:
    return repr(text if len(text) <= width else text[: width - 1] + "…")
