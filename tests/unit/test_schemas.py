"""What is published is what is printed: schemas of every document, and the README's table."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "docs" / "schema"


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_published_schemas_are_current() -> None:
    done = script("schemas.py", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_document_a_command_prints_has_a_schema() -> None:
    from edgeslm import answers

    printed = {
        name
        for name, model in vars(answers).items()
        if inspect.isclass(model) and issubclass(model, BaseModel) and "--json" in (model.__doc__ or "")
    }
    assert len(printed) >= 8
    assert printed <= {json.loads(path.read_text())["title"] for path in SCHEMAS.glob("*.json")}


def test_what_a_build_must_answer_is_required() -> None:
    schema = json.loads((SCHEMAS / "build.json").read_text())
    assert {"bundle", "digest", "backend", "scheme", "model_bytes", "fidelity", "stages"} <= set(schema["required"])
    assert {"cosine_min", "max_abs_error"} <= set(schema["$defs"]["FidelityAnswer"]["required"])
    assert {"name", "seconds", "peak_rss_mib", "cached"} <= set(schema["$defs"]["StageAnswer"]["required"])


def test_the_readmes_table_is_current() -> None:
    done = script("readme_tables.py", "--check", str(ROOT / "README.md"))
    assert done.returncode == 0, done.stderr


def test_a_stale_table_is_told_and_written_anew(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- targets -->\nold\n<!-- /targets -->\nafter\n")
    assert script("readme_tables.py", "--check", str(readme)).returncode == 1
    assert "old" in readme.read_text()
    assert script("readme_tables.py", str(readme)).returncode == 0
    text = readme.read_text()
    assert "| `rpi4` | Raspberry Pi 4 Model B (4 GB) | 4 × cortex-a72, 1.5 GHz | neon | 4096 MiB |" in text
    assert text.startswith("before\n<!-- targets -->\n|")
    assert text.endswith("|\n<!-- /targets -->\nafter\n")
    assert script("readme_tables.py", "--check", str(readme)).returncode == 0


@pytest.mark.parametrize("text", ["", "<!-- targets -->", "<!-- /targets -->\n<!-- targets -->"])
def test_markers_that_are_missing_are_told(text: str, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    done = script("readme_tables.py", str(readme))
    assert done.returncode == 1
    assert "<!-- /targets -->" in done.stderr
    assert readme.read_text() == text
