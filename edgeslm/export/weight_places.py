"""Where a checkpoint's matrices are in the module: linear layers and looked-up tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgeslm.artifacts import Checkpoint

if TYPE_CHECKING:
    from torch import nn


def is_linear(module: nn.Module) -> bool:
    import torch

    return isinstance(module, torch.nn.Linear) or is_transposed(module)


def is_transposed(module: nn.Module) -> bool:
    """GPT-2's layers have their weights as [in, out]."""
    return type(module).__name__ == "Conv1D"


def is_never_looked_up(uses: Sequence[tuple[str, Any]]) -> bool:
    import torch

    return not any(isinstance(module, torch.nn.Embedding) for _, module in uses)


def find_places(model: nn.Module, checkpoint: Checkpoint) -> dict[str, list[tuple[str, Any]]]:
    """Checkpoint parameter -> (name, module) of those that have it as their weight."""
    import torch

    shapes = {parameter.name: parameter.shape for parameter in checkpoint.parameters if len(parameter.shape) == 2}
    found: dict[int, tuple[str, list[tuple[str, Any]]]] = {}
    modules = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Embedding) or is_linear(module)
    ]
    for name, module in modules:
        weight = f"{name}.weight"
        ends = [
            known for known in shapes if weight == known or weight.endswith(f".{known}") or known.endswith(f".{weight}")
        ]
        best = max(ends, key=len, default=None)
        if id(module.weight) in found:
            found[id(module.weight)][1].append((name, module))
        elif best is not None and shapes[best] == tuple(module.weight.shape):
            found[id(module.weight)] = (best, [(name, module)])
    return dict(sorted(found.values(), key=lambda one: list(shapes).index(one[0])))
