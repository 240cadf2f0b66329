"""Checkpoints whose config.json and weights disagree, or that ask for what edgeslm does not build."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.errors import CheckpointError, EdgeslmError, UnsupportedError
from edgeslm.export.families import read_decoder
from edgeslm.export.weights_file import TensorHeader
from tests.decoders import Config, Made, config_of, headers_of, kept_in


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return kept_in(tmp_path_factory.mktemp("decoders"))


ATTENTION = "model.layers.0.self_attn"
LIES: list[tuple[str, Config, type[EdgeslmError], list[str]]] = [
    ("llama", {"num_attention_heads": 12, "head_dim": None}, CheckpointError,
     [f"{ATTENTION}.k_proj.weight has shape [24, 48]", "[12, 48]", "num_key_value_heads 3 × head_dim 4",
      "hidden_size 48 / num_attention_heads 12"]),
    ("llama", {"num_attention_heads": 5}, CheckpointError, ["num_attention_heads 5", "num_key_value_heads 3"]),
    ("llama", {"num_attention_heads": 9, "head_dim": None}, CheckpointError, ["hidden_size 48", "9 heads"]),
    ("llama", {"num_key_value_heads": 2}, CheckpointError, ["k_proj.weight", "num_key_value_heads 2", "[24,", "[16,"]),
    ("llama", {"num_key_value_heads": 4}, CheckpointError, ["num_attention_heads 6", "num_key_value_heads 4"]),
    ("llama", {"head_dim": 16}, CheckpointError, [f"{ATTENTION}.q_proj.weight", "head_dim 16", "[48, 48]", "[96, 48]"]),
    ("llama", {"hidden_size": 60}, CheckpointError, ["embed_tokens", "hidden_size 60", "[131, 48]", "[131, 60]"]),
    ("llama", {"vocab_size": 130}, CheckpointError, ["embed_tokens", "vocab_size 130", "[131, 48]", "[130, 48]"]),
    ("llama", {"intermediate_size": 81}, CheckpointError, ["gate_proj.weight", "intermediate_size 81", "80", "81"]),
    ("llama", {"num_hidden_layers": 3}, CheckpointError, ["num_hidden_layers 3", "2 layers"]),
    ("llama", {"num_hidden_layers": 1}, CheckpointError, ["num_hidden_layers 1", "2 layers"]),
    ("llama", {"attention_bias": True}, CheckpointError, [f"{ATTENTION}.q_proj.bias and 7 more", "8 missing"]),
    ("llama", {"model_type": "qwen3", "head_dim": 8}, CheckpointError, ["q_norm.weight and 3 more"]),
    ("llama-biases", {"attention_bias": False}, UnsupportedError, ["tensor model.layers.0.self_attn.k_proj.bias"]),
    ("llama-tied", {"tie_word_embeddings": False}, CheckpointError, ["tie_word_embeddings false", "lm_head.weight"]),
    ("llama", {"hidden_size": None}, CheckpointError, ["no hidden_size"]),
    ("llama", {"hidden_size": "48"}, CheckpointError, ["hidden_size '48'", "a whole number"]),
    ("llama", {"vocab_size": True}, CheckpointError, ["vocab_size 'True'"]),
    ("llama", {"rms_norm_eps": float("nan")}, CheckpointError, ["rms_norm_eps 'nan'"]),
    ("llama", {"head_dim": 1 << 30}, CheckpointError, ["head_dim"]),
    ("llama", {"num_hidden_layers": 1 << 39}, CheckpointError, ["num_hidden_layers"]),
    ("llama", {"attention_bias": "no"}, CheckpointError, ["attention_bias 'no'"]),
    ("llama", {"model_type": None}, CheckpointError, ["model_type"]),
    ("llama", {"model_type": "mixtral"}, UnsupportedError, ["'mixtral'"]),
    ("llama", {"num_local_experts": 8}, UnsupportedError, ["num_local_experts 8"]),
    ("llama", {"attention_sinks": 4}, UnsupportedError, ["attention_sinks 4"]),
    ("llama", {"logits_scaling": 8.0}, UnsupportedError, ["logits_scaling 8.0"]),
    ("llama", {"quantization_config": {"bits": 4}}, UnsupportedError, ["quantization_config"]),
    ("llama", {"hidden_act": "relu2"}, UnsupportedError, ["hidden_act 'relu2'"]),
    ("llama", {"partial_rotary_factor": 0.5, "rope_parameters": {}}, UnsupportedError, ["partial_rotary_factor 0.5"]),
    ("llama", {"rope_scaling": {"rope_type": "mrope"}}, UnsupportedError, ["rope_scaling", "'mrope'"]),
    ("llama", {"rope_scaling": {"type": "linear"}}, CheckpointError, ["rope_scaling has no factor"]),
    ("llama", {"rope_scaling": {"type": "linear", "factor": -2}}, CheckpointError, ["factor '-2'", "positive"]),
    ("llama", {"rope_scaling": {"full_attention": {}}}, UnsupportedError, ["rope_scaling says full_attention"]),
    ("llama", {"rope_scaling": {"rope_type": "yarn", "factor": 2, "rope_theta": 1}}, CheckpointError, ["rope_theta"]),
    ("llama", {"rope_scaling": 8}, CheckpointError, ["rope_scaling '8'", "an object"]),
    ("phi3-longrope", {"rope_scaling": {"type": "longrope", "short_factor": [1.0]}}, CheckpointError,
     ["short_factor", "a list of 8 numbers"]),
    ("phi3", {"rope_scaling": {"type": "linear", "factor": 2.0}}, UnsupportedError, ["linear", "longrope"]),
    ("qwen2-window", {"layer_types": ["full_attention"]}, CheckpointError, ["layer_types of 1", "3 layers"]),
    ("qwen2-window", {"layer_types": ["linear_attention"] * 3}, UnsupportedError, ["layer_types", "linear_attention"]),
    ("qwen2-window", {"use_sliding_window": False}, CheckpointError, ["layer_types", "sliding_window"]),
    ("mistral", {"layer_types": ["full_attention"] * 2}, UnsupportedError, ["layer_types"]),
    ("gemma2", {"use_bidirectional_attention": True}, UnsupportedError, ["use_bidirectional_attention"]),
    ("gemma3", {"attn_logit_softcapping": 50.0}, UnsupportedError, ["attn_logit_softcapping"]),
    ("gpt2", {"n_head": 5}, CheckpointError, ["n_embd 48", "n_head 5"]),
    ("gpt2", {"n_positions": 65}, CheckpointError, ["wpe.weight", "n_positions 65", "[64, 48]", "[65, 48]"]),
    ("gpt2", {"n_inner": 100}, CheckpointError, ["h.0.mlp.c_fc.weight", "n_inner 100", "[48, 192]", "[48, 100]"]),
    ("gpt2", {"add_cross_attention": True}, UnsupportedError, ["add_cross_attention"]),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, UnsupportedError, ["scale_attn_by_inverse_layer_idx"]),
]  # fmt: skip


@pytest.mark.parametrize(("case", "changes", "error", "said"), LIES, ids=[f"{x[0]}-{','.join(x[1])}" for x in LIES])
def test_a_config_that_lies(case: str, changes: Config, error: type[EdgeslmError], said: list[str], made: Made) -> None:
    folder = made(case)
    with pytest.raises(error) as caught:
        read_decoder({**config_of(folder), **changes}, headers_of(folder), folder)
    assert type(caught.value) is error
    for words in (str(folder), *said):
        assert words in caught.value.message


NORM = "model.layers.1.input_layernorm.weight"
SPOILT: list[tuple[str, dict[str, Any] | None, type[EdgeslmError], list[str]]] = [
    (NORM, {"shape": (47,)}, CheckpointError, [NORM, "[47]", "[48]", "hidden_size 48"]),
    (NORM, {"shape": (48, 1)}, CheckpointError, [NORM, "[48, 1]", "another number of dimensions"]),
    (NORM, {"dtype": "I8"}, UnsupportedError, [NORM, "I8"]),
    (NORM, {"name": f"{NORM}x"}, CheckpointError, [f"no {NORM} (1 missing"]),
    ("model.norm.weight", {"name": "sinks"}, CheckpointError, ["no model.norm.weight"]),
    ("lm_head.weight", {"shape": (140, 48)}, CheckpointError, ["lm_head.weight", "[140, 48]", "vocab_size 131"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "error", "said"), SPOILT)
def test_weights_that_are_spoilt(
    name: str, changes: dict[str, Any], error: type[EdgeslmError], said: list[str], made: Made
) -> None:
    folder = made("llama")
    headers = [replace(x, **changes) if x.name == name else x for x in headers_of(folder)]
    with pytest.raises(error) as caught:
        read_decoder(config_of(folder), headers, folder)
    for words in said:
        assert words in caught.value.message


def test_every_tensor_is_needed(made: Made) -> None:
    for case in ("llama-biases", "phi-norms", "phi3", "gemma3", "gpt2-untied"):
        folder = made(case)
        headers = headers_of(folder)
        for missing in headers:
            with pytest.raises(CheckpointError, match="no "):
                read_decoder(config_of(folder), [x for x in headers if x is not missing], folder)


def test_a_tensor_that_nothing_reads(made: Made) -> None:
    extra = TensorHeader(f"{ATTENTION}.sinks", (6,), "F32", "x")
    with pytest.raises(UnsupportedError, match="sinks"):
        read_decoder(config_of(made("llama")), [*headers_of(made("llama")), extra], made("llama"))


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(),
    st.sampled_from([0, 1, -1, 10**400, 1e308, 5e-324, 1 << 39, "", [], {}]),
    st.lists(st.floats(), max_size=8), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip
SCALED = ("llama-llama3", "qwen2-yarn", "phi3-longrope", "gemma3")


@given(st.sampled_from(SCALED), st.data())
def test_junk_is_answered(made: Made, case: str, data: st.DataObject) -> None:
    """Whatever a field holds: a decoder, or an error of ours."""
    folder = made(case)
    config = config_of(folder)
    changed = config
    if data.draw(st.booleans()):
        changed = config["rope_parameters"]
        changed = changed.get("full_attention", changed)
    changed[data.draw(st.sampled_from(sorted(changed)))] = data.draw(JUNK)
    with suppress(EdgeslmError):
        read_decoder(config, headers_of(folder), folder)
