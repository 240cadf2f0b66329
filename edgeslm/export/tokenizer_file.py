"""The checkpoint's tokenizer.json: there, readable, and of the model's own vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeslm.artifacts import TokenizerSpec
from edgeslm.errors import CheckpointError
from edgeslm.export.json_file import read_object

NO_LIMIT = 1_000_000  # transformers writes 10^30 as model_max_length where it knows none
FALLBACK_LENGTH = 512


def read_tokenizer(folder: Path, config: dict[str, Any], sentence_limit: int | None, *, root: Path) -> TokenizerSpec:
    """Of the transformer in `folder`, a part of the checkpoint in `root`.

    `sentence_limit` is sentence-transformers' own maximum length in tokens, where it gives one.

    Raises CheckpointError where tokenizer.json is missing, damaged or made for another vocabulary.
    """
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        raise CheckpointError(
            f"{folder} has no tokenizer.json",
            "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) writes it from vocab.txt or spiece.model",
        )
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises plain Exception
        raise CheckpointError(f"{file} cannot be read: {error}", "the download may be incomplete") from None
    settings = _settings(folder)
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    vocab_size = int(config.get("vocab_size", 0))
    if largest >= vocab_size:
        raise CheckpointError(
            f"{file} gives ids up to {largest}, but the model knows {vocab_size} tokens",
            "this tokenizer is of another model: use the one the checkpoint was trained with",
        )
    pad_token = _token(settings.get("pad_token"))
    pad_id = int(config.get("pad_token_id") or 0)
    found = tokenizer.token_to_id(pad_token) if pad_token else None
    if found is not None and config.get("pad_token_id") is not None and found != pad_id:
        raise CheckpointError(
            f"{file} has {pad_token} at id {found}, config.json says pad_token_id {pad_id}",
            "this tokenizer is of another model: use the one the checkpoint was trained with",
        )
    mask = _token(settings.get("mask_token"))
    return TokenizerSpec(
        file=str(file.relative_to(root)),
        max_length=_max_length(config, settings, sentence_limit),
        pad_id=pad_id,
        vocab_size=vocab_size,
        mask_token=mask if mask and tokenizer.token_to_id(mask) is not None else None,
    )


def _max_length(config: dict[str, Any], settings: dict[str, Any], sentence_limit: int | None) -> int:
    """The least of all limits the checkpoint gives."""
    limits = [limit for limit in (sentence_limit, settings.get("model_max_length")) if isinstance(limit, int)]
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int) and positions > 0:
        # RoBERTa and its kin number positions from pad_token_id + 1.
        offset = int(config.get("pad_token_id") or 0) + 1 if config.get("model_type") in OFFSET_POSITIONS else 0
        limits.append(positions - offset)
    usable = [limit for limit in limits if 0 < limit < NO_LIMIT]
    return min(usable) if usable else FALLBACK_LENGTH


OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet", "roberta-prelayernorm", "xlm-roberta-xl"}


def _settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json over special_tokens_map.json; both may be missing."""
    merged: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        file = folder / name
        if file.is_file():
            merged.update(read_object(file))
    return merged


def _token(value: object) -> str | None:
    """A special token is stored as its text or as an object with its content."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None
