"""The sizes a config.json gives, each with the words that error messages say it in."""

from __future__ import annotations

from dataclasses import dataclass

from edgeslm.errors import CheckpointError
from edgeslm.export.families.fields import LARGEST, Fields

# Of what is counted out in memory here before the weights can contradict it.
LARGEST_HEAD = 1 << 14
MOST_LAYERS = 1 << 12


@dataclass(frozen=True)
class Size:
    """A number and the fields it comes from: "num_attention_heads 4 × head_dim 16"."""

    value: int
    says: str

    def __mul__(self, other: Size) -> Size:
        return Size(self.value * other.value, f"{self.says} × {other.says}")

    def __add__(self, other: Size) -> Size:
        return Size(self.value + other.value, f"{self.says} + {other.says}")


@dataclass(frozen=True)
class Sizes:
    """Of one decoder, by decoder.py's letters: D, H, G, E, V, and the number of layers and positions."""

    width: Size
    heads: Size
    kv_heads: Size
    head_dim: Size
    vocabulary: Size
    layers: Size
    positions: Size

    @property
    def queries(self) -> Size:
        return self.heads * self.head_dim

    @property
    def keys(self) -> Size:
        return self.kv_heads * self.head_dim


def read_size(fields: Fields, *names: str, default: int | None = None, most: int = LARGEST) -> Size:
    """The field, under the first of its spellings that is there."""
    name = fields.spelled(*names)
    value = fields.integer(name, default, most=most)
    return Size(value, f"{name} {value}")


def read_sizes(fields: Fields, *, positions: int, kv_heads: int | None = None, head_dim: int | None = None) -> Sizes:
    """`positions`, `kv_heads` and `head_dim` are what the family takes where the config leaves them out; None: as many
    heads of keys as of queries, and the width shared out among the heads.

    Raises CheckpointError where sizes are absent or do not divide each other.
    """
    width = read_size(fields, "hidden_size", "n_embd")
    heads = read_size(fields, "num_attention_heads", "n_head")
    groups = read_size(fields, "num_key_value_heads", default=kv_heads or heads.value)
    if heads.value % groups.value:
        raise CheckpointError(
            f"{fields.where}: config.json says {heads.says} and {groups.says}: every head of keys must serve the same "
            "number of query heads"
        )
    return Sizes(
        width=width,
        heads=heads,
        kv_heads=groups,
        head_dim=_head_dim(fields, width, heads, head_dim),
        vocabulary=read_size(fields, "vocab_size"),
        layers=read_size(fields, "num_hidden_layers", "n_layer", most=MOST_LAYERS),
        positions=read_size(fields, "max_position_embeddings", "n_positions", default=positions),
    )


def _head_dim(fields: Fields, width: Size, heads: Size, default: int | None) -> Size:
    if fields.has("head_dim") or default is not None:
        value = fields.integer("head_dim", default, most=LARGEST_HEAD)
        return Size(value, f"head_dim {value}")
    if width.value % heads.value:
        raise CheckpointError(
            f"{fields.where}: config.json says {width.says} and {heads.says}, and {width.value} cannot be shared out "
            f"among {heads.value} heads"
        )
    value = width.value // heads.value
    return Size(value, f"head_dim {value} ({width.says} / {heads.says})")
