"""From results to facts: edgeslm/cost/measured.py and the tables of docs/measurements.md."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

MIB = 1 << 20
Results = dict[str, dict[str, Any]]
Key = tuple[str, str, str]


def write(results: Results, root: Path) -> None:
    write_facts(results, root / "edgeslm" / "cost" / "measured.py")
    write_tables(results, root / "docs" / "measurements.md")


def fit_resident(results: Results) -> dict[Key, tuple[float, float]]:
    """(backend, arch, scheme) -> (factor, constant MiB) of the line through the peaks of the two models.

    The larger model has a smaller share of embeddings. Where a runtime unpacks all but those, the line would begin
    below what a process takes without a model: then it begins where float32's does, and goes through the larger one.
    """
    peaks: dict[Key, dict[str, tuple[int, int]]] = {}
    for name, found in results.get("resident", {}).items():
        combination, model = name.rsplit(" ", 1)
        peaks.setdefault(split(combination), {})[model] = found["model_bytes"], found["peak"]
    lines = {key: line_through(*both.values()) for key, both in peaks.items() if len(both) == 2}
    for key, (_, constant) in lines.items():
        least = lines.get((*key[:2], "fp32"), (0.0, 0.0))[1]
        if constant < least:
            size, peak = peaks[key]["larger"]
            lines[key] = (peak - least * MIB) / size, least
    return lines


def line_through(one: tuple[int, int], other: tuple[int, int]) -> tuple[float, float]:
    """Slope, and intercept in MiB, of the line through two points (model bytes, resident bytes)."""
    factor = (other[1] - one[1]) / (other[0] - one[0])
    return factor, (one[1] - factor * one[0]) / MIB


def instructions(results: Results, kind: str = "instructions") -> dict[Key, float]:
    """(backend, core, scheme) -> millions of instructions."""
    return {split(name): statistics.median(found["runs"]) / 1e6 for name, found in results[kind].items()}


def latencies(results: Results) -> dict[Key, float]:
    return {split(name): found["ms"] for name, found in results["latency"].items()}


def split(name: str) -> Key:
    backend, place, scheme = name.split()
    return backend, place, scheme


def write_facts(results: Results, path: Path) -> None:
    """Replace the values of the four tables; types and docstrings stay as they are written there."""
    text = path.read_text()
    resident = {
        key: f"Resident({factor:.2f}, {constant:.0f})" for key, (factor, constant) in fit_resident(results).items()
    }
    text = replaced(text, "RESIDENT", resident)
    if "instructions" in results:
        text = replaced(text, "INSTRUCTIONS", {key: f"{value:.1f}" for key, value in instructions(results).items()})
    if "decode" in results:
        text = replaced(
            text, "DECODE_INSTRUCTIONS", {key: f"{value:.2f}" for key, value in instructions(results, "decode").items()}
        )
    if "latency" in results:
        text = replaced(text, "LATENCY_MS", {key: f"{value:.2f}" for key, value in latencies(results).items()})
    path.write_text(text)
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(path)], check=True)


def replaced(text: str, table: str, rows: dict[Key, str]) -> str:
    """`text` with the dict literal assigned to `table` replaced. Measured rows only: no rows, no change."""
    if not rows:
        return text
    literal = "{\n" + "".join(f'    ("{a}", "{b}", "{c}"): {row},\n' for (a, b, c), row in sorted(rows.items())) + "}\n"
    pattern = rf'(?ms)^({table}: [^\n]*? = )\{{.*?\}}\n(?=""")'
    text, count = re.subn(pattern, lambda match: match[1] + literal, text)
    if count != 1:
        raise ValueError(f"{table} is not where it was in measured.py")
    return text


def write_tables(results: Results, path: Path) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- end -->` for each table."""
    text = path.read_text()
    for name, table in (
        ("machine", machine_line(results)),
        ("resident", resident_table(results)),
        ("instructions", instructions_table(results)),
        ("decode", instructions_table(results, "decode", ",.2f")),
        ("latency", latency_table(results)),
    ):
        pattern = rf"(?s)(<!-- {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(pattern, lambda match, table=table: match[1] + table + match[2], text)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"{path.name} has no table {name}")
    path.write_text(text)


def machine_line(results: Results) -> str:
    here = results["machine"]["here"]
    return (
        f"{here['date']}; {here['cpu']} ({', '.join(here['features'])}), {here['processors']} virtual processors, "
        f"{here['memory_gib']} GiB; "
        f"{', '.join(here['packages'])}; QEMU {here['qemu']}.\n"
    )


def resident_table(results: Results) -> str:
    fits = fit_resident(results)
    lines = [
        "| backend | arch | scheme | MiniLM: file → after, peak | larger: file → after, peak | factor | constant |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (backend, arch, scheme), (factor, constant) in sorted(fits.items()):
        cells = []
        for model in ("demo", "larger"):
            found = results["resident"][f"{backend} {arch} {scheme} {model}"]
            cells.append(f"{found['model_bytes'] / MIB:.1f} → {found['after'] / MIB:.0f}, {found['peak'] / MIB:.0f}")
        lines.append(f"| {backend} | {arch} | {scheme} | {cells[0]} | {cells[1]} | {factor:.2f} | {constant:.0f} |")
    return "\n".join(lines) + "\n"


def instructions_table(results: Results, kind: str = "instructions", form: str = ",.1f") -> str:
    counts = instructions(results, kind) if kind in results else {}
    lines = ["| backend | scheme | cortex-a72 | cortex-a76 |", "| --- | --- | --- | --- |"]
    for backend, scheme in sorted({(backend, scheme) for backend, _, scheme in counts}):
        cells = []
        for core in ("cortex-a72", "cortex-a76"):
            value, single = counts.get((backend, core, scheme)), counts.get((backend, core, "fp32"))
            cells.append(f"{value:{form}} ({value / single:.2f}×)" if value and single else "–")
        lines.append(f"| {backend} | {scheme} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def latency_table(results: Results) -> str:
    times = latencies(results) if "latency" in results else {}
    lines = ["| backend | scheme | ms | of fp32 |", "| --- | --- | --- | --- |"]
    for (backend, place, scheme), value in sorted(times.items()):
        single = times.get((backend, place, "fp32"))
        lines.append(f"| {backend} | {scheme} | {value:.2f} | {f'{value / single:.2f}×' if single else '–'} |")
    return "\n".join(lines) + "\n"
