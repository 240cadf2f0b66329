"""Reports of a search, without a search."""

from __future__ import annotations

from edgeslm.search.report import MeasuredPoint, SearchPoint, SearchReport

CHOICES = ("fp32", "fp16", "int8", "int4-g32", "int4-g128")


def make_search_report(cost: str | None = "instructions", word: str = "encoder.layer.0.query.weight") -> SearchReport:
    names = [f"{word}.{number}" for number in range(30)]
    points = []
    for place, scheme in enumerate(("fp32", "int8", "int4", None, None, None)):
        size, lost = 90e6 / (place + 1), 1e-4 * 3**place
        predicted = {"size": size, "ram": 1.7 * size, "fidelity": 1 - lost}
        if cost is not None:
            predicted[cost] = {"instructions": 2e8, "latency": 21.4}[cost] * (1 + place / 10)
        taken = {} if cost is None else {cost: 0.99 * predicted[cost]}
        measured = MeasuredPoint(size=1.002 * size, fidelity=1 - 1.3 * lost, passed=True, **taken)
        points.append(
            SearchPoint(
                name=scheme or f"{place:02d}",
                scheme=scheme,
                proven=True,
                best=place != 1,
                command=f"edgeslm build --target rpi4 --model '{word}' --plan {place:02d}.plan.toml",
                predicted=predicted,
                plus_minus=None if cost is None else 1e6,
                held_out=None if cost is None else 12,
                measured=measured if place % 2 else None,
                tensors={name: CHOICES[(row + place) % 5] for row, name in enumerate(names)},
            )
        )
    return SearchReport(
        model=word,
        target="rpi4",
        target_title="Raspberry Pi 4",
        backend="tflite",
        cost=cost,
        limits={"size": 2e7, "fidelity": 0.98},
        command="edgeslm search --target rpi4",
        points=tuple(points),
    )
