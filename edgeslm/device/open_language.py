"""A language model with the runtime that its bundle was built for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import BundleError, UsageError
from .files import Files, FolderFiles
from .language import LanguageEngine


def open_language(model: Mapping[str, Any], root: str | Path | Files, threads: int = 2) -> LanguageEngine:
    """`model`: the manifest's `model` object. `root`: the folder (or opened bundle) that holds its files.

    Raises MissingPackageError where the runtime is not installed, BundleError where it cannot take the model.
    """
    if threads < 1:
        raise UsageError(f"threads must be at least 1, not {threads}")
    files = root if isinstance(root, Files) else FolderFiles(Path(root), None)
    if model["runtime"] == "ai-edge-litert":
        from .litert_language import LiteRtLanguage

        return LiteRtLanguage(model, files, threads)
    if model["runtime"] == "openvino":
        from .openvino_language import OpenVinoLanguage

        return OpenVinoLanguage(model, files, threads)
    raise BundleError(f"the model wants the runtime {model['runtime']!r}, which this device package does not know")
