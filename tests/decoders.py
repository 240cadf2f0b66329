"""Small random decoder checkpoints of every family, as save_pretrained leaves them, with a tokenizer of their size."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeslm.decoder import Decoder
from edgeslm.export.families import read_decoder
from edgeslm.export.weights_file import TensorHeader, read_headers, weight_files

Config: TypeAlias = dict[str, Any]
Made: TypeAlias = Callable[[str], Path]
"""Gives the folder of a case."""

STORIES = Path(__file__).resolve().parents[2] / "shared/models/stories260k"
STORIES_VOCABULARY = 512
PRINTABLE = [chr(code) for code in range(33, 127)]
SPECIAL = ("<unk>", "<s>", "</s>")

SMALL: dict[str, Any] = {
    "vocab_size": 131,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "max_position_embeddings": 64,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT2: dict[str, Any] = {
    "vocab_size": 131,
    "n_embd": 48,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GEMMA = {**SMALL, "num_attention_heads": 4, "head_dim": 16}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 10_000.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32, "rope_theta": 500.0}  # fmt: skip

# Of each case: model_type, and the fields of its config.json.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", SMALL),
    "llama-tied": ("llama", {**SMALL, "num_key_value_heads": 2, "tie_word_embeddings": True}),
    "llama-512": ("llama", {**SMALL, "vocab_size": STORIES_VOCABULARY, "tie_word_embeddings": True}),
    "llama-biases": ("llama", {**SMALL, "num_key_value_heads": 6, "attention_bias": True, "mlp_bias": True}),
    "llama-wide-heads": ("llama", {**SMALL, "head_dim": 12, "hidden_act": "gelu"}),
    "llama-linear": ("llama", {**SMALL, "rope_parameters": {"rope_type": "linear", "factor": 3.0}}),
    "llama-dynamic": ("llama", {**SMALL, "rope_parameters": {"rope_type": "dynamic", "factor": 4.0}}),
    "llama-llama3": ("llama", {**SMALL, "hidden_size": 96, "rope_parameters": LLAMA3}),
    "mistral": ("mistral", {**SMALL, "num_key_value_heads": 2, "sliding_window": 7}),
    "mistral-whole": ("mistral", {**SMALL, "sliding_window": None, "hidden_act": "relu"}),
    "qwen2": ("qwen2", {**SMALL, "tie_word_embeddings": True, "use_sliding_window": False}),
    "qwen2-window": (
        "qwen2",
        {**SMALL, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1, "num_hidden_layers": 3},
    ),
    "qwen2-yarn": ("qwen2", {**SMALL, "hidden_size": 96, "rope_parameters": YARN}),
    "qwen3": ("qwen3", {**SMALL, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 20}),
    "qwen3-biases": (
        "qwen3",
        {**SMALL, "head_dim": 8, "attention_bias": True, "tie_word_embeddings": True, "use_sliding_window": True,
         "sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "phi": ("phi", {**SMALL, "num_attention_heads": 4, "num_key_value_heads": 4}),
    "phi-norms": (
        "phi",
        {**SMALL, "num_key_value_heads": 2, "hidden_size": 60, "qk_layernorm": True,
         "rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.4, "rope_theta": 5000.0}},
    ),
    "phi3": ("phi3", {**SMALL, "sliding_window": 9}),
    "phi3-longrope": (
        "phi3",
        {**SMALL, "hidden_size": 96, "max_position_embeddings": 256, "original_max_position_embeddings": 64,
         "rope_parameters": {"rope_type": "longrope", "partial_rotary_factor": 0.75, "rope_theta": 10_000.0,
                             "short_factor": [1.0, 1.1, 1.3, 1.4, 1.7, 2.0], "long_factor": [1, 2, 3, 4, 5, 6]}},
    ),
    "gemma": ("gemma", {**GEMMA, "num_key_value_heads": 1, "hidden_act": "gelu_pytorch_tanh"}),
    "gemma-untied": ("gemma", {**GEMMA, "num_key_value_heads": 4, "tie_word_embeddings": False}),
    "gemma2": (
        "gemma2",
        {**GEMMA, "num_key_value_heads": 2, "num_hidden_layers": 3, "sliding_window": 6, "query_pre_attn_scalar": 20,
         "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    ),
    "gemma3": (
        "gemma3_text",
        {**GEMMA, "num_key_value_heads": 1, "num_hidden_layers": 4, "sliding_window": 5, "query_pre_attn_scalar": 24,
         "sliding_window_pattern": 3,
         "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1_000_000.0},
                             "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0}}},
    ),
    "gpt2": ("gpt2", GPT2),
    "gpt2-untied": ("gpt2", {**GPT2, "n_head": 3, "n_inner": 100, "tie_word_embeddings": False}),
}  # fmt: skip


def make_decoder(family_case: str, folder: Path) -> Path:
    """That case of `CASES` with seeded random weights and a tokenizer.json in `folder`, which is returned."""
    model = random_decoder(family_case)
    model.save_pretrained(folder)
    write_tokenizer(folder, model.config.vocab_size)
    return folder


def random_decoder(family_case: str, **changes: Any) -> Any:
    """The transformers model of that case, its weights of a trained size and none of them at its initial value:
    biases that are zero and norms that are one would hide who forgets them."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    family, fields = CASES[family_case]
    config = AutoConfig.for_model(family, **{**fields, **changes})
    torch.manual_seed(0)
    auto: Any = AutoModelForCausalLM  # its methods have no types
    model = auto.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.normal_(0, 0.15)
            else:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def write_tokenizer(folder: Path, vocabulary: int) -> None:
    """tokenizer.json with ids below `vocabulary`: that of stories260k where it fits, otherwise one of ASCII bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    if vocabulary >= STORIES_VOCABULARY and STORIES.is_dir():
        shutil.copyfile(STORIES / "tokenizer.json", folder / "tokenizer.json")
        return
    tokens = [*SPECIAL, "Ġ", "Ċ", *PRINTABLE][:vocabulary]  # ByteLevel's letters for space and line feed
    ids = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[], unk_token=SPECIAL[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(folder / "tokenizer.json"))


def kept_in(root: Path) -> Made:
    """Makes each case once, in `root`."""
    return cache(lambda family_case: make_decoder(family_case, root / family_case))


def config_of(folder: Path) -> Config:
    config: Config = json.loads((folder / "config.json").read_text())
    return config


def headers_of(folder: Path) -> list[TensorHeader]:
    return read_headers(folder, weight_files(folder))


def pytorch_logits(folder: Path, tokens: list[int]) -> NDArray[np.float32]:
    """[T, V] by transformers, from the files alone."""
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    with torch.no_grad():
        logits: NDArray[np.float32] = model.eval()(torch.tensor([tokens])).logits[0].numpy()
    return logits


def read(folder: Path) -> Decoder:
    return read_decoder(config_of(folder), headers_of(folder), folder)
