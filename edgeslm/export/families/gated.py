"""The block that Llama and its kin share: RMSNorm, rotary attention, a gated feed-forward.

Shazeer 2020, "GLU Variants Improve Transformer"; Touvron et al. 2023, "LLaMA"; names as transformers has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeslm.decoder import Activation, Decoder, Layer, Matrix, Norm, Rotary
from edgeslm.export.families.fields import Fields
from edgeslm.export.families.sizes import Size, Sizes, read_size
from edgeslm.export.families.tensors import Tensors, rows_of, stack


@dataclass(frozen=True)
class Kin:
    """Where a family differs from Llama."""

    family: str
    activation: Activation
    positions: int
    tied: bool
    epsilon: float
    windows: Sequence[int | None]  # of each layer
    rotaries: Sequence[Rotary | None]  # of each layer
    query_bias: bool = False
    output_bias: bool = False
    feed_bias: bool = False
    fused: bool = False  # qkv_proj and gate_up_proj
    head_norms: bool = False  # q_norm and k_norm
    branch_norms: bool = False  # norms after attention and feed-forward
    norm_offset: float = 0.0
    attention_scale: float | None = None  # None: 1/sqrt(head_dim)
    embedding_scale: float = 1.0
    score_cap: float | None = None
    logit_cap: float | None = None


def read_gated(fields: Fields, tensors: Tensors, sizes: Sizes, kin: Kin) -> Decoder:
    """Raises CheckpointError where config and weights disagree."""
    body = tensors.body("model.")
    tensors.check_layers(f"{body}layers.", sizes.layers)
    feed = read_size(fields, "intermediate_size")
    embedding, head = tensors.vocabulary(f"{body}embed_tokens", sizes, tied=kin.tied)
    block = _Block(tensors, sizes, feed, kin)
    return Decoder(
        family=kin.family,
        vocabulary=sizes.vocabulary.value,
        width=sizes.width.value,
        heads=sizes.heads.value,
        kv_heads=sizes.kv_heads.value,
        head_dim=sizes.head_dim.value,
        activation=kin.activation,
        positions=kin.positions,
        attention_scale=sizes.head_dim.value**-0.5 if kin.attention_scale is None else kin.attention_scale,
        embedding=embedding,
        embedding_scale=kin.embedding_scale,
        learned_positions=None,
        layers=tuple(
            block.layer(f"{body}layers.{i}", window, rotary)
            for i, (window, rotary) in enumerate(zip(kin.windows, kin.rotaries, strict=True))
        ),
        norm=block.norm(f"{body}norm"),
        head=head,
        score_cap=kin.score_cap,
        logit_cap=kin.logit_cap,
    )


@dataclass(frozen=True)
class _Block:
    tensors: Tensors
    sizes: Sizes
    feed: Size
    kin: Kin

    def layer(self, name: str, window: int | None, rotary: Rotary | None) -> Layer:
        kin, width = self.kin, self.sizes.width
        gate, up = self._gate_and_up(f"{name}.mlp")
        # Gemma 2's post_attention_layernorm is of the branch; Llama's, of the same name, is before the feed-forward.
        before_feed = "pre_feedforward_layernorm" if kin.branch_norms else "post_attention_layernorm"
        return Layer(
            norm_attention=self.norm(f"{name}.input_layernorm"),
            query_key_value=self._query_key_value(f"{name}.self_attn"),
            query_norm=self._head_norm(f"{name}.self_attn.q_norm"),
            key_norm=self._head_norm(f"{name}.self_attn.k_norm"),
            output=self.tensors.linear(f"{name}.self_attn.o_proj", width, self.sizes.queries, bias=kin.output_bias),
            after_attention=self.norm(f"{name}.post_attention_layernorm") if kin.branch_norms else None,
            norm_feed=self.norm(f"{name}.{before_feed}"),
            gate=gate,
            up=up,
            down=self.tensors.linear(f"{name}.mlp.down_proj", width, self.feed, bias=kin.feed_bias),
            after_feed=self.norm(f"{name}.post_feedforward_layernorm") if kin.branch_norms else None,
            window=window,
            rotary=rotary,
        )

    def norm(self, name: str, size: Size | None = None) -> Norm:
        return self.tensors.norm("rms", name, size or self.sizes.width, self.kin.epsilon, offset=self.kin.norm_offset)

    def _head_norm(self, name: str) -> Norm | None:
        return self.norm(name, self.sizes.head_dim) if self.kin.head_norms else None

    def _query_key_value(self, name: str) -> Matrix:
        sizes = self.sizes
        if self.kin.fused:
            return self.tensors.linear(f"{name}.qkv_proj", sizes.queries + sizes.keys + sizes.keys, sizes.width)
        return stack(
            *(
                self.tensors.linear(f"{name}.{part}_proj", rows, sizes.width, bias=self.kin.query_bias)
                for part, rows in (("q", sizes.queries), ("k", sizes.keys), ("v", sizes.keys))
            )
        )

    def _gate_and_up(self, name: str) -> tuple[Matrix, Matrix]:
        feed, width = self.feed, self.sizes.width
        if self.kin.fused:
            both = self.tensors.linear(f"{name}.gate_up_proj", Size(2, "2") * feed, width)
            return rows_of(both, 0, feed.value), rows_of(both, feed.value, feed.value)
        bias = self.kin.feed_bias
        return (
            self.tensors.linear(f"{name}.gate_proj", feed, width, bias=bias),
            self.tensors.linear(f"{name}.up_proj", feed, width, bias=bias),
        )
