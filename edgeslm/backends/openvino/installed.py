"""Whether OpenVINO and nncf are here, and importing them without their telemetry."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from edgeslm.artifacts import Converter

PACKAGES = ("openvino", "nncf")


def missing(converter: Converter | None = None) -> str | None:
    """None where the backend can be used, else what is missing and what to do. It converts in one way alone."""
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if not absent:
        return None
    return f"not installed: {', '.join(absent)}; edgeslm doctor --install openvino"


def import_openvino() -> ModuleType:
    """openvino, unable to report to its vendor.

    Unless a user has opted out, its converter and nncf send what they convert to an analytics service and leave
    a client id in the home folder. Both fall back to a stub where openvino_telemetry cannot be imported.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is how Python blocks an import
    return importlib.import_module("openvino")


def import_nncf() -> ModuleType:
    import_openvino()
    return importlib.import_module("nncf")
