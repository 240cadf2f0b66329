"""The page of probe reports: every figure as text, nothing from outside, nothing a stranger's report could do."""

from __future__ import annotations

import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgeslm.errors import MissingExtraError, StorageError
from edgeslm.probe.page import render_page, write_page
from edgeslm.probe.page.comparison import comparison
from edgeslm.probe.page.figures import DIGITS, WHOLE, show
from edgeslm.probe.report import ProbeReport
from tests.unit.probe_reports import figures_of, make_language_report, make_report, with_own_figures, with_own_words

HOSTILE = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>{{ 7 * 7 }}$x$"
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?")
VOID = {"meta", "link", "img", "br"}


@dataclass
class Page(HTMLParser):
    """What a browser would make of a page, as far as the tests ask."""

    source: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""  # outside of plots
    drawn: str = ""  # in plots
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if "svg" in self._open:
            self.drawn += data + " "
        elif "style" not in self._open:
            self.text += data if data.isspace() else f"{data}\n"

    @property
    def numbers(self) -> set[str]:
        return set(NUMBER.findall(self.text))

    def attributes(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]


@cache
def rendered(*reports: ProbeReport) -> str:
    return render_page(reports)


def page_of(*reports: ProbeReport) -> Page:
    return Page(rendered(*reports))


@cache
def of_every_kind() -> tuple[ProbeReport, ...]:
    """Four of an encoder, of which the second and fourth are emulated, and three of a language model."""
    spoken = (make_language_report(), make_language_report(emulated=True), make_language_report(pace=2))
    return (make_report(), make_report(emulated=True), make_report(pace=2), make_report(emulated=True), *spoken)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.floats(1e-5, 1e6) | st.integers(-(10**30), 10**30))
@example(1.234565)
@example(0.99999951)
@example(999999.7)
@example(-0.0)
@example(1e15)
@example(5e-324)
def test_show_keeps_a_number_to_its_six_digits(value: float) -> None:
    text = show(value)
    assert re.fullmatch(NUMBER, text)
    read = float(text.replace(",", ""))
    if isinstance(value, int) or (value.is_integer() and abs(value) < WHOLE):
        assert int(text.replace(",", "")) == value
    else:
        # The second part: between two neighbours of the smallest floats there is nothing to round to.
        assert abs(read - value) <= 0.5 * 10 ** (1 - DIGITS) * abs(value) * 1.000001 + 5e-324


@pytest.mark.parametrize(
    ("value", "text"),
    [(251377902.0, "251,377,902"), (82.8239754, "82.824"), (0, "0"), (1234567.891, "1,234,568"), (1.9e-06, "1.9e-06"),
     (None, "–"), (float("nan"), "not a number"), (float("inf"), "infinite")],
)  # fmt: skip
def test_show_writes_numbers_to_be_read(value: float | None, text: str) -> None:
    assert show(value) == text


@pytest.mark.parametrize("emulated", [False, True])
@pytest.mark.parametrize("make", [make_report, make_language_report])
def test_every_figure_of_a_report_is_on_its_page(make: Callable[[bool], ProbeReport], emulated: bool) -> None:
    report = with_own_figures(make(emulated))
    numbers = page_of(report).numbers
    figures = dict(figures_of(json.loads(report.model_dump_json())))
    assert len(figures) > 100
    assert {path: value for path, value in figures.items() if show(value) not in numbers} == {}


@pytest.mark.parametrize("make", [make_report, make_language_report])
def test_every_text_of_a_report_is_on_its_page(make: Callable[..., ProbeReport]) -> None:
    report = make(problem="the meter fell silent", missing=["energy"], complete=False, device={"virtual": "kvm"})
    text = page_of(report).text
    document = json.loads(report.model_dump_json())

    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [found for part in value.values() for found in texts(part)]
        if isinstance(value, list):
            return [found for part in value for found in texts(part)]
        return [value] if isinstance(value, str) else []

    assert [found for found in texts(document) if found not in text] == []


def test_a_language_model_s_page_has_speeds_by_depth_and_no_encoder_s_sections() -> None:
    page = page_of(make_language_report())
    assert "137.2 tokens/s" in re.sub(r"\s+", " ", page.text)
    assert {"Decode by depth", "Every step", "First token p50 by prompt, and up to p99"} <= set(plots_of(page))
    assert "Throughput" not in page.text
    assert "per inference" not in page.text


