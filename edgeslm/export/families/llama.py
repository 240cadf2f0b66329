"""Llama, Mistral, Qwen2 and Qwen3. SmolLM2, TinyLlama and many others are Llamas by their model_type."""

from __future__ import annotations

from edgeslm.decoder import Decoder
from edgeslm.export.families.fields import Fields
from edgeslm.export.families.gated import Kin, read_gated
from edgeslm.export.families.rotary import read_rotary, read_scaling, rotary_fields
from edgeslm.export.families.sizes import Sizes, read_sizes
from edgeslm.export.families.tensors import Tensors
from edgeslm.export.families.windows import FULL, SLIDING, read_layer_types, read_window, windows


def read_llama(fields: Fields, tensors: Tensors) -> Decoder:
    """Every layer sees the whole text; biases where attention_bias and mlp_bias say so."""
    sizes = read_sizes(fields, positions=2048)
    bias = fields.flag("attention_bias", False)
    kin = _kin(fields, sizes, [None] * sizes.layers.value, query_bias=bias, output_bias=bias,
               feed_bias=fields.flag("mlp_bias", False))  # fmt: skip
    return read_gated(fields, tensors, sizes, kin)


def read_mistral(fields: Fields, tensors: Tensors) -> Decoder:
    """Every layer slides, unless sliding_window is null (Jiang et al. 2023, "Mistral 7B")."""
    sizes = read_sizes(fields, positions=131_072, kv_heads=8)
    window = read_window(fields, 4096)
    expected = [FULL if window is None else SLIDING] * sizes.layers.value
    if read_layer_types(fields, expected) != expected:
        raise fields.unsupported("layer_types", "Mistral's layers are all of one kind, the one sliding_window says")
    return read_gated(fields, tensors, sizes, _kin(fields, sizes, [window] * sizes.layers.value))


def read_qwen2(fields: Fields, tensors: Tensors) -> Decoder:
    """Queries, keys and values have biases, the output has none."""
    sizes = read_sizes(fields, positions=32_768, kv_heads=32)
    return read_gated(fields, tensors, sizes, _kin(fields, sizes, _qwen_windows(fields, sizes), query_bias=True))


def read_qwen3(fields: Fields, tensors: Tensors) -> Decoder:
    """Norms of each head's queries and keys instead of biases, and head_dim apart from the width."""
    sizes = read_sizes(fields, positions=32_768, kv_heads=32, head_dim=128)
    bias = fields.flag("attention_bias", False)
    kin = _kin(fields, sizes, _qwen_windows(fields, sizes), query_bias=bias, output_bias=bias, head_norms=True)
    return read_gated(fields, tensors, sizes, kin)


def _qwen_windows(fields: Fields, sizes: Sizes) -> list[int | None]:
    """Layers from max_window_layers on slide, where use_sliding_window is on."""
    window = read_window(fields, 4096) if fields.flag("use_sliding_window", False) else None
    first = fields.integer("max_window_layers", 28, least=0)
    types = [FULL if window is None or layer < first else SLIDING for layer in range(sizes.layers.value)]
    return windows(fields, read_layer_types(fields, types), window)


def _kin(
    fields: Fields,
    sizes: Sizes,
    spans: list[int | None],
    *,
    query_bias: bool = False,
    output_bias: bool = False,
    feed_bias: bool = False,
    head_norms: bool = False,
) -> Kin:
    scaling = read_scaling(fields, rotary_fields(fields), sizes.positions.value)
    return Kin(
        family=fields.text("model_type"),
        activation=fields.activation("hidden_act", "silu"),
        positions=scaling.reach,
        tied=fields.flag("tie_word_embeddings", False),
        epsilon=fields.number("rms_norm_eps", 1e-6),
        windows=spans,
        rotaries=[read_rotary(scaling, sizes.head_dim.value)] * sizes.layers.value,
        query_bias=query_bias,
        output_bias=output_bias,
        feed_bias=feed_bias,
        head_norms=head_norms,
    )
