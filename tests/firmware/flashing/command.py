"""`edgeslm flash` in this process, so that a fake can stand at its edge."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from edgeslm.cli import edgeslm


def flash(bundle: Path, *options: str) -> dict[str, Any]:
    """What --json prints. Raises what ends the command."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        edgeslm.main(["flash", str(bundle), *options, "--json"], standalone_mode=False)
    found: dict[str, Any] = json.loads(printed.getvalue())
    return found