def test_an_emulated_language_model_has_no_times() -> None:
    page = rendered(make_language_report(emulated=True))
    assert not re.search(r"\d ms\b|\bp50\b|milliseconds|tokens/s", page[page.index("<body>") :])
    assert "Instructions per token by depth" in page


def test_what_was_left_out_of_a_language_model_s_probe_is_said() -> None:
    parts = json.loads(make_language_report(emulated=True).model_dump_json())["language"]["decode"]
    parts[-1] |= {"instructions": None, "why_not": "it would take 900 s"}
    page = page_of(make_language_report(emulated=True, language={"decode": parts}))
    assert "1,024 tokens: it would take 900 s" in page.text


def plots_of(page: Page) -> list[str | None]:
    return [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"]


def test_an_emulated_report_has_no_times_but_foretold_ones() -> None:
    page = rendered(make_report(emulated=True))
    before, _, after = page.partition('<section id="r1-estimate"')
    foretold, _, rest = after.partition("</section>")
    assert "predicted" in foretold
    assert "not measured" in foretold
    assert "82.2006 ms" in foretold
    assert "± 9.80374 ms" in foretold
    assert "5f1b90c2, 2 threads, 2026-03-02" in foretold
    assert not re.search(r"\d ms\b|\bp50\b|milliseconds", before[before.index("<body>") :] + rest)
    assert "251,377,902" in before


def test_what_was_not_measured_is_a_dash_or_said() -> None:
    page = page_of(make_report(load_ms=None, energy={"measured": False, "source": None, "why_not": "no meter here"}))
    assert "no meter here" in page.text
    assert re.search(r"Load\s+not measured", page.text)


@pytest.mark.parametrize(
    ("changes", "banner"),
    [
        ({"emulated": True}, "Emulated: counts, no times"),
        ({"complete": False, "problem": "out of time", "missing": ["energy"]}, "Not complete"),
        ({"device": {"throttled": True}}, "Throttled"),
        ({"device": {"is_target": False}}, "Not the target device"),
        ({"device": {"virtual": "kvm"}}, "Virtual machine"),
    ],
)
def test_what_must_be_known_first_stands_before_the_figures(changes: dict[str, Any], banner: str) -> None:
    page = rendered(make_report(**changes))
    assert banner in page[page.index("<body>") : page.index('class="tiles"')]
    assert 'class="banner' not in rendered(make_report())


@pytest.mark.parametrize(("emulated", "times"), [(False, 1), (True, 2)])
@pytest.mark.parametrize("make", [make_report, make_language_report])
def test_markup_in_a_report_is_text(make: Callable[[bool], ProbeReport], emulated: bool, times: int) -> None:
    report = with_own_words(make(emulated), HOSTILE)
    page = page_of(*[report] * times)
    plain = page_of(*[make(emulated)] * times)
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in plain.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert HOSTILE in page.text
    assert "$x$" in page.drawn  # a layer's name beside its bar


def test_the_page_asks_for_nothing_from_outside() -> None:
    page = page_of(make_report(), make_report(emulated=True))
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.attributes("src") == []
    assert all(address.startswith(("#", "data:,")) for address in page.attributes("href"))
    assert all(name == "#" for name in re.findall(r"url\((.)", page.source))
    assert "@import" not in page.source
    assert "default-src 'none'" in page.source


def test_names_within_the_page_are_unique_and_all_there() -> None:
    page = page_of(*of_every_kind())
    names = Counter(page.attributes("id"))
    assert [name for name, times in names.items() if times > 1] == []
    wanted = {address[1:] for name in ("href", "xlink:href") for address in page.attributes(name) if address[0] == "#"}
    assert wanted | set(re.findall(r"url\(#([^)]+)\)", page.source)) <= names.keys()


def test_plots_are_named_for_those_who_do_not_see_them() -> None:
    page = page_of(make_report(), make_report(emulated=True))
    plots = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(plots) == 6
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    assert page.source.count("</title>") == 1 + len(plots)


def test_the_same_reports_give_the_same_page_whatever_the_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    first = rendered(make_report(), make_report(emulated=True))
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 31.0)
    monkeypatch.setitem(matplotlib.rcParams, "text.usetex", True)
    assert render_page([make_report(), make_report(emulated=True)]) == first
    assert matplotlib.rcParams["font.size"] == 31.0


