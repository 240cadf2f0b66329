"""Rotary frequencies of every kind of scaling against transformers' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeslm.export.families.fields import Fields
from edgeslm.export.families.rotary import FORMULAS, read_rotary, read_scaling, rotary_fields

ROPES: dict[str, dict[str, Any]] = {
    "default": {"rope_theta": 500_000.0},
    "linear": {"factor": 2.5},
    "dynamic": {"factor": 4.0},
    "yarn": {"factor": 8.0, "original_max_position_embeddings": 256},
    "yarn-mscale": {"factor": 40.0, "mscale": 1.0, "mscale_all_dim": 0.7, "beta_fast": 20, "beta_slow": 2},
    "yarn-factor": {"factor": 4.0, "attention_factor": 1.3, "truncate": False, "rope_theta": 150_000.0},
    "llama3": {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 512, "rope_theta": 500_000.0},
    "longrope": {"short_factor": [1 + i / 7 for i in range(32)], "long_factor": [2.0] * 32,
                 "original_max_position_embeddings": 512},
    "longrope-factor": {"short_factor": [1.0] * 32, "long_factor": [2.0] * 32, "factor": 16.0},
}  # fmt: skip


@pytest.mark.parametrize("case", ROPES)
@pytest.mark.parametrize("outside", [{}, {"original_max_position_embeddings": 300}], ids=["", "trained-length-outside"])
def test_rotary_frequencies(case: str, outside: dict[str, Any], tmp_path: Path) -> None:
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    kind = case.split("-")[0]
    rope = {"rope_type": kind, **ROPES[case]}
    config = LlamaConfig(hidden_size=256, num_attention_heads=4, max_position_embeddings=2048,
                         rope_parameters=dict(rope), **outside)  # fmt: skip
    formulas: dict[str, Any] = {**ROPE_INIT_FUNCTIONS, "default": LlamaRotaryEmbedding.compute_default_rope_parameters}
    frequencies, scale = formulas[kind](config, device=None)
    fields = Fields({"rope_parameters": rope, **outside}, tmp_path)
    rotary = read_rotary(read_scaling(fields, rotary_fields(fields), 2048), 64)
    np.testing.assert_allclose(rotary.frequencies, frequencies.numpy(), rtol=3e-7)
    assert rotary.scale == pytest.approx(scale, rel=1e-12)


def test_every_kind_is_compared() -> None:
    assert {case.split("-")[0] for case in ROPES} == FORMULAS.keys()
