"""TinyLlama's shape, 1.1 billion parameters in bfloat16, through the whole build. Long: scripts/test --deep."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT

STORIES = ROOT.parent / "shared" / "models" / "stories260k"
WIDTH, LAYERS, HEADS, KV_HEADS, FEED, VOCABULARY = 2048, 22, 32, 4, 5632, 32_000
MOST_MIB = 6 * 1024


@pytest.fixture(scope="module")
def tinyllama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, written one tensor at a time, with a small tokenizer."""
    import torch
    from safetensors.torch import save_file

    if not STORIES.is_dir():
        pytest.skip(f"{STORIES} is not there, whose tokenizer it takes")
    folder = tmp_path_factory.mktemp("large") / "tinyllama"
    folder.mkdir()
    key_width = WIDTH // HEADS * KV_HEADS
    block = {
        "self_attn.q_proj": (WIDTH, WIDTH), "self_attn.k_proj": (key_width, WIDTH),
        "self_attn.v_proj": (key_width, WIDTH), "self_attn.o_proj": (WIDTH, WIDTH), "mlp.gate_proj": (FEED, WIDTH),
        "mlp.up_proj": (FEED, WIDTH), "mlp.down_proj": (WIDTH, FEED), "input_layernorm": (WIDTH,),
        "post_attention_layernorm": (WIDTH,),
    }  # fmt: skip
    shapes = {"model.embed_tokens": (VOCABULARY, WIDTH), "lm_head": (VOCABULARY, WIDTH), "model.norm": (WIDTH,)}
    shapes |= {f"model.layers.{n}.{name}": shape for n in range(LAYERS) for name, shape in block.items()}
    torch.manual_seed(0)
    tensors = {
        f"{name}.weight": (torch.ones(shape) if len(shape) == 1 else 0.02 * torch.randn(shape)).bfloat16()
        for name, shape in shapes.items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH, "hidden_act": "silu",
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
        "intermediate_size": FEED, "vocab_size": VOCABULARY, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
        "torch_dtype": "bfloat16",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(STORIES / name, folder / name)
    return folder


@pytest.mark.deep
def test_a_billion_parameters(tinyllama: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgeslm", "build", "-t", "rpi4", "-m", str(tinyllama), "-o", str(tmp_path)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    for stage in report["stages"]:
        print(f"{stage['name']}: {stage['seconds']:.1f} s, {stage['peak_rss_mib']:.0f} MiB")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"peak {peak:.0f} MiB")
    assert peak <= MOST_MIB
    asked = [sys.executable, "-m", "edgeslm", "run", report["bundle"], "--prompt", "Once", "--max-tokens", "8"]
    said = subprocess.run([*asked, "--json"], capture_output=True, text=True, check=True)
    assert len(json.loads(said.stdout)["generation"]["tokens"]) == 8
    assert np.isfinite(report["fidelity"]["cosine_min"])
