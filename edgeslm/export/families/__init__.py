"""Decoder families: reading config.json and the headers of the weights as a `Decoder`, one family or kin a file.

Nothing of a checkpoint is run and no weight is read; names and meanings are those of transformers' modeling files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from edgeslm.decoder import Decoder
from edgeslm.errors import UnsupportedError
from edgeslm.export.families.fields import Fields
from edgeslm.export.families.gemma import read_gemma, read_gemma2, read_gemma3
from edgeslm.export.families.gpt2 import read_gpt2
from edgeslm.export.families.llama import read_llama, read_mistral, read_qwen2, read_qwen3
from edgeslm.export.families.phi import read_phi
from edgeslm.export.families.phi3 import read_phi3
from edgeslm.export.families.tensors import Tensors
from edgeslm.export.weights_file import TensorHeader

Reader: TypeAlias = Callable[[Fields, Tensors], Decoder]

FAMILIES: dict[str, Reader] = {
    "gemma": read_gemma,
    "gemma2": read_gemma2,
    "gemma3_text": read_gemma3,
    "gpt2": read_gpt2,
    "llama": read_llama,
    "mistral": read_mistral,
    "phi": read_phi,
    "phi3": read_phi3,
    "qwen2": read_qwen2,
    "qwen3": read_qwen3,
}


def read_decoder(
    config: dict[str, Any], headers: Sequence[TensorHeader], where: Path, *, context: int | None = None
) -> Decoder:
    """The decoder that `config` and the tensors' `headers` describe; `where` is the folder, for errors.

    `context` is the longest text it will have to hold in tokens, where that is known already.

    Raises CheckpointError where the two disagree or something is missing; UnsupportedError for a family, an activation,
    a rotary scaling or a field that edgeslm does not build, and for a context beyond the decoder's positions.
    """
    fields = Fields(config, where)
    family = fields.text("model_type")
    reader = FAMILIES.get(family)
    if reader is None:
        raise UnsupportedError(
            f"{where}: config.json says model_type {family!r}, a decoder edgeslm does not build",
            f"those it builds: {', '.join(sorted(FAMILIES))}",
        )
    fields.reject_foreign()
    tensors = Tensors(headers, where)
    decoder = reader(fields, tensors)
    tensors.finish()
    if context is not None and context > decoder.positions:
        raise UnsupportedError(
            f"{where}: a context of {context} tokens is asked for, and this model holds {decoder.positions} "
            f"({_limit(fields, decoder)})"
        )
    return decoder


def _limit(fields: Fields, decoder: Decoder) -> str:
    """The field that sets the decoder's positions."""
    name = fields.spelled("max_position_embeddings", "n_positions")
    if fields.integer(name, decoder.positions) > decoder.positions:
        return "original_max_position_embeddings: longrope has other frequencies beyond it"
    return name
