"""Names beside points, each where it hides neither another name nor a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LETTER, HEIGHT = 6.2, 11.0  # of a name in points, about
AWAY = 6.0
POINT = 4.0  # half of a point's width


@dataclass(frozen=True)
class Label:
    """The lower `rank`, the earlier it is placed; the first rank is darker."""

    x: float
    y: float
    text: str
    rank: int = 1


Box = tuple[float, float, float, float]
"""Left, bottom, right, top in points."""


def place_labels(axes: Axes, labels: Sequence[Label], strong: str, pale: str) -> None:
    """Writes them; what has no free place beside its point is left out. The axes' limits must be final."""
    figure = axes.figure
    scale = 72 / figure.dpi
    places = [tuple(scale * value for value in axes.transData.transform((one.x, one.y))) for one in labels]
    taken: list[Box] = [(x - POINT, y - POINT, x + POINT, y + POINT) for x, y in places]
    frame = axes.get_window_extent()
    inside = tuple(scale * value for value in (frame.x0, frame.y0, frame.x1, frame.y1))
    order = sorted(range(len(labels)), key=lambda number: labels[number].rank)
    for number in order:
        label, (x, y) = labels[number], places[number]
        for right, up in ((1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0)):
            box = _box(x, y, label.text, right, up)
            if not _within(box, inside) or any(_meet(box, other) for other in taken):
                continue
            taken.append(box)
            axes.annotate(
                label.text,
                (label.x, label.y),
                xytext=(box[0] - x, box[1] - y + 2),
                textcoords="offset points",
                fontsize=10,
                color=pale if label.rank else strong,
            )
            break


def _box(x: float, y: float, text: str, right: int, up: int) -> Box:
    wide = LETTER * len(text)
    left = x + right * AWAY - wide * (1 - right) / 2
    bottom = y + up * (AWAY if right == 0 else AWAY - 2) - HEIGHT * (1 - up) / 2
    return left, bottom, left + wide, bottom + HEIGHT


def _within(box: Box, frame: Sequence[float]) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
