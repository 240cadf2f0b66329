"""torch.export and the ONNX translation, with errors that name the operator and the layer."""

from __future__ import annotations

import contextlib
import functools
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeslm.artifacts import Checkpoint
from edgeslm.errors import UnsupportedOpError
from edgeslm.export.dense_experts import EXPORTABLE

if TYPE_CHECKING:
    import onnx_ir
    import torch
    from torch import nn

HINT = "export the part without it as module:function, or replace that layer by one that edgeslm can export"


def trace_module(
    module: nn.Module, examples: Mapping[str, torch.Tensor], dynamic: dict[str, Any] | None
) -> torch.export.ExportedProgram:
    """torch.export of `module` with inputs by name. `dynamic` gives each input's symbolic dimensions."""
    import torch

    with torch.no_grad(), _watched(module) as stack:
        try:
            return torch.export.export(module, (), dict(examples), dynamic_shapes=dynamic, strict=False)
        except Exception as error:
            raise UnsupportedOpError(
                _operator(error), _source(error), stack[-1] if stack else None, "torch.export", _reason(error), HINT
            ) from error


def translate_to_onnx(
    program: torch.export.ExportedProgram,
    names: Callable[[Checkpoint, int], list[str]],
    checkpoint: Checkpoint,
    opset: int,
) -> onnx_ir.Model:
    """The program as an ONNX graph whose inputs keep their names."""
    import torch

    inputs = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
    outputs = [spec for spec in program.graph_signature.output_specs if spec.kind.name == "USER_OUTPUT"]
    try:
        exported = torch.onnx.export(
            program,
            input_names=inputs,
            output_names=names(checkpoint, len(outputs)),
            opset_version=opset,
            dynamo=True,
            verbose=False,
        )
    except Exception as error:
        raise UnsupportedOpError(
            _operator(error), _source(error), _layer(error), "the ONNX exporter", _reason(error), HINT
        ) from error
    assert exported is not None
    return exported.model


@contextlib.contextmanager
def _watched(module: nn.Module) -> Iterator[list[str]]:
    """Paths of the modules being run, while inside; after an exception the last one is the layer that raised it.

    Inside, layers that no static graph can hold are replaced by equal ones.
    """
    stack: list[str] = []
    handles = []
    for name, part in module.named_modules():
        path = name.removeprefix("model.")

        def enter(_module: object, _inputs: object, path: str = path) -> None:
            stack.append(path)

        def leave(_module: object, _inputs: object, _outputs: object) -> None:
            stack.pop()

        # Weights are in float32 on the CPU already: a layer that converts itself in forward (Switch Transformers'
        # router) would have its parameters swapped under the tracer.
        part.to = functools.partial(_unchanged, part)  # undone below
        if type(part).__name__ in EXPORTABLE:
            part.forward = functools.partial(EXPORTABLE[type(part).__name__], part)
        handles += [part.register_forward_pre_hook(enter), part.register_forward_hook(leave)]
    try:
        yield stack
    finally:
        for handle in handles:
            handle.remove()
        for part in module.modules():
            del part.to
            vars(part).pop("forward", None)


def _unchanged(part: nn.Module, *_arguments: object, **_options: object) -> nn.Module:
    return part


def _operator(error: BaseException) -> str:
    text = _chain(error)
    if "data-dependent" in text:
        return "data-dependent control flow"
    found = re.search(r"aten[.:]+(\w+)", text)
    return f"aten.{found.group(1)}" if found else type(_root(error)).__name__


def _source(error: BaseException) -> str:
    """The innermost source line outside torch and edgeslm, in whatever exception of the chain has one."""
    current: BaseException | None = error
    while current is not None:
        frames = [f for f in traceback.extract_tb(current.__traceback__) if not f.filename.startswith(_inner_folders())]
        if frames:
            return f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}"
        current = current.__cause__ or current.__context__
    return "unknown"


def _inner_folders() -> tuple[str, str]:
    """Of torch and of edgeslm: what happens in there says nothing about the model."""
    import torch

    return (str(Path(torch.__file__).parent), str(Path(__file__).resolve().parent.parent))


def _layer(error: BaseException) -> str | None:
    found = re.findall(r"'(?:L__self___)?([\w.]+)',\s*'?[\w.]+'?\)", _chain(error))
    return found[-1].removeprefix("model.") if found else None


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(_root(error)).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _chain(error: BaseException) -> str:
    texts = []
    current: BaseException | None = error
    while current is not None:
        texts.append(f"{type(current).__name__}: {current}")
        current = current.__cause__
    return "\n".join(texts)
