"""torch's ONNX exporter parses the sources of its five hundred functions for each export: here once for all."""

from __future__ import annotations

import functools
import sys


def parse_torchlib_once() -> None:
    """From now on in this process; nothing happens before the exporter is imported."""
    exporter = sys.modules.get("torch.onnx._internal.exporter._registration")
    apis = getattr(exporter, "onnxscript_apis", None)
    if apis is not None and not hasattr(apis.get_torchlib_ops, "cache_info"):
        apis.get_torchlib_ops = functools.cache(apis.get_torchlib_ops)
