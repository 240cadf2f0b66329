"""Opening ONNX files. External data may not leave the file's folder (older readers do: CVE-2026-34447)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeslm.errors import CheckpointError

if TYPE_CHECKING:
    import onnx_ir


def load_onnx(path: Path) -> onnx_ir.Model:
    """The model with its external tensors mapped, not read. Raises CheckpointError where they lie elsewhere."""
    import onnx_ir

    try:
        model = onnx_ir.load(path)
    except Exception as error:  # protobuf and onnx_ir raise a variety of types on a damaged file
        raise CheckpointError(f"{path} is no ONNX model: {error}", "export it again") from error
    if not model.graph.outputs:
        raise CheckpointError(f"{path} is no ONNX model: its graph has no outputs", "export it again")
    reject_outside_data(model, path)
    return model


def reject_outside_data(model: onnx_ir.Model, path: Path) -> None:
    """Every external tensor must be a regular file inside the folder of the model, reached without links."""
    import onnx_ir

    folder = path.parent.resolve()
    tensors = [
        value.const_value
        for graph in model.graphs()
        for value in graph.initializers.values()
        if isinstance(value.const_value, onnx_ir.ExternalTensor)
    ]
    for tensor in tensors:
        location = Path(tensor.location)
        data = folder / location
        if location.is_absolute() or ".." in location.parts or not data.resolve().is_relative_to(folder):
            problem = "outside the model's folder"
        elif data.is_symlink() or not data.is_file():
            problem = "which is not a regular file"
        elif (tensor.offset or 0) + (tensor.length or 0) > data.stat().st_size:
            problem = "beyond the end of that file"
        else:
            continue
        raise CheckpointError(
            f"{path.name}: tensor {tensor.name!r} keeps its data in {tensor.location!r}, {problem}",
            "such a file may read what it should not; get the model from a source you trust",
        )
