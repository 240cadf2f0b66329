"""The classes that travel in every library are those of the sources beside them."""

from __future__ import annotations

import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from edgeslm.bundle.android.library import CLASSES
from edgeslm.bundle.android.project import TEMPLATE
from scripts.android_classes import COMPILER, compile_library, write_jar
from tests.android import jvm

JAVA_8 = 52
"""Major version of its class files."""


def test_the_jar_is_what_its_sources_compile_to(tmp_path: Path) -> None:
    absent = jvm.problem()
    if absent:
        pytest.skip(absent)
    told = subprocess.run(["javac", "-version"], capture_output=True, text=True, check=True).stdout
    if not re.match(rf"javac {COMPILER}\b", told):
        pytest.skip(f"the jar was compiled by javac {COMPILER}; here is {told.strip()}")
    write_jar(compile_library(tmp_path / "classes"), tmp_path / "classes.jar")
    assert (tmp_path / "classes.jar").read_bytes() == CLASSES.read_bytes(), "python -m scripts.android_classes"


def test_the_jar_has_our_classes_alone_for_java_8() -> None:
    with zipfile.ZipFile(CLASSES) as opened:
        names = opened.namelist()
        versions = {opened.read(name)[6:8] for name in names}
    assert versions == {JAVA_8.to_bytes(2, "big")}
    assert all(name.startswith("org/edgeslm/") for name in names)
    sources = TEMPLATE / "edgeslm" / "src" / "main" / "java"
    outer = {re.sub(r"(\$[^/]*)?\.class$", "", name) for name in names}
    public = {path.relative_to(sources).with_suffix("").as_posix() for path in sources.rglob("*.java")}
    assert public <= outer
