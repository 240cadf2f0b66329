"""What the page of a search says: headline figures, the front, bits per layer, and a command for each point."""

from __future__ import annotations

from collections.abc import Sequence

from edgeslm.limits import amount, amount_with_error
from edgeslm.probe.page.figures import UNKNOWN, Section, Table, Tile, facts
from edgeslm.search.page.plots import bits_by_layer, trade_off
from edgeslm.search.report import SearchPoint, SearchReport


def tiles(report: SearchReport) -> list[Tile]:
    """The plan of the most fidelity, then what int8 and int4 are beside it."""
    front = [point for point in report.points if point.scheme is None and point.best]
    found = []
    if front:
        smallest, finest = front[0], front[-1]
        found.append(_tile("Smallest plan", smallest, report, large=True))
        found.append(_tile("Most faithful plan", finest, report))
    found += [_tile(f"Uniform {p.scheme}", p, report) for p in report.points if p.scheme in ("int8", "int4")]
    return found


def sections(report: SearchReport) -> list[Section]:
    cost = report.cost
    plots = [trade_off(report, "size", "size-front", "Size against what is lost")]
    if cost is not None:
        plots.append(trade_off(report, cost, "cost-front", f"{cost.capitalize()} against what is lost"))
    found = [
        Section(
            "Trade-off",
            "front",
            text="Each dot is a plan, with a precision for each tensor; lower and further left is better. Filled ones "
            "were built and measured, hollow ones are predicted; uniform schemes are squares. Pale ones are off the "
            "line: another takes less and loses less of what that picture shows." + _held_out(report),
            plots=[plot for plot in plots if plot],
            tables=[_table(report)],
        )
    ]
    bits = bits_by_layer(report, "bits", "What each tensor is stored as, plan by plan")
    if bits is not None:
        found.append(
            Section(
                "Bits per layer",
                "bits-by-layer",
                text="A row is a tensor, a column a plan, the smallest first. Tensors without a choice are left out.",
                plots=[bits],
            )
        )
    found.append(
        Section(
            "Commands",
            "commands",
            text="Each builds that plan; with --allow-below-gate where it keeps less than its gates ask for.",
            tables=[Table(("plan", "command"), [(_name(p), p.command) for p in report.points], names=2)],
        )
    )
    return found


def _held_out(report: SearchReport) -> str:
    """Where the error of a run's cost is from."""
    shapes = [point.held_out for point in report.points if point.held_out is not None]
    if not shapes or report.cost is None:
        return ""
    return f" What follows a ± is the error of {report.cost} on {min(shapes)} to {max(shapes)} held-out shapes."


def shown(report: SearchReport, point: SearchPoint, name: str) -> str:
    value = point.predicted.get(name)
    if value is None:
        return UNKNOWN
    return amount_with_error(name, value, point.plus_minus if name == report.cost else None)


def shown_measured(point: SearchPoint, name: str) -> str:
    value = None if point.measured is None else getattr(point.measured, name)
    return UNKNOWN if value is None else amount(name, value)


def measured_costs(report: SearchReport) -> list[str]:
    """The cost's name where any point's was measured."""
    cost = report.cost
    known = cost is not None and any(getattr(point.measured, cost, None) is not None for point in report.points)
    return [cost] if cost is not None and known else []


def _tile(name: str, point: SearchPoint, report: SearchReport, *, large: bool = False) -> Tile:
    size, fidelity = point.predicted["size"], point.predicted["fidelity"]
    if point.measured is not None:
        size, fidelity = point.measured.size, point.measured.fidelity
    value, _, unit = amount("size", size).partition(" ")
    beside = facts(
        ("fidelity", amount("fidelity", fidelity)),
        (report.cost or "", shown(report, point, report.cost) if report.cost else None),
        ("RAM", shown(report, point, "ram")),
        ("figures", "measured" if point.measured else "predicted"),
    )
    return Tile(name, value, unit, beside, large=large)


def _table(report: SearchReport) -> Table:
    costs = [report.cost] if report.cost else []
    header = ["plan", "size", "size, measured", *costs, *(f"{cost}, measured" for cost in measured_costs(report))]
    header += ["RAM", "fidelity", "fidelity, measured", "on the front"]
    return Table(header, [_row(report, point) for point in report.points])


def _row(report: SearchReport, point: SearchPoint) -> Sequence[str]:
    costs = [shown(report, point, report.cost)] if report.cost else []
    costs += [shown_measured(point, cost) for cost in measured_costs(report)]
    return (
        _name(point),
        shown(report, point, "size"),
        shown_measured(point, "size"),
        *costs,
        shown(report, point, "ram"),
        shown(report, point, "fidelity"),
        shown_measured(point, "fidelity"),
        "yes" if point.best else "",
    )


def _name(point: SearchPoint) -> str:
    return point.name if point.scheme is None else f"uniform {point.scheme}"
