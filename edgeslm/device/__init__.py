"""Run a bundle: what travels inside it, as `edgeslm_device`. Needs numpy, tokenizers and one runtime.

    from edgeslm_device import Model
    model = Model.open("MiniLM-rpi4-int8.edgeslm")
    vectors = model.embed(["a text", "another"])  # float32, (2, D)

The command line is `python -m edgeslm_device run`. Errors are DeviceErrors: a message, what to do next, an exit code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["DeviceError", "Model", "TruncationWarning"]

if TYPE_CHECKING:
    from .errors import DeviceError
    from .model import Model, TruncationWarning

_HOMES = {"DeviceError": ".errors", "Model": ".model", "TruncationWarning": ".model"}


def __getattr__(name: str) -> object:
    # On first use only: numpy takes 0.3 s to import on a Raspberry Pi, and a missing package becomes a DeviceError.
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value
