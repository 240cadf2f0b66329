"""Names beside the points of a search's picture."""

from __future__ import annotations

import itertools

import pytest

from edgeslm.probe.page.svg import drawing
from edgeslm.search.page.labels import Label, place_labels

pytest.importorskip("matplotlib")


def written(labels: list[Label]) -> dict[str, tuple[float, float, float, float]]:
    """What was written, with the box that its letters take."""
    with drawing(440, 320) as (figure, axes):
        axes.scatter([one.x for one in labels], [one.y for one in labels])
        axes.set_xlim(0, 10)
        axes.set_ylim(0, 10)
        figure.draw_without_rendering()
        place_labels(axes, labels, "#000000", "#111111")
        figure.draw_without_rendering()
        boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
    return {name: (box.x0, box.y0, box.x1, box.y1) for name, box in boxes.items()}


def test_names_that_are_near_each_other_do_not_meet() -> None:
    labels = [Label(5 + 0.2 * place, 5 - 0.1 * place, f"{place:02d}") for place in range(5)]
    boxes = written([*labels, Label(5.1, 5.1, "int8", rank=0), Label(9.9, 9.9, "fp32", rank=0)])
    assert {"int8", "fp32"} <= set(boxes)
    assert len(boxes) >= 5
    for one, other in itertools.combinations(boxes.values(), 2):
        assert one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3], (one, other)


def test_what_has_no_place_is_left_out_and_uniform_schemes_come_first() -> None:
    crowd = [Label(5.0, 5.0, f"{place:02d}") for place in range(30)]
    boxes = written([*crowd, Label(5.0, 5.0, "int4", rank=0)])
    assert "int4" in boxes
    assert len(boxes) <= 8
