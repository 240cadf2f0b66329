"""docs/android.md names what the library has: its Kotlin cannot be compiled here, but its members can be looked up."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.android.jvm import TEMPLATE, Classes
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "android.md").read_text()
SOURCES = TEMPLATE / "edgeslm/src/main/java/org/edgeslm"
OBJECTS = {
    "EdgeSlm": "EdgeSlm",
    "model": "EdgeSlm",
    "generation": "Generation",
    "Generation": "Generation",
    "error": "EdgeSlmException",
    "stats": "GenerateStats",
}
"""Name in the page -> class."""
OF_KOTLIN = {("EdgeSlmException", "message")}


@pytest.fixture(scope="module")
def members(android_classes: Classes) -> dict[str, set[str]]:
    """Class -> its public members, Kotlin's properties of getters among them."""
    names = ("EdgeSlm", "Generation", "EdgeSlmException", "GenerateStats", "GenerateOptions", "GenerateCallback")
    command = ["javap", "-public", "-cp", str(android_classes.library), *(f"org.edgeslm.{name}" for name in names)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, set[str]] = {}
    for part in told.split("Compiled from")[1:]:
        named = re.search(r"(?:class|interface) org\.edgeslm\.(\w+)", part)
        assert named is not None
        methods = set(re.findall(r"(\w+)\(", part))
        found[named[1]] = methods | {name[3].lower() + name[4:] for name in methods if re.match("get[A-Z]", name)}
    found["EdgeSlmException"].add("getMessage")  # Throwable's
    return found


def blocks(language: str) -> str:
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL))


@pytest.mark.parametrize("language", ["kotlin", "java"])
def test_members_in_the_snippets_are_there(members: dict[str, set[str]], language: str) -> None:
    text = re.sub(r"executor \{.*?\}", "executor(it)", blocks(language))  # a lambda of Kotlin
    used = {(OBJECTS[name], member) for name, member in re.findall(r"\b(\w+)\.(\w+)", text) if name in OBJECTS}
    used |= {("GenerateCallback", name) for name in re.findall(r"(?:override fun|public void) (on[A-Z]\w+)", text)}
    used -= {("GenerateCallback", "onCleared")}  # a ViewModel's
    chained = re.findall(r"GenerateOptions\(\)((?:\.\w+\([^)]*\))+)", text)
    used |= {("GenerateOptions", name) for chain in chained for name in re.findall(r"\.(\w+)\(", chain)}
    assert {name for name, _ in used} >= {"EdgeSlm", "Generation", "GenerateOptions", "GenerateCallback"}
    assert not [f"{name}.{member}" for name, member in sorted(used - OF_KOTLIN) if member not in members[name]]


def test_options_are_all_named(members: dict[str, set[str]]) -> None:
    options = PAGE.partition("Options, as on the command line")[2].partition("\n\n")[0]
    own = members["GenerateOptions"] - {"GenerateOptions"}
    assert own == set(re.findall(r"`(\w+)`", options))


def test_exceptions_are_all_named() -> None:
    """With the getters that the table names."""
    table = PAGE.partition("## What can go wrong")[2].partition("\n\n## ")[0]
    named = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    text = {path.stem: path.read_text() for path in SOURCES.glob("*.java")}
    assert named == {name for name, content in text.items() if "extends EdgeSlmException" in content}
    for row in re.findall(r"^\| `(\w+)` \|(.*)\|$", table, re.MULTILINE):
        for getter in re.findall(r"`(get\w+)\(\)`", row[1]):
            assert f"{getter}()" in text[row[0]]


def test_it_is_said_what_was_not_run_on_a_phone() -> None:
    assert "Nothing here was run on a phone" in PAGE
    assert "was not run on a phone" in (ROOT / "README.md").read_text().replace("\n", " ")
