"""What PyTorch answers: the outputs that fidelity is judged against.

A text runs at its own length, unpadded, through the model as transformers has it and, for embeddings, through the
pooling of text_model.py; so the exported wrapper (additive mask, explicit positions) is under test too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeslm.artifacts import Checkpoint, Samples
from edgeslm.digest import file_digest
from edgeslm.export.load import load_module
from edgeslm.formats.samples import read_samples, write_samples

if TYPE_CHECKING:
    import torch
    from torch import nn


def reference_outputs(checkpoint: Checkpoint, samples: Samples, out: Path) -> Samples:
    """Outputs by name for every sample, in `samples`' order."""
    import torch

    from edgeslm.export.onnx_export import output_names
    from edgeslm.export.text_model import TextModel

    module: nn.Module = load_module(checkpoint)
    if isinstance(module, TextModel):
        module.mask_form = "tokens"
    answers = []
    with torch.inference_mode():
        for sample in read_samples(samples.path):
            feed = {name: torch.from_numpy(array) for name, array in sample.items()}
            result = module(**feed)
            flat = flatten(result)
            names = output_names(checkpoint, len(flat))
            answers.append({name: value.numpy() for name, value in zip(names, flat, strict=True)})
    path = out / "reference.npz"
    write_samples(path, answers)
    return Samples(out, file_digest(path), "PyTorch", len(answers), arrays=path.name)


def flatten(result: object) -> list[torch.Tensor]:
    """Tensors of a module's result in order: a tensor, a (nested) tuple, list, dict or dataclass-like output."""
    import torch

    if isinstance(result, torch.Tensor):
        return [result]
    if isinstance(result, dict):
        return [tensor for value in result.values() for tensor in flatten(value)]
    if isinstance(result, (tuple, list)):
        return [tensor for value in result for tensor in flatten(value)]
    return []
