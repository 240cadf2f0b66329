"""`module:function`: a function of the user's own that returns (nn.Module, example inputs)."""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeslm.artifacts import Checkpoint, Parameter, Role
from edgeslm.digest import json_digest
from edgeslm.errors import CheckpointError, MissingExtraError

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class PlainModule:
    """A module and its example inputs by forward's parameter names; integers are int32."""

    module: nn.Module
    examples: dict[str, torch.Tensor]


def open_plain_module(source: str) -> Checkpoint:
    """Run the user's function and describe what it returned."""
    plain = load_plain_module(source)
    from torch import nn

    tables = {id(m.weight) for m in plain.module.modules() if isinstance(m, nn.Embedding)}
    parameters = tuple(
        Parameter(name, tuple(value.shape), _role(name, value, tables))
        for name, value in plain.module.named_parameters()
    )
    return Checkpoint(
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", source.replace(":", "-")).lower(),
        source=source,
        digest=_digest(plain),
        task="tensors",
        architecture=type(plain.module).__name__,
        parameters=parameters,
    )


@functools.cache
def load_plain_module(source: str) -> PlainModule:
    """Import and call the function, once in a process: a module with random weights must not change under us."""
    try:
        import torch
        from torch import nn
    except ImportError as error:
        raise MissingExtraError("build", error.name or "torch", "exporting a module") from None
    module_name, _, function_name = source.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does: the user's module lies where the user is
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except ImportError as error:
        raise CheckpointError(f"module {module_name!r} cannot be imported: {error}", "is it on PYTHONPATH?") from error
    except AttributeError:
        raise CheckpointError(f"module {module_name!r} has no function {function_name!r}") from None
    expected = "it must return (nn.Module, example inputs), the examples a tensor, a tuple of them or a dict by name"
    try:
        returned = function()
    except Exception as error:
        raise CheckpointError(f"{source} failed: {type(error).__name__}: {error}", expected) from error
    if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[0], nn.Module)):
        raise CheckpointError(f"{source} returned {type(returned).__name__}", expected)
    module, examples = returned
    named = _named(module, examples)
    if not named or not all(isinstance(value, torch.Tensor) for value in named.values()):
        raise CheckpointError(f"{source} returned examples that are no tensors", expected)
    small = {name: value.int() if value.dtype == torch.int64 else value for name, value in named.items()}
    return PlainModule(module.eval().float(), small)


def _named(module: nn.Module, examples: Any) -> dict[str, Any]:
    if isinstance(examples, dict):
        return dict(examples)
    values = examples if isinstance(examples, (tuple, list)) else (examples,)
    return dict(zip(inspect.signature(module.forward).parameters, values, strict=False))


def _role(name: str, value: torch.Tensor, tables: set[int]) -> Role:
    if id(value) in tables:
        return "embedding"
    return "linear" if value.ndim == 2 and name.endswith("weight") else "other"


def _digest(plain: PlainModule) -> str:
    """Of weights, code and example shapes."""
    weights = hashlib.sha256()
    for name, value in sorted(plain.module.state_dict().items()):
        weights.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        weights.update(value.detach().contiguous().numpy().tobytes())
    sources = []
    for kind in sorted(
        {type(module) for module in plain.module.modules()}, key=lambda k: (k.__module__, k.__qualname__)
    ):
        try:
            sources.append(inspect.getsource(kind))
        except (OSError, TypeError):  # built in an interactive session: its name has to do
            sources.append(kind.__qualname__)
    shapes = {name: [str(value.dtype), list(value.shape)] for name, value in plain.examples.items()}
    return json_digest([weights.hexdigest(), sources, str(plain.module), shapes])