def test_plots_take_their_colours_from_the_page() -> None:
    page = page_of(*of_every_kind())
    drawn = "".join(re.findall(r"<svg.*?</svg>", page.source, re.DOTALL))
    assert re.findall(r"#[0-9a-f]{6}\b", drawn) == []
    used = set(re.findall(r"var\((--[\w-]+)\)", drawn))
    assert {"--ink", "--muted", "--series-1"} <= used
    light, dark = page.source.split("prefers-color-scheme: dark", 1)
    assert all(f"{name}:" in light and f"{name}:" in dark for name in used)


def test_what_is_emulated_is_never_drawn_beside_what_is_not() -> None:
    mixed = rendered(make_report(), make_report(emulated=True))
    assert "compared-latency" not in mixed
    assert "compared-instructions" not in mixed
    page = rendered(*of_every_kind())
    latency = Page(_plot(page, "Latency p50 by length")).drawn.split()
    counts = Page(_plot(page, "Instructions per inference by length")).drawn.split()
    assert [name for name in latency if name in "ABCD"] == ["A", "C"]
    assert [name for name in counts if name in "ABCD"] == ["B", "D"]


def _plot(page: str, title: str) -> str:
    found = re.search(rf'<svg[^>]*aria-label="{title}".*?</svg>', page, re.DOTALL)
    assert found
    return found[0]


def test_several_reports_are_compared_before_each_is_shown() -> None:
    page = page_of(make_report(), make_report(pace=0.8, bundle={"backend": "openvino"}, runtime={"threads": 4}))
    assert page.text.index("2 probes compared") < page.text.index("Side by side") < page.text.index("Where the time")
    assert "0.80×" in page.text
    assert "the threads differ: A 2, B 4" in page.text


ODD = [float("inf"), float("-inf"), float("nan"), 0.0, -1.0, 1e308, 5e-324]


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(ODD), st.sampled_from([0, -3, 10**400]), st.booleans(), st.integers(0, 999))
def test_no_figure_stops_the_page(odd: float, odd_count: int, emulated: bool, seed: int) -> None:
    """A stranger's report may hold any number that JSON can."""
    chance = random.Random(seed)

    def spoil(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: spoil(part) for name, part in value.items()}
        if isinstance(value, list):
            return [spoil(part) for part in value]
        if isinstance(value, bool) or not isinstance(value, int | float) or chance.random() < 0.3:
            return value
        return odd if isinstance(value, float) else odd_count

    for make in (make_report, make_language_report):
        document = {**spoil(json.loads(make(emulated).model_dump_json())), "schema_version": 1}
        report = ProbeReport.model_validate_json(json.dumps(document))
        page_of(report)
        comparison([report, report])


def test_a_report_that_was_ended_at_once_has_a_page() -> None:
    nothing: dict[str, Any] = {"lengths": [], "throughput": [], "profile": None, "latency_ms": None, "load_ms": None}
    page = page_of(make_report(complete=False, problem="no answer", missing=["lengths"], notes=[], **nothing))
    assert "no answer" in page.text
    assert "svg" not in {tag for tag, _ in page.tags}


def test_a_plain_module_has_one_length_without_tokens() -> None:
    length = json.loads(make_report().lengths[0].model_dump_json())
    report = make_report(lengths=[{**length, "tokens": None}], reference_tokens=None)
    page = page_of(report, report)
    assert "None" not in page.text + page.drawn


def test_many_layers_are_drawn_as_the_largest_and_the_rest() -> None:
    layers = [
        {"layer": f"layer.{n}", "operators": 1, "ms": 100 - n, "share": 0.01, "instructions": None} for n in range(90)
    ]
    page = page_of(make_report(profile={"layers": layers}))
    assert "layer.19" in page.drawn
    assert "layer.20" not in page.drawn
    assert "the other 70 together" in page.drawn
    assert "layer.89" in page.text


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page([make_report()], path)
    assert path.read_text().endswith("</html>\n")
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(StorageError, match="absent is no folder"):
        write_page([make_report()], tmp_path / "absent" / "page.html")
    with pytest.raises(StorageError, match="cannot be written"):
        write_page([make_report()], tmp_path)


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_without_the_extra_it_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=package) as caught:
        render_page([make_report()])
    assert caught.value.extra == "report"
