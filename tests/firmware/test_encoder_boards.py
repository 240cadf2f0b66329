"""A sentence encoder built for emulated boards, run there by the command line: the host build's bits, near PyTorch."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeslm.backends.cortexm.host_encoder import HostEncoder
from edgeslm.backends.cortexm.variant import choose_variant
from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.formats.archive import open_archive
from tests.conftest import Answer
from tests.firmware.host_program import require_tool

TEXTS = ("the cat runs fast", "a small red house on a tree, and what is it?", "dog " * 40, "")
LENGTH = 24
"""The third text has more tokens."""
BOARDS = (
    ("mps2-an386", "int8"),
    ("mps2-an385", "int8"),
    # Floats are held to ONNX on the host by test_cortexm_encoder.py. An M55's kernels are held to the host's bits by
    # test_kernels.py, and whole models on it are run by test_language_boards.py and test_net_boards.py.
    pytest.param("mps2-an386", "fp32", marks=pytest.mark.deep),
    pytest.param("mps3-an547", "int8", marks=pytest.mark.deep),
)
Run = Callable[..., Answer]


@pytest.fixture(scope="module")
def built(
    checkpoint_of: Callable[..., Path], edgeslm: Run, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Path]:
    """built(target, scheme): the bundle, by the command line."""
    require_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    require_tool("qemu-system-arm", "qemu-system-arm")
    texts = tmp_path_factory.mktemp("texts") / "few.txt"
    texts.write_text("the day is long\nwhere is the house\nwe run fast and they run slow\n")

    @cache
    def make(target: str, scheme: str) -> Path:
        out = tmp_path_factory.mktemp("bundles")
        asked = ("--target", target, "--scheme", scheme, "--max-length", str(LENGTH), "--eval", texts, "-o", out)
        done = edgeslm("build", "--model", checkpoint_of("minilm"), *asked, "--json")
        assert done.status == 0, done.stderr
        assert done.json["fidelity"]["passed"]
        return Path(done.json["bundle"])

    return make


def on_board(edgeslm: Run, bundle: Path) -> NDArray[np.float32]:
    asked = [part for text in TEXTS for part in ("--text", text)]
    done = edgeslm("run", bundle, "--via", "qemu", "--json", *asked)
    assert done.status == 0, done.stderr
    assert [result["truncated"] for result in done.json["results"]] == [False, False, True, False]
    return np.array([result["embedding"] for result in done.json["results"]], np.float32)


def on_host(bundle: Path, folder: Path) -> NDArray[np.float32]:
    """The same C by the host's compiler, with ids from the bundle's tokenizer."""
    from tokenizers import Tokenizer

    manifest = inspect_bundle(bundle).manifest
    with open_archive(bundle) as archive:
        for name in manifest.model.files:
            (folder / Path(name).name).write_bytes(archive.read(name, 1 << 24))
        tokenizer = Tokenizer.from_buffer(archive.read("tokenizer/tokenizer.json", 1 << 24))
    tokenizer.enable_truncation(LENGTH)
    engine = HostEncoder(folder, choose_variant(manifest.target.cpu.isa), manifest.model.outputs)
    try:
        rows = [tokenizer.encode(text).ids for text in TEXTS]
        return np.concatenate([engine.encode(np.array(ids, np.uint32), len(ids)) for ids in rows])
    finally:
        engine.close()


def by_pytorch(folder: Path) -> NDArray[np.float32]:
    """Mean of the last layer's rows, of length 1; each text alone, without padding."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(LENGTH)
    found = []
    for text in TEXTS:
        with torch.no_grad():
            rows = model(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0]
        found.append(torch.nn.functional.normalize(rows.mean(0), dim=0).numpy())
    return np.array(found)


@pytest.mark.parametrize(("target", "scheme"), BOARDS)
def test_a_board_answers_with_the_hosts_bits_and_near_pytorch(
    target: str,
    scheme: str,
    built: Callable[[str, str], Path],
    checkpoint_of: Callable[..., Path],
    edgeslm: Run,
    tmp_path: Path,
) -> None:
    bundle = built(target, scheme)
    told = on_board(edgeslm, bundle)
    np.testing.assert_array_equal(told, on_host(bundle, tmp_path))
    assert np.abs(told - by_pytorch(checkpoint_of("minilm"))).max() < (1e-4 if scheme == "fp32" else 0.02)


def test_a_probe_tells_instructions_by_length_and_layer_and_memories(
    built: Callable[[str, str], Path], edgeslm: Run
) -> None:
    done = edgeslm("probe", built("mps2-an386", "int8"), "--via", "qemu", "--json")
    assert done.status == 0, done.stderr
    report: Any = json.loads(done.stdout)
    assert report["complete"]
    counts = {part["tokens"]: part["instructions"]["per_inference"] for part in report["lengths"]}
    assert list(counts) == [8, 16, LENGTH]
    assert counts[8] < counts[16] < counts[LENGTH]
    layers = {layer["layer"] for layer in report["profile"]["layers"]}
    assert layers == {"embedding", "layer 0", "layer 1", "output"}
    firmware = report["firmware"]
    assert 0 < firmware["stack_used"] < firmware["stack_bytes"]
    assert 0.9 * firmware["arena_bytes"] < firmware["arena_used"] <= firmware["arena_bytes"]


@pytest.mark.parametrize(("target", "scheme"), BOARDS)
def test_the_map_agrees_with_the_plan(
    target: str, scheme: str, built: Callable[[str, str], Path], checkpoint_of: Callable[..., Path], edgeslm: Run
) -> None:
    asked = ("--target", target, "--scheme", scheme, "--max-length", str(LENGTH), "--json")
    planned = edgeslm("plan", "--model", checkpoint_of("minilm"), *asked).json["firmware"]
    assert set(planned["flash"]) == {"code", "weights", "tokenizer", "unicode tables"}
    assert set(planned["ram"]) == {"activations", "text", "stack", "firmware"}
    firmware = inspect_bundle(built(target, scheme)).manifest.firmware
    assert firmware is not None
    assert sum(planned["flash"].values()) == pytest.approx(sum(firmware.flash.values()), rel=0.02)
    assert sum(planned["ram"].values()) == pytest.approx(sum(firmware.ram.values()), rel=0.02)


def test_what_a_board_does_not_take(
    built: Callable[[str, str], Path], checkpoint_of: Callable[..., Path], edgeslm: Run, tmp_path: Path
) -> None:
    bundle = built("mps2-an386", "int8")
    done = edgeslm("run", bundle, "--via", "qemu", "--prompt", "Once")
    assert done.status != 0
    assert "takes no prompt" in done.stderr
    done = edgeslm("run", bundle, "--via", "qemu", "--text", "dog " * 400)
    assert done.status != 0
    assert "1,600 bytes" in done.stderr
    model = ("--model", checkpoint_of("minilm"), "--max-length", str(LENGTH), "-o", tmp_path)
    done = edgeslm("build", "--target", "mps2-an385", "--scheme", "fp32", *model)
    assert done.status != 0
    assert "takes no float32 matrices" in done.stderr
    assert "encoder.layer.0" in done.stderr or "embeddings" in done.stderr
    assert not list(tmp_path.iterdir())
