"""NaN in activations: the layer where it begins is named, whatever command runs the model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from edgeslm.errors import CheckpointError
from edgeslm.export.checkpoint import open_checkpoint
from edgeslm.export.finite_layers import finite_layers
from edgeslm.export.language_reference import written_texts
from edgeslm.export.load import load_module
from tests.decoders import make_decoder


def overflowing(source: Path, folder: Path, tensor: str) -> str:
    """A copy of the checkpoint whose tensor is finite, and too large for what comes out."""
    shutil.copytree(source, folder)
    weights = load_file(folder / "model.safetensors")
    weights[tensor] = np.full_like(weights[tensor], 3e38)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


def test_an_encoder_is_refused_before_its_export(checkpoint_of: Callable[..., Path], tmp_path: Path) -> None:
    path = overflowing(checkpoint_of("bert"), tmp_path / "bert", "encoder.layer.1.output.LayerNorm.weight")
    with pytest.raises(CheckpointError, match=r"layer model\.encoder\.layer\.1\.output\.LayerNorm gives NaN"):
        load_module(open_checkpoint(path))


def test_a_language_model_is_refused_when_it_writes(tmp_path: Path) -> None:
    source = make_decoder("llama", tmp_path / "llama")
    path = overflowing(source, tmp_path / "large", "model.layers.1.mlp.down_proj.weight")
    with pytest.raises(CheckpointError, match=r"layer model\.layers\.1\.mlp\.down_proj gives NaN"):
        written_texts(open_checkpoint(path))


def test_a_sound_model_is_left_as_it_was() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU())
    with finite_layers(model, "a text"):
        model(torch.ones(1, 4))
    assert not any(module._forward_hooks for module in model.modules())
