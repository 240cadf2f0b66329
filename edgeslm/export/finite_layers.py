"""A layer that gives NaN is named where it first does: what comes out at the end says nothing of where it began."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgeslm.errors import CheckpointError

if TYPE_CHECKING:
    from torch import nn


@contextmanager
def finite_layers(model: nn.Module, given: str) -> Iterator[None]:
    """While it lasts, a module without children whose result is not finite raises CheckpointError. `given`: what the
    model is run on."""
    import torch

    def watching(name: str) -> Any:
        def hook(_: nn.Module, arguments: Any, result: Any) -> None:
            if isinstance(result, torch.Tensor) and not bool(torch.isfinite(result).all()):
                raise CheckpointError(
                    f"layer {name} gives NaN or infinite values for {given}",
                    "its weights are finite: a norm of a constant, a division by zero or an overflow; look at the "
                    "layers before it",
                )

        return hook

    hooks = [
        module.register_forward_hook(watching(name))
        for name, module in model.named_modules()
        if not list(module.children())
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
