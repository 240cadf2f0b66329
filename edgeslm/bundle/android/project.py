"""The Gradle project in a bundle: the template's files, the models as its assets, and the library in a Maven layout."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from edgeslm import __version__
from edgeslm.bundle.android.litert import ARTIFACT, GROUP, VERSION, LiteRtFiles

TEMPLATE: Final = Path(__file__).parent / "template"
FOLDER: Final = "android"
"""Of a bundle: the project's folder."""
MODULE: Final = f"{FOLDER}/edgeslm"
ASSETS: Final = f"{MODULE}/src/main/assets"
MAVEN: Final = "maven"
"""Of a bundle: a Maven repository of one library."""
OUR_GROUP: Final = "org.edgeslm"
SUFFIXES: Final = frozenset({".gradle", ".properties", ".pro", ".xml", ".java"})

_POM = """\
<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>{group}</groupId>
  <artifactId>{artifact}</artifactId>
  <version>{version}</version>
  <packaging>aar</packaging>
  <name>{title}</name>
{dependencies}</project>
"""
_DEPENDENCY = f"""\
  <dependencies>
    <dependency>
      <groupId>{GROUP}</groupId>
      <artifactId>{ARTIFACT}</artifactId>
      <version>{VERSION}</version>
      <type>aar</type>
      <scope>runtime</scope>
    </dependency>
  </dependencies>
"""


def artifact_name(name: str) -> str:
    """Maven's artifact of a model: edgeslm-NAME, reduced to what Maven and Gradle take."""
    reduced = re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip(".-")[:60]
    return f"edgeslm-{reduced or 'model'}"


def library_places(name: str) -> tuple[str, str]:
    """Members of the .aar and of its POM, as a Maven repository has them."""
    artifact = artifact_name(name)
    stem = f"{MAVEN}/{OUR_GROUP.replace('.', '/')}/{artifact}/{__version__}/{artifact}-{__version__}"
    return f"{stem}.aar", f"{stem}.pom"


def pom_text(name: str, litert: LiteRtFiles) -> str:
    """The POM; with LiteRT as its dependency, unless its files are in the library."""
    return _POM.format(
        group=OUR_GROUP,
        artifact=artifact_name(name),
        version=__version__,
        title=escape(f"{name} by edgeslm"),
        dependencies=_DEPENDENCY if litert.is_empty else "",
    )


def project_members(assets: Mapping[str, bytes | Path], litert: LiteRtFiles, abi: str) -> dict[str, bytes | Path]:
    """Members of the bundle that make the project. `assets`: by their names in an app's assets."""
    members: dict[str, bytes | Path] = {
        f"{FOLDER}/{path.relative_to(TEMPLATE).as_posix()}": path
        for path in sorted(TEMPLATE.rglob("*"))
        if path.is_file() and path.suffix in SUFFIXES
    }
    members |= {f"{ASSETS}/{name}": content for name, content in assets.items()}
    members |= {f"{MODULE}/libs/{name}": content for name, content in litert.jars.items()}
    return members | {f"{MODULE}/src/main/jniLibs/{abi}/{name}": content for name, content in litert.natives.items()}
