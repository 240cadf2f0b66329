"""The pages of probe reports and of searches as a browser shows them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from edgeslm.probe.page import write_page
from edgeslm.probe.page.figures import show
from edgeslm.probe.report import ProbeReport
from edgeslm.search.page import write_page as write_search_page
from tests.unit.probe_reports import figures_of, make_language_report, make_report, with_own_figures, with_own_words
from tests.unit.search_reports import make_search_report

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PHONE, DESKTOP = 390, 1280
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOSTILE = "\"'><img src=x onerror=document.title='taken'><script>document.title='taken'</script>"

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="needs chromium and chromedriver (Debian: chromium, chromium-driver)"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=DRIVER))
    yield driver
    driver.quit()


def log_of(browser: webdriver.Chrome, kind: str) -> list[dict[str, Any]]:
    """What came since it was last asked for."""
    untyped: Any = browser
    entries: list[dict[str, Any]] = untyped.get_log(kind)
    return entries


def open_page(browser: webdriver.Chrome, path: Path, width: int = DESKTOP) -> list[str]:
    """Show the page; the addresses it asked for."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE},
    )
    browser.get("about:blank")
    log_of(browser, "browser")  # what earlier pages said
    log_of(browser, "performance")
    browser.get(path.as_uri())
    events = [json.loads(entry["message"])["message"] for entry in log_of(browser, "performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def evaluate(browser: webdriver.Chrome, expression: str) -> Any:
    return browser.execute_script(f"return {expression}")


def written(folder: Path, *reports: ProbeReport) -> Path:
    path = folder / "page.html"
    write_page(reports, path)
    return path


@pytest.fixture(params=["real", "emulated", "compared", "language"])
def reports(request: pytest.FixtureRequest) -> list[ProbeReport]:
    real, emulated = make_report(), make_report(emulated=True)
    spoken = [make_language_report(), make_language_report(pace=0.7), make_language_report(emulated=True)]
    compared = [real, make_report(pace=0.7), emulated, emulated]
    kinds = {"real": [real], "emulated": [emulated], "compared": compared, "language": spoken}
    return kinds[request.param]


def test_the_page_is_quiet_and_has_every_figure(
    browser: webdriver.Chrome, reports: list[ProbeReport], tmp_path: Path
) -> None:
    reports = [with_own_figures(report) for report in reports]
    path = written(tmp_path, *reports)
    asked = open_page(browser, path)
    assert [address for address in asked if not address.startswith("data:")] == [path.as_uri()]
    assert log_of(browser, "browser") == []
    assert evaluate(browser, "performance.getEntriesByType('resource').length") == 0
    text = evaluate(browser, "document.body.textContent")
    for report in reports:
        figures = dict(figures_of(json.loads(report.model_dump_json())))
        assert {place: value for place, value in figures.items() if show(value) not in text} == {}
        assert report.bundle.digest in text


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_nothing_reaches_beyond_the_screen(
    browser: webdriver.Chrome, reports: list[ProbeReport], width: int, tmp_path: Path
) -> None:
    long = "encoder.layer.0.attention." * 12
    open_page(browser, written(tmp_path, *(with_own_words(report, long) for report in reports)), width)
    browser.execute_script("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert evaluate(browser, "window.innerWidth") == width
    assert evaluate(browser, "document.documentElement.scrollWidth") <= width
    wide = """[...document.querySelectorAll('body *')]
        .filter(part => !part.closest('.scroll, figure, .samples'))
        .filter(part => part.getBoundingClientRect().right > innerWidth + 1)
        .map(part => part.outerHTML.slice(0, 80))"""
    assert evaluate(browser, wide) == []


def test_markup_in_a_report_does_nothing(browser: webdriver.Chrome, tmp_path: Path) -> None:
    hostile = [with_own_words(make_report(emulated), HOSTILE) for emulated in (False, True)]
    open_page(browser, written(tmp_path, *hostile))
    assert evaluate(browser, "document.querySelectorAll('script, img, iframe, object').length") == 0
    assert "taken" not in browser.title.replace(HOSTILE, "")
    assert log_of(browser, "browser") == []
    assert HOSTILE in evaluate(browser, "document.body.textContent")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_stands_out_from_its_ground(
    browser: webdriver.Chrome, reports: list[ProbeReport], scheme: str, tmp_path: Path
) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    open_page(browser, written(tmp_path, *reports))
    assert evaluate(browser, _FAINT) == []


@pytest.mark.parametrize("cost", ["instructions", "latency", None])
def test_the_page_of_a_search(browser: webdriver.Chrome, cost: str | None, tmp_path: Path) -> None:
    """Quiet, within the screen of a phone, legible in the dark; names of tensors and models are words and nothing
    else; every point is in the picture, in the table, and has its command."""
    report, path = make_search_report(cost, HOSTILE), tmp_path / "search.html"
    write_search_page(report, path)
    asked = open_page(browser, path, PHONE)
    assert [address for address in asked if not address.startswith("data:")] == [path.as_uri()]
    assert evaluate(browser, "document.documentElement.scrollWidth") <= PHONE
    assert evaluate(browser, "document.querySelectorAll('script, img, iframe, object').length") == 0
    assert log_of(browser, "browser") == []
    text = evaluate(browser, "document.body.textContent")
    assert HOSTILE in text
    assert all(point.command in text for point in report.points)
    drawn = evaluate(browser, "[...document.querySelectorAll('svg')].map(part => part.textContent)")
    assert len(drawn) == (2 if cost is None else 3)
    assert all(point.name in picture for picture in drawn for point in report.points)
    assert "mathdefault" not in "".join(drawn)
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        open_page(browser, path)
        assert evaluate(browser, _FAINT) == []


_FAINT = """(() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const ground = part => {
    for (; part; part = part.parentElement) {
      const colour = getComputedStyle(part).backgroundColor
      if (!colour.endsWith(', 0)')) return light(colour)
    }
  }
  return [...document.querySelectorAll('main *, .top *, footer')]
    .filter(part => [...part.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
    .filter(part => !part.closest('title'))
    .map(part => {
      const style = getComputedStyle(part)
      const [low, high] = [light(part.closest('svg') ? style.fill : style.color), ground(part)].sort((a, b) => a - b)
      return [part.textContent.trim().slice(0, 40), (high + 0.05) / (low + 0.05)]
    })
    .filter(([, contrast]) => contrast < 4.5)
})()"""
"""Texts whose contrast is below what WCAG 2 asks of normal text."""
