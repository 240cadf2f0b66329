"""GPT-2 and DistilGPT2: learned positions, LayerNorm, fused queries, keys and values, weights stored as [in, out].

Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"; names as transformers' GPT2LMHeadModel.
"""

from __future__ import annotations

from edgeslm.decoder import Decoder, Layer, Matrix
from edgeslm.export.families.fields import Fields
from edgeslm.export.families.sizes import Size, Sizes, read_size, read_sizes
from edgeslm.export.families.tensors import Tensors


def read_gpt2(fields: Fields, tensors: Tensors) -> Decoder:
    """Raises CheckpointError where config and weights disagree, UnsupportedError for scaling by layer."""
    if fields.flag("scale_attn_by_inverse_layer_idx", False):
        raise fields.unsupported("scale_attn_by_inverse_layer_idx", "edgeslm has one scale of scores for all layers")
    sizes = read_sizes(fields, positions=1024)
    body = tensors.body("transformer.")
    tensors.check_layers(f"{body}h.", sizes.layers)
    epsilon = fields.number("layer_norm_epsilon", 1e-5)
    inner = _inner(fields, sizes)
    embedding, head = tensors.vocabulary(f"{body}wte", sizes, tied=fields.flag("tie_word_embeddings", True))
    return Decoder(
        family="gpt2",
        vocabulary=sizes.vocabulary.value,
        width=sizes.width.value,
        heads=sizes.heads.value,
        kv_heads=sizes.kv_heads.value,
        head_dim=sizes.head_dim.value,
        activation=fields.activation("activation_function", "gelu_new"),
        positions=sizes.positions.value,
        attention_scale=sizes.head_dim.value**-0.5 if fields.flag("scale_attn_weights", True) else 1.0,
        embedding=embedding,
        embedding_scale=1.0,
        learned_positions=tensors.linear(f"{body}wpe", sizes.positions, sizes.width),
        layers=tuple(_layer(tensors, f"{body}h.{i}", sizes, inner, epsilon) for i in range(sizes.layers.value)),
        norm=tensors.norm("layer", f"{body}ln_f", sizes.width, epsilon, bias=True),
        head=head,
    )


def _inner(fields: Fields, sizes: Sizes) -> Size:
    """Of the feed-forward: n_inner, or four times the width."""
    return read_size(fields, "n_inner") if fields.has("n_inner") else Size(4, "4") * sizes.width


def _layer(tensors: Tensors, name: str, sizes: Sizes, inner: Size, epsilon: float) -> Layer:
    width = sizes.width

    def linear(part: str, rows: Size, columns: Size) -> Matrix:
        return tensors.linear(f"{name}.{part}", rows, columns, bias=True, transposed=True)

    return Layer(
        norm_attention=tensors.norm("layer", f"{name}.ln_1", width, epsilon, bias=True),
        query_key_value=linear("attn.c_attn", sizes.queries + sizes.keys + sizes.keys, width),
        query_norm=None,
        key_norm=None,
        output=linear("attn.c_proj", width, sizes.queries),
        after_attention=None,
        norm_feed=tensors.norm("layer", f"{name}.ln_2", width, epsilon, bias=True),
        gate=None,
        up=linear("mlp.c_fc", inner, width),
        down=linear("mlp.c_proj", width, inner),
        after_feed=None,
    )
