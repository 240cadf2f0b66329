"""Checkpoint -> OnnxModel: torch.export, torch's ONNX exporter, our passes, and a static graph for each length."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeslm.artifacts import Checkpoint, OnnxModel, TensorSpec
from edgeslm.digest import files_digest
from edgeslm.errors import CheckpointError, UnsupportedOpError
from edgeslm.export.checkpoint_weights import name_initializers
from edgeslm.export.load import input_names, load_module
from edgeslm.export.trace import trace_module, translate_to_onnx
from edgeslm.formats.onnx_file import load_onnx
from edgeslm.formats.quiet import quiet_output

if TYPE_CHECKING:
    import onnx_ir
    import torch
    from torch import nn

WEIGHTS = "weights.bin"
SHORTEST = (
    4  # tracing from 2 on trips over guards like MobileBERT's tokens - 1 != 1; the graph holds for 2 and 3 as well
)
OPSET = 20  # the first with Gelu as one operator; both backends read it


def export_onnx(checkpoint: Checkpoint, lengths: tuple[int, ...], out: Path) -> OnnxModel:
    """Write the graphs into `out`. Raises UnsupportedOpError where the model cannot be exported."""
    from edgeslm.cache import cache_folder
    from edgeslm.passes import prepare

    module = load_module(checkpoint)
    with quiet_output(cache_folder() / "logs" / "export.log"):
        model, dynamic = _to_onnx(checkpoint, module, lengths)
        parameter_of = name_initializers(model, checkpoint, module)
        model = prepare(model)
        parameter_of = {name: parameter_of[name] for name in model.graph.initializers if name in parameter_of}
        _save(model, out / "model.onnx")
        files = {0: "model.onnx"}
        if lengths and not dynamic:
            lengths = lengths[-1:]
            files[lengths[0]] = "model.onnx"
        elif lengths:
            files |= {length: _specialized(out, length) for length in lengths}
    inputs, outputs = (_specs(values, lengths, dynamic) for values in (model.graph.inputs, model.graph.outputs))
    _reject_unused_inputs(checkpoint, inputs, model)
    names = sorted({*files.values(), WEIGHTS})
    return OnnxModel(
        root=out,
        digest=files_digest(out, names),
        parent=checkpoint.digest,
        task=checkpoint.task,
        inputs=inputs,
        outputs=outputs,
        lengths=lengths,
        files=files,
        weights=WEIGHTS,
        parameter_of=parameter_of,
        pad_id=checkpoint.tokenizer.pad_id if checkpoint.tokenizer else 0,
    )


def output_names(checkpoint: Checkpoint, count: int) -> list[str]:
    if checkpoint.task == "tensors":
        return [f"output_{index}" for index in range(count)]
    return ["sentence_embedding" if checkpoint.task == "embedding" else "logits"]


def _to_onnx(checkpoint: Checkpoint, module: nn.Module, lengths: tuple[int, ...]) -> tuple[onnx_ir.Model, bool]:
    """The graph as torch's exporter writes it, and whether its length is symbolic."""
    if not lengths:
        from edgeslm.export.plain_module import load_plain_module

        program = trace_module(module, load_plain_module(checkpoint.source).examples, None)
        return translate_to_onnx(program, output_names, checkpoint, OPSET), False
    longest = lengths[-1]
    model = _symbolic_length(checkpoint, module, longest) if longest > SHORTEST else None
    if model is not None:
        return model, True
    program = trace_module(module, _text_examples(checkpoint, longest), None)
    return translate_to_onnx(program, output_names, checkpoint, OPSET), False


def _symbolic_length(checkpoint: Checkpoint, module: nn.Module, longest: int) -> onnx_ir.Model | None:
    """None for the families that only trace at a fixed length, be it with an error or silently."""
    import torch

    dimension = torch.export.Dim("tokens", min=SHORTEST, max=longest)
    examples = _text_examples(checkpoint, min(longest - 1, 23))
    try:
        program = trace_module(module, examples, {name: {1: dimension} for name in examples})
    except UnsupportedOpError:
        return None
    model = translate_to_onnx(program, output_names, checkpoint, OPSET)
    fixed = any(isinstance(value.shape[1], int) for value in model.graph.inputs if value.shape is not None)
    return None if fixed else model


def _text_examples(checkpoint: Checkpoint, tokens: int) -> dict[str, torch.Tensor]:
    import torch

    return {name: torch.ones((1, tokens), dtype=torch.int32) for name in input_names(checkpoint)}


def _specialized(out: Path, length: int) -> str:
    """Write the static graph of one length; its weights stay where the symbolic graph has them."""
    import onnx_ir

    from edgeslm.passes import specialize

    name = f"model-{length}.onnx"
    onnx_ir.save(specialize(load_onnx(out / "model.onnx"), length), out / name)
    return name


def _save(model: onnx_ir.Model, path: Path) -> None:
    import onnx_ir

    onnx_ir.save(model, path, external_data=WEIGHTS, size_threshold_bytes=1024)
    (path.parent / WEIGHTS).touch()  # a model without a large tensor has no external data


def _specs(values: Any, lengths: tuple[int, ...], dynamic: bool) -> tuple[TensorSpec, ...]:
    """A runner pads texts, so to its user the token axis (axis 1) varies even where the graph's is fixed."""
    specs = []
    for value in values:
        shape = tuple(extent if isinstance(extent, int) else -1 for extent in value.shape)
        if lengths and not dynamic and shape[1:2] == lengths:
            shape = (shape[0], -1, *shape[2:])
        specs.append(TensorSpec(value.name, str(value.dtype.numpy()), shape))
    return tuple(specs)


def _reject_unused_inputs(checkpoint: Checkpoint, inputs: tuple[TensorSpec, ...], model: onnx_ir.Model) -> None:
    for value in model.graph.inputs:
        if not value.uses() and not value.is_graph_output() and checkpoint.task == "tensors":
            raise CheckpointError(
                f"{checkpoint.name}: input {value.name!r} has no influence on any output",
                "return examples only for inputs that the module uses",
            )
