"""Naming a graph's constants after the checkpoint's tensors, whose values they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeslm.artifacts import Checkpoint
from edgeslm.formats.weight_index import values_digest

if TYPE_CHECKING:
    import onnx_ir
    from torch import nn

SMALLEST = 2  # a scalar's value says nothing about where it comes from


def name_initializers(model: onnx_ir.Model, checkpoint: Checkpoint, module: nn.Module) -> dict[str, str]:
    """Rename each initializer that holds a checkpoint tensor, possibly transposed, after it.

    The exporter keeps the names of tables, norms and biases but calls transposed weights `val_15`. Returns initializer
    name -> checkpoint parameter. Where several parameters have equal values the first, in the checkpoint's order, gives
    its name.
    """
    by_values: dict[str, str] = {}
    known = {parameter.name: parameter for parameter in checkpoint.parameters}
    for name, array in _tensors(checkpoint, module):
        if name in known and array.size >= SMALLEST:
            for oriented in (array, array.T) if array.ndim == 2 else (array,):
                by_values.setdefault(values_digest(oriented), name)
    found: dict[str, str] = {}
    initializers = model.graph.initializers
    for value in list(initializers.values()):
        tensor = value.const_value
        if tensor is None or tensor.size < SMALLEST or not np.issubdtype(tensor.dtype.numpy(), np.floating):
            continue
        parameter = by_values.get(values_digest(tensor.numpy()))
        if parameter is None:
            continue
        name = parameter
        while name in initializers and initializers[name] is not value:
            name += "_"  # the same tensor in both orientations: a tied embedding
        if value.name != name:
            assert value.name is not None
            del initializers[value.name]
            value.name = name
            initializers[name] = value
        found[name] = parameter
    return found


def _tensors(checkpoint: Checkpoint, module: nn.Module) -> list[tuple[str, np.ndarray]]:
    """(name in the checkpoint, float32 values) of every floating tensor."""
    if checkpoint.root is None:
        return [(name, value.detach().float().numpy()) for name, value in module.named_parameters()]
    from safetensors import safe_open

    from edgeslm.export.load import body_folder
    from edgeslm.export.sentence_transformers import read_sentence_modules
    from edgeslm.export.weights_file import weight_files

    modules = read_sentence_modules(checkpoint.root)
    folders = {"": body_folder(checkpoint.root)}
    folders |= {f"{dense.path}.": checkpoint.root / dense.path for dense in (modules.dense if modules else ())}
    tensors = []
    for prefix, folder in folders.items():
        for file in weight_files(folder):
            if file.endswith(".safetensors"):
                with safe_open(folder / file, framework="pt") as opened:
                    for name in opened.keys():  # noqa: SIM118 - it is no dict
                        value = opened.get_tensor(name)
                        if value.is_floating_point():
                            tensors.append((prefix + name, value.float().numpy()))
    return tensors
