"""The matrix: families of encoders on both backends, from checkpoint to a bundle that is run."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgeslm
from edgeslm.backends import load_backend
from edgeslm.errors import FidelityError, UnsupportedOpError
from tests.architectures import WORDS

BACKENDS = ("tflite", "openvino")
WORKING = ("bert", "roberta", "distilbert", "tinybert", "mobilebert", "albert", "minilm", "switch")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    problem = load_backend(name).missing()
    if problem:
        pytest.skip(f"{name}: {problem}")
    return name


@pytest.mark.parametrize("family", WORKING)
def test_family(checkpoint_of: Callable[..., Path], tmp_path: Path, family: str, backend: str) -> None:
    """As trained, and every text at its own length: what comes out of the bundle is what PyTorch says."""
    report = edgeslm.build(
        "rpi4", str(checkpoint_of(family)), scheme="fp32", backend=backend, out=tmp_path, eval=texts(tmp_path)
    )
    assert report.fidelity.cosine_min >= 0.99999
    assert report.fidelity.samples == 20
    assert report.compiled.lengths == (16, 32, 64)
    model = edgeslm.Model.open(report.bundle.path)
    short, long = model.embed(["the cat", " ".join(WORDS[:40])])
    assert np.isfinite(short).all()
    assert np.isfinite(long).all()
    stored = {tensor.parameter for tensor in report.compiled.stored}
    assert {p.name for p in report.checkpoint.parameters if p.role != "other"} <= stored


def test_funnel_is_right_at_its_one_length_and_refused_below(
    checkpoint_of: Callable[..., Path], tmp_path: Path, backend: str
) -> None:
    """Its pooling of the sequence leaves no symbolic length, and mixes what was padded into what was not, in PyTorch
    as well: only a text that fills the length is answered as PyTorch answers it unpadded."""
    folder, full = str(checkpoint_of("funnel")), tmp_path / "full.txt"
    random = np.random.default_rng(0)
    full.write_text("".join(f"{' '.join(random.choice(WORDS, count))}\n" for count in (62, 65, 80)))
    report = edgeslm.build("rpi4", folder, scheme="fp32", backend=backend, out=tmp_path / "full", eval=full)
    assert report.compiled.lengths == (64,)
    assert report.fidelity.cosine_min >= 0.99999
    with pytest.raises(FidelityError):
        edgeslm.build("rpi4", folder, scheme="fp32", backend=backend, out=tmp_path / "any", eval=texts(tmp_path))
    assert list(tmp_path.glob("any/*")) == []


def test_reformer_is_refused_with_operator_and_layer(checkpoint_of: Callable[..., Path], tmp_path: Path) -> None:
    """Its hashing branches on the number of masked tokens, which no graph can hold, whatever the backend."""
    with pytest.raises(UnsupportedOpError) as caught:
        edgeslm.build("rpi4", str(checkpoint_of("reformer")), scheme="fp32", backend="openvino", out=tmp_path)
    assert caught.value.layer == "encoder.layers.1.attention.self_attention"
    assert "control flow" in caught.value.op
    assert list(tmp_path.iterdir()) == []


LINFORMER = '''
"""A Linformer layer (Wang et al. 2020): keys and values projected along the sequence."""
import torch
from torch import nn

class Linformer(nn.Module):
    def __init__(self, tokens=32, width=32, heads=4, projected=8):
        super().__init__()
        self.table = nn.Embedding(100, width)
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.project_keys = nn.Parameter(torch.randn(projected, tokens) / tokens**0.5)
        self.project_values = nn.Parameter(torch.randn(projected, tokens) / tokens**0.5)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 5)
        self.heads = heads

    def forward(self, input_ids):
        x = self.table(input_ids)
        def split(t):
            return t.reshape(t.shape[0], t.shape[1], self.heads, -1).transpose(1, 2)
        query = split(self.query(x))
        key = split(torch.matmul(self.project_keys, self.key(x)))
        value = split(torch.matmul(self.project_values, self.value(x)))
        attention = torch.softmax(query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5, -1)
        mixed = (attention @ value).transpose(1, 2).reshape(x.shape)
        return self.out(self.norm(x + mixed)).mean(1)

def linformer():
    torch.manual_seed(0)
    return Linformer(), torch.randint(0, 100, (1, 32))

class Net(nn.Module):
    """Convolution over a spectrogram, two inputs, two outputs: nothing of a transformer."""
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(8, 12, 3, padding=1)
        self.out = nn.Linear(12, 4)

    def forward(self, frames, gain):
        hidden = torch.relu(self.conv(frames * gain)).transpose(1, 2)
        return {"classes": self.out(hidden.mean(1)), "hidden": hidden}

def net():
    torch.manual_seed(0)
    return Net(), {"frames": torch.randn(1, 8, 20), "gain": torch.rand(1, 8, 1)}
'''


@pytest.fixture(scope="module")
def plain_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with them: each is exported once for both backends."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "plain_modules.py").write_text(textwrap.dedent(LINFORMER))
    return folder


@pytest.mark.parametrize("function", ["linformer", "net"])
def test_plain_module(
    plain_modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, function: str
) -> None:
    monkeypatch.chdir(plain_modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    report = edgeslm.build("rpi4", f"plain_modules:{function}", scheme="fp32", backend=backend, out=tmp_path)
    assert report.fidelity.cosine_min >= 0.99999
    model = edgeslm.Model.open(report.bundle.path)
    random = np.random.default_rng(0)
    inputs = {
        spec["name"]: random.integers(0, 9, spec["shape"]).astype(np.int32)
        if spec["dtype"] == "int32"
        else random.standard_normal(spec["shape"]).astype(np.float32)
        for spec in model.manifest["model"]["inputs"]
    }
    outputs = model.run(inputs)
    assert [list(outputs[s["name"]].shape) for s in model.manifest["model"]["outputs"]] == [
        s["shape"] for s in model.manifest["model"]["outputs"]
    ]
    document = json.loads(report.bundle.path.with_suffix(".report.json").read_text())
    assert document["fidelity"]["passed"] is True


def texts(folder: Path) -> Path:
    """Twenty texts of the small vocabulary, from one word to the longest bucket."""
    random = np.random.default_rng(0)
    lines = [" ".join(random.choice(WORDS, count)) for count in (1, 2, 3, 5, 8, 13, 14, 15, 20, 30, 31, 40, 55, 61, 70)]
    path = folder / "texts.txt"
    path.write_text("\n".join([*lines, "cat", "dog runs", "the red house", "who is it", "a b c d e f g"]) + "\n")
    return path
