"""Every decoder family as edgeslm reads it, computed in numpy, against transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeslm.errors import UnsupportedError
from edgeslm.export.families import FAMILIES, read_decoder
from edgeslm.export.weights_file import TensorHeader
from tests.decoders import (
    CASES,
    STORIES,
    Config,
    Made,
    config_of,
    headers_of,
    kept_in,
    pytorch_logits,
    random_decoder,
    read,
)
from tests.unit.decoder_reference import run

TOLERANCE = 1e-4
TOKENS = 24


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return kept_in(tmp_path_factory.mktemp("decoders"))


def stored(folder: Path) -> dict[str, NDArray[Any]]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def some_tokens(vocabulary: int) -> list[int]:
    return [int(token) for token in np.random.default_rng(0).integers(0, vocabulary, TOKENS)]


def assert_same_logits(folder: Path) -> None:
    decoder = read(folder)
    tokens = some_tokens(decoder.vocabulary)
    found = run(decoder, stored(folder).__getitem__, tokens)
    assert found.shape == (TOKENS, decoder.vocabulary)
    np.testing.assert_allclose(found, pytorch_logits(folder, tokens), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("case", CASES)
def test_logits(case: str, made: Made) -> None:
    assert_same_logits(made(case))


def test_all_families_have_a_case() -> None:
    assert {family for family, _ in CASES.values()} == FAMILIES.keys()


def test_windows_are_shorter_than_the_texts(made: Made) -> None:
    for case in ("mistral", "qwen2-window", "qwen3-biases", "phi3", "gemma2", "gemma3"):
        windows = {layer.window for layer in read(made(case)).layers}
        assert min(window for window in windows if window) < TOKENS / 2
        assert (None in windows) == (case not in ("mistral", "phi3"))


@pytest.mark.skipif(not STORIES.is_dir(), reason="stories260k is not on this machine")
def test_stories_are_told_as_they_were() -> None:
    golden = json.loads((STORIES / "golden_ids.json").read_text())[:40]
    decoder, weights = read(STORIES), stored(STORIES)
    told = golden[:1]
    while len(told) < len(golden):
        told.append(int(run(decoder, weights.__getitem__, told)[-1].argmax()))
    assert told == golden


def old_spelling(config: Config) -> Config:
    """As transformers wrote it before version 5, and as most checkpoints on the hub have it."""
    config = dict(config)
    rope = config.pop("rope_parameters")
    config.pop("layer_types", None)
    if config["model_type"] == "gemma3_text":
        config["sliding_window_pattern"] = 3
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    rope = dict(rope)
    config["rope_theta"] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope:
        config["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    kind = rope.pop("rope_type")
    if kind == "longrope":
        del rope["original_max_position_embeddings"]
    # Gemma 3 came when rope_type had replaced type.
    word = "rope_type" if config["model_type"] == "gemma3_text" else "type"
    config["rope_scaling"] = None if kind == "default" else {word: kind, **rope}
    return config


OLD = ("llama-llama3", "llama-linear", "qwen2-window", "qwen2-yarn", "phi-norms", "phi3-longrope", "gemma2", "gemma3")


@pytest.mark.parametrize("case", OLD)
def test_old_spelling(case: str, made: Made, tmp_path: Path) -> None:
    config = old_spelling(config_of(made(case)))
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").symlink_to(made(case) / "model.safetensors")
    assert_same_logits(tmp_path)
    assert read(tmp_path) == read(made(case))


@pytest.mark.parametrize("name", ["su", "yarn"])
def test_phi3s_first_names_of_longrope(name: str, made: Made) -> None:
    folder = made("phi3-longrope")
    config = old_spelling(config_of(folder))
    config["rope_scaling"]["type"] = name
    assert read_decoder(config, headers_of(folder), folder) == read(folder)


NEEDED = ("model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
          "n_embd", "n_layer", "n_head")  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_fields_left_out_mean_what_transformers_takes(family: str, tmp_path: Path) -> None:
    """The family's own sizes, in tensors that hold nothing."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM  # its methods have no types
    config = AutoConfig.for_model(family)
    with torch.device("meta"):
        tensors = auto.from_config(config).state_dict()
    if config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    headers = [TensorHeader(name, tuple(tensor.shape), "F32", "x") for name, tensor in tensors.items()]
    whole = config.to_dict()
    fewest = {name: value for name, value in whole.items() if name in NEEDED}
    assert read_decoder(fewest, headers, tmp_path) == read_decoder(whole, headers, tmp_path)


def rewrite(folder: Path, source: Path, tensors: dict[str, NDArray[Any]]) -> Path:
    from safetensors.numpy import save_file

    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    return folder


def test_a_stored_head_is_used_although_the_config_ties(made: Made, tmp_path: Path) -> None:
    source = made("llama-tied")
    tensors = stored(source)
    other = tensors["model.embed_tokens.weight"][::-1].copy()
    folder = rewrite(tmp_path, source, {**tensors, "lm_head.weight": other})
    assert_same_logits(folder)
    assert not read(folder).tied


def test_a_head_stands_in_for_the_table_it_is_tied_to(made: Made, tmp_path: Path) -> None:
    source = made("llama-tied")
    tensors = stored(source)
    tensors["lm_head.weight"] = tensors.pop("model.embed_tokens.weight")
    folder = rewrite(tmp_path, source, tensors)
    assert_same_logits(folder)
    assert read(folder).tied


@pytest.mark.parametrize(("case", "body"), [("llama-tied", "model"), ("gpt2", "transformer")])
def test_a_body_saved_without_its_head(case: str, body: str, tmp_path: Path) -> None:
    getattr(random_decoder(case), body).save_pretrained(tmp_path)
    assert not any(header.name.startswith(f"{body}.") for header in headers_of(tmp_path))
    assert_same_logits(tmp_path)


def test_buffers_of_old_checkpoints_are_no_weights(made: Made) -> None:
    folder = made("gpt2")
    masks = [TensorHeader(f"transformer.h.0.attn.{name}", (1,), "U8", "x") for name in ("bias", "masked_bias")]
    assert read_decoder(config_of(folder), [*headers_of(folder), *masks], folder) == read(folder)


def test_gpt2_by_the_common_names(made: Made) -> None:
    folder = made("gpt2")
    names = {"n_embd": "hidden_size", "n_head": "num_attention_heads", "n_layer": "num_hidden_layers",
             "n_positions": "max_position_embeddings"}  # fmt: skip
    config = {names.get(key, key): value for key, value in config_of(folder).items()}
    assert read_decoder(config, headers_of(folder), folder) == read(folder)


def test_longrope_reaches_as_far_as_its_short_factors(made: Made) -> None:
    folder = made("phi3-longrope")
    assert read_decoder(config_of(folder), headers_of(folder), folder, context=64).positions == 64
    with pytest.raises(UnsupportedError, match=r"65 tokens .* holds 64 \(original_max_position_embeddings: longrope"):
        read_decoder(config_of(folder), headers_of(folder), folder, context=65)
    with pytest.raises(UnsupportedError, match=r"65 tokens .* holds 64 \(max_position_embeddings\)"):
        read_decoder(config_of(made("llama")), headers_of(made("llama")), folder, context=65)
