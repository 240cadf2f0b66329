"""Where the checked-in C lies: the package `edgeslm.firmware_templates`, wherever it is installed."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def template_folder() -> Path:
    """The folder of kernels/, model/, tokenizer/ and the other rooms of firmware_templates."""
    return Path(str(resources.files("edgeslm.firmware_templates")))
