"""Phi-1, 1.5 and 2: attention and feed-forward side by side, LayerNorm, biases everywhere, partly rotated heads.

Li et al. 2023, "Textbooks Are All You Need II"; the parallel block is that of Wang & Komatsuzaki 2021 (GPT-J).
"""

from __future__ import annotations

from edgeslm.decoder import Decoder, Layer, Matrix, Norm, Rotary
from edgeslm.export.families.fields import Fields
from edgeslm.export.families.rotary import read_rotary, read_scaling, rotary_fields
from edgeslm.export.families.sizes import Size, Sizes, read_size, read_sizes
from edgeslm.export.families.tensors import Tensors, stack


def read_phi(fields: Fields, tensors: Tensors) -> Decoder:
    """Raises CheckpointError where config and weights disagree."""
    sizes = read_sizes(fields, positions=2048)
    body = tensors.body("model.")
    tensors.check_layers(f"{body}layers.", sizes.layers)
    scaling = read_scaling(fields, rotary_fields(fields), sizes.positions.value, share=0.5)
    embedding, head = tensors.vocabulary(
        f"{body}embed_tokens", sizes, tied=fields.flag("tie_word_embeddings", False), head_bias=True
    )
    block = _Block(fields, tensors, sizes, read_rotary(scaling, sizes.head_dim.value))
    return Decoder(
        family="phi",
        vocabulary=sizes.vocabulary.value,
        width=sizes.width.value,
        heads=sizes.heads.value,
        kv_heads=sizes.kv_heads.value,
        head_dim=sizes.head_dim.value,
        activation=fields.activation("hidden_act", "gelu_new"),
        positions=scaling.reach,
        attention_scale=sizes.head_dim.value**-0.5,
        embedding=embedding,
        embedding_scale=1.0,
        learned_positions=None,
        layers=tuple(block.layer(f"{body}layers.{i}") for i in range(sizes.layers.value)),
        norm=block.norm(f"{body}final_layernorm", sizes.width),
        head=head,
    )


class _Block:
    def __init__(self, fields: Fields, tensors: Tensors, sizes: Sizes, rotary: Rotary) -> None:
        self.tensors = tensors
        self.sizes = sizes
        self.rotary = rotary
        self.feed = read_size(fields, "intermediate_size")
        self.epsilon = fields.number("layer_norm_eps", 1e-5)
        self.head_norms = fields.flag("qk_layernorm", False)

    def layer(self, name: str) -> Layer:
        sizes, attention = self.sizes, f"{name}.self_attn"
        rows = (("q_proj", sizes.queries), ("k_proj", sizes.keys), ("v_proj", sizes.keys))
        return Layer(
            norm_attention=self.norm(f"{name}.input_layernorm", sizes.width),
            query_key_value=stack(*(self._linear(f"{attention}.{part}", size, sizes.width) for part, size in rows)),
            query_norm=self.norm(f"{attention}.q_layernorm", sizes.head_dim) if self.head_norms else None,
            key_norm=self.norm(f"{attention}.k_layernorm", sizes.head_dim) if self.head_norms else None,
            output=self._linear(f"{attention}.dense", sizes.width, sizes.queries),
            after_attention=None,
            norm_feed=None,
            gate=None,
            up=self._linear(f"{name}.mlp.fc1", self.feed, sizes.width),
            down=self._linear(f"{name}.mlp.fc2", sizes.width, self.feed),
            after_feed=None,
            rotary=self.rotary,
        )

    def norm(self, name: str, size: Size) -> Norm:
        return self.tensors.norm("layer", name, size, self.epsilon, bias=True)

    def _linear(self, name: str, rows: Size, columns: Size) -> Matrix:
        return self.tensors.linear(name, rows, columns, bias=True)
