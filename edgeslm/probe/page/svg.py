"""A matplotlib figure as SVG that lies inside an HTML page: coloured by the page's styles, in its font, without names
that could meet those of another plot."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from edgeslm.probe.page.figures import Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours nobody would draw with stand for the page's variables, so that a plot follows light and dark.
INK, MUTED, LINE, PAPER = "#010203", "#010204", "#010205", "#010206"
SERIES = tuple(f"#0102{16 + number:02x}" for number in range(8))
_VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", PAPER: "--card"} | {
    colour: f"--series-{number + 1}" for number, colour in enumerate(SERIES)
}

_COLOUR = re.compile("|".join(_VARIABLES))
DPI = 72

_SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text: it can be read, searched and selected
    "svg.hashsalt": "edgeslm",
    "path.simplify": False,
    "text.parse_math": False,  # a layer's name may hold dollar signs
    "font.size": 11,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "axes.linewidth": 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 1,
    "text.color": INK,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 11,
}


@contextlib.contextmanager
def drawing(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of that many CSS pixels with one pair of axes, in our style whatever the user's settings are."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        # The browser has the letters that matplotlib's own font has not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, layout="constrained")
        yield figure, figure.add_subplot()


def inline_svg(figure: Figure, name: str, title: str) -> Plot:
    """The drawing as an <svg> element. `name` is the plot's own within the page, `title` what it shows, in words."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    sink = io.StringIO()
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_facecolor("none")
    # savefig would draw all of it once more, to lay it out.
    canvas: Any = FigureCanvasSVG(figure)  # print_svg has no types
    canvas.print_svg(sink, metadata={"Date": None, "Creator": None})
    _, _, inside = sink.getvalue().partition("<svg")[2].partition(">")
    inside = re.sub(r"<(metadata|style)\b.*?</\1>", "", inside, flags=re.DOTALL)
    # Texts are escaped: what looks like a tag is one, and names and colours are only in tags.
    inside = re.sub(r"<[^>]*>", lambda tag: _own_names(tag[0], name), inside)
    width, height = (round(side * DPI) for side in figure.get_size_inches())
    label = escape(title, quote=True)
    start = f'<svg class="plot" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
    return Plot(title, f'{start} aria-label="{label}"><title>{label}</title>{inside.strip()}')


def _own_names(tag: str, name: str) -> str:
    """Without the names nothing refers to and the font; what stays is of this plot alone."""
    tag = re.sub(r'^<g id="[^"]*"', "<g", tag)
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r'(?<=\sid=")|(?<=href="#)|(?<=url\(#)', f"{name}-", tag)
    return _COLOUR.sub(lambda colour: f"var({_VARIABLES[colour[0]]})", tag)
