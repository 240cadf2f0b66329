"""How far each layer looks back, by a config's layer_types or by the older fields they follow from."""

from __future__ import annotations

from collections.abc import Sequence

from edgeslm.errors import CheckpointError
from edgeslm.export.families.fields import Fields

FULL, SLIDING = "full_attention", "sliding_attention"


def read_layer_types(fields: Fields, otherwise: Sequence[str]) -> list[str]:
    """One word for each layer; `otherwise` are the family's where the config has no layer_types.

    Raises CheckpointError where there are more or fewer than layers, UnsupportedError for other kinds of attention.
    """
    types = fields.values.get("layer_types")
    if types is None:
        return list(otherwise)
    if not isinstance(types, list) or len(types) != len(otherwise):
        count = f" of {len(types)}" if isinstance(types, list) else ""
        raise CheckpointError(
            f"{fields.where}: config.json has layer_types{count}, where one word for each of {len(otherwise)} layers "
            "belongs (num_hidden_layers)"
        )
    for word in types:
        if word not in (FULL, SLIDING):
            raise fields.unsupported("layer_types", f"edgeslm has no attention of the kind {str(word)[:40]!r}")
    return types


def windows(fields: Fields, types: Sequence[str], window: int | None) -> list[int | None]:
    """The window of each layer. Raises CheckpointError where a layer slides and there is no window."""
    if window is None and SLIDING in types:
        raise CheckpointError(
            f"{fields.where}: config.json has layer_types with {SLIDING}, but no sliding_window for them"
        )
    return [window if word == SLIDING else None for word in types]


def read_window(fields: Fields, default: int | None) -> int | None:
    """sliding_window, or the family's where it is absent; null switches it off."""
    return None if fields.off("sliding_window", default) else fields.integer("sliding_window", default)
