"""OpenVINO's IR: reading it, writing it so that equal graphs give equal bytes, and walking to its weights.

A weight is found by the operation that uses it: the path from there up to the constants (conversions, scales, zero
points, reshapes) depends on no input of the model and is called the weight's *source* here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.openvino.installed import import_openvino

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

FILES = ("model.xml", "model.bin")
AUTOMATIC_NAME = re.compile(r"[A-Z][A-Za-z0-9]*_\d+")  # the type and a count over the process' whole life


def read_ir(root: Path) -> openvino.Model:
    return import_openvino().Core().read_model(root / FILES[0])


def save_ir(model: openvino.Model, out: Path, options: Mapping[str, str], stem: str = "model") -> None:
    """Write `stem`.xml and `stem`.bin. `options` are settings of the runtime that travel inside the file."""
    openvino = import_openvino()
    for section in ("conversion_parameters", "nncf"):  # paths, and settings that name this machine's packages
        if section in model.rt_info:
            del model.rt_info[section]
    for name, value in options.items():
        model.set_rt_info(value, ["runtime_options", name])
    model.set_friendly_name(stem)
    _rename_automatic(model)
    openvino.save_model(model, out / f"{stem}.xml", compress_to_fp16=False)


def _rename_automatic(model: openvino.Model) -> None:
    """Operations that only a counter named get their place in the graph as a name: the counter goes on from one
    conversion to the next in a process, so the same model would get other bytes."""
    operations = model.get_ordered_ops()
    taken = {operation.get_friendly_name() for operation in operations}
    for place, operation in enumerate(operations):
        if AUTOMATIC_NAME.fullmatch(operation.get_friendly_name()):
            name = f"{operation.get_type_name()}.{place}"
            while name in taken:
                name += "."
            operation.set_friendly_name(name)


def constants(model: openvino.Model) -> Iterator[openvino.Node]:
    return (operation for operation in model.get_ordered_ops() if operation.get_type_name() == "Constant")


def values_of(constant: openvino.Node) -> NDArray[Any]:
    """A view of the constant's values; it lives as long as the constant does."""
    array: NDArray[Any] = constant.data
    return array


def source_constants(source: openvino.Node) -> list[openvino.Node] | None:
    """All constants that a source is made of, or None where it depends on an input of the model."""
    found: dict[str, Any] = {}
    waiting = [source]
    while waiting:
        node = waiting.pop()
        if node.get_type_name() in {"Parameter", "ReadValue"}:
            return None
        if node.get_type_name() == "Constant":
            found[node.get_friendly_name()] = node
        waiting += [value.get_node() for value in node.input_values()]
    return [found[name] for name in sorted(found)]


def evaluate(sources: Iterable[openvino.Node]) -> Iterator[NDArray[np.float32]]:
    """The values of sources as the runtime itself computes them from codes, scales and zero points."""
    openvino = import_openvino()
    core = openvino.Core()
    for source in sources:
        # Through a parameter that adds nothing: a graph without any cannot be compiled everywhere.
        compiled = core.compile_model(
            openvino.Model([source.output(0)], []), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
        yield np.asarray(compiled([])[0], dtype=np.float32)
