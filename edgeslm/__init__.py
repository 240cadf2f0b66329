"""edgeslm: from a PyTorch checkpoint to a verified bundle on a small device.

    import edgeslm
    report = edgeslm.build(target="rpi4", model="path/to/checkpoint", scheme="int8")
    print(report.bundle.path, report.fidelity.cosine_min)

Everything here does what the command of the same name does, with the same types; `measure` is `edgeslm probe`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "BuildReport",
    "BuildRequest",
    "Decision",
    "EdgeslmError",
    "Inspection",
    "Limits",
    "Model",
    "ProbeReport",
    "Target",
    "__version__",
    "build",
    "compare",
    "inspect",
    "list_targets",
    "load_target",
    "measure",
    "plan",
]

if TYPE_CHECKING:
    from edgeslm.api import build, compare, inspect, measure, plan
    from edgeslm.artifacts import BuildReport
    from edgeslm.bundle.inspect import Inspection
    from edgeslm.device import Model
    from edgeslm.errors import EdgeslmError
    from edgeslm.limits import Limits
    from edgeslm.pipeline import BuildRequest, Decision
    from edgeslm.probe.report import ProbeReport
    from edgeslm.target import Target, list_targets, load_target

# Where each public name lives. Resolved on first use, so that `import edgeslm` (and with it `edgeslm --help`)
# stays fast.
_HOMES = {
    "build": "edgeslm.api",
    "plan": "edgeslm.api",
    "inspect": "edgeslm.api",
    "measure": "edgeslm.api",
    "compare": "edgeslm.api",
    "BuildReport": "edgeslm.artifacts",
    "BuildRequest": "edgeslm.pipeline",
    "Decision": "edgeslm.pipeline",
    "EdgeslmError": "edgeslm.errors",
    "Inspection": "edgeslm.bundle.inspect",
    "Limits": "edgeslm.limits",
    "Model": "edgeslm.device",
    "ProbeReport": "edgeslm.probe.report",
    "Target": "edgeslm.target",
    "list_targets": "edgeslm.target",
    "load_target": "edgeslm.target",
}


def __getattr__(name: str) -> object:
    import importlib

    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'edgeslm' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
