"""From texts to model inputs: what a device's tokenizer would give, one text at a time, unpadded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import Checkpoint, OnnxModel, Samples
from edgeslm.digest import file_digest
from edgeslm.errors import InternalError, TextsError
from edgeslm.fidelity.made_texts import make_samples
from edgeslm.fidelity.texts import Texts
from edgeslm.formats.samples import write_samples

if TYPE_CHECKING:
    from tokenizers import Encoding

EXAMPLES = 32
"""How many random inputs score (and calibrate) a plain module, which takes no text."""


def tokenize_texts(
    checkpoint: Checkpoint, onnx: OnnxModel, texts: Texts, out: Path, *, calibrating: bool = False
) -> Samples:
    """One sample a text: int32 arrays (1, tokens) for exactly the graph's inputs.

    Texts beyond the longest length bucket are cut, counted, and `described` says so. For a fill-mask model the
    middle word piece of every text is replaced by the mask token: an unmasked text would ask it nothing. For
    `calibrating`, samples that are made from the texts' words follow (made_texts.py).

    Raises TextsError for a text that the tokenizer makes nothing of.
    """
    from tokenizers import Tokenizer

    if checkpoint.tokenizer is None or checkpoint.root is None:
        raise InternalError(f"{checkpoint.name} has no tokenizer, yet texts were given")
    tokenizer = Tokenizer.from_file(str(checkpoint.root / checkpoint.tokenizer.file))
    tokenizer.no_padding()
    limit = max(onnx.lengths)
    tokenizer.enable_truncation(max_length=limit)
    mask = checkpoint.tokenizer.mask_token if checkpoint.task == "fill-mask" else None
    mask_id = tokenizer.token_to_id(mask) if mask else None

    samples: list[dict[str, NDArray[Any]]] = []
    truncated = 0
    for number, text in zip(texts.numbers, texts.lines, strict=True):
        encoding = tokenizer.encode(text)
        if not encoding.ids:
            raise TextsError(f"{texts.where}, line {number}: the tokenizer makes no token of it", "leave the line out")
        truncated += bool(encoding.overflowing)
        samples.append(_sample(encoding, onnx, mask_id))
    made: list[dict[str, NDArray[Any]]] = []
    if calibrating and mask_id is None:
        special = frozenset(number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special)
        made = make_samples(samples, tokenizer.get_vocab(), special, limit)
    path = out / "samples.npz"
    write_samples(path, [*samples, *made])
    notes = [texts.described]
    if truncated:
        notes.append(f"{truncated} cut to {limit} tokens")
    if mask_id is not None:
        notes.append("one word piece masked in each")
    return Samples(out, file_digest(path), ", ".join(notes), len(samples), path.name, truncated, len(made))


def _sample(encoding: Encoding, onnx: OnnxModel, mask_id: int | None) -> dict[str, NDArray[Any]]:
    ids = list(encoding.ids)
    if mask_id is not None:
        ordinary = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
        if ordinary:
            ids[ordinary[len(ordinary) // 2]] = mask_id
    made = {"input_ids": ids, "attention_mask": encoding.attention_mask, "token_type_ids": encoding.type_ids}
    unknown = [spec.name for spec in onnx.inputs if spec.name not in made]
    if unknown:
        raise InternalError(f"a tokenizer makes no {', '.join(unknown)}")
    return {spec.name: np.asarray([made[spec.name]], dtype=spec.dtype) for spec in onnx.inputs}
