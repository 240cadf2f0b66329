"""tokenizer.json -> specification, or which part of it is not supported.

Hugging Face's own reader goes first: what it refuses is damaged, and what it writes again has every default filled in,
every old spelling replaced and every number as it will be used.
"""

from __future__ import annotations

import json
from typing import Any

from edgeslm.errors import CheckpointError, UnsupportedError
from edgeslm.tokenizer.read_steps import read_decoder, read_normalizer, read_pre_tokenizer
from edgeslm.tokenizer.specification import AddedToken, BytePairs, JoinBytes, Specification, Unigrams, WordPieces


def read_specification(content: bytes, where: str = "tokenizer.json") -> Specification:
    """What a tokenizer.json asks for. Its settings of truncation and padding are the caller's to follow.

    Raises CheckpointError where it is damaged, UnsupportedError naming the part that a table cannot hold.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(content)
        document = json.loads(tokenizer.to_str())
    except Exception as error:  # tokenizers raises plain Exceptions
        raise CheckpointError(f"{where} cannot be read: {error}", "the download may be incomplete") from None
    pre_tokenizer, byte_level = read_pre_tokenizer(document["pre_tokenizer"])
    decoder = read_decoder(document["decoder"])
    model = _model(document["model"])
    shows_bytes = decoder is not None and any(isinstance(step, JoinBytes) for step in decoder)
    if byte_level != shows_bytes or (decoder and any(isinstance(step, JoinBytes) for step in decoder[1:])):
        raise UnsupportedError("decoder: ByteLevel without the pre_tokenizer ByteLevel, or the other way round")
    if byte_level and (not isinstance(model, BytePairs) or model.byte_fallback):
        raise UnsupportedError("pre_tokenizer: ByteLevel before a model that is no BPE, or one with byte_fallback")
    before, after = _template(document["post_processor"])
    return Specification(
        model=model,
        byte_level=byte_level,
        added=_added(tokenizer),
        normalizer=read_normalizer(document["normalizer"]),
        pre_tokenizer=pre_tokenizer,
        before=before,
        after=after,
        decoder=decoder,
    )


def _added(tokenizer: Any) -> tuple[AddedToken, ...]:
    tokens = sorted(tokenizer.get_added_tokens_decoder().items())
    special = {token.content for _, token in tokens if token.special}
    added = []
    for number, token in tokens:
        # A token that is looked for in normalized text is also shown normalized, and then no longer known as special.
        normal = tokenizer.normalizer if token.normalized else None
        text = normal.normalize_str(token.content) if normal is not None else token.content
        added.append(
            AddedToken(
                id=number,
                pattern=text,
                shown=text,
                single_word=token.single_word,
                lstrip=token.lstrip,
                rstrip=token.rstrip,
                normalized=token.normalized,
                special=text in special,
            )
        )
    return tuple(added)


def _model(part: dict[str, Any]) -> BytePairs | WordPieces | Unigrams:
    kind = part["type"]
    if kind == "Unigram":
        return _unigrams(part)
    if kind not in ("BPE", "WordPiece"):
        raise UnsupportedError(f"model: {kind}", "BPE, WordPiece and Unigram are supported")
    vocabulary: dict[str, int] = part["vocab"]
    if "" in vocabulary:
        raise UnsupportedError("model.vocab: a token without characters")
    unknown = part["unk_token"]
    if unknown is not None and unknown not in vocabulary:
        raise CheckpointError(f"model.unk_token {unknown!r} is not in model.vocab")
    if kind == "WordPiece":
        return WordPieces(
            vocabulary, vocabulary[unknown], part["continuing_subword_prefix"], part["max_input_chars_per_word"]
        )
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if part[name]:
            raise UnsupportedError(f"model.{name}: {part[name]!r}")
    merges = tuple((vocabulary[left], vocabulary[right], vocabulary[left + right]) for left, right in part["merges"])
    return BytePairs(
        vocabulary,
        merges,
        None if unknown is None else vocabulary[unknown],
        part["fuse_unk"],
        part["byte_fallback"],
        part["ignore_merges"],
    )


def _unigrams(part: dict[str, Any]) -> Unigrams:
    if part["unk_id"] is None:
        raise UnsupportedError("model.unk_id: none, so that a text may have no tokens at all")
    pieces = tuple((str(token), float(score)) for token, score in part["vocab"])
    if any(not token for token, _ in pieces):
        raise UnsupportedError("model.vocab: a token without characters")
    return Unigrams(pieces, part["unk_id"], part["byte_fallback"])


def _template(part: dict[str, Any] | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids before and after a single text's own."""
    if part is None or part["type"] == "ByteLevel":
        return (), ()
    kind = part["type"]
    if kind in ("BertProcessing", "RobertaProcessing"):
        return (part["cls"][1],), (part["sep"][1],)
    if kind == "Sequence":
        before: tuple[int, ...] = ()
        after: tuple[int, ...] = ()
        for inner in part["processors"]:
            more_before, more_after = _template(inner)
            before, after = more_before + before, after + more_after
        return before, after
    if kind != "TemplateProcessing":
        raise UnsupportedError(f"post_processor: {kind}")
    sides: tuple[list[int], list[int]] = ([], [])
    texts = 0
    for piece in part["single"]:
        if "Sequence" in piece:
            if piece["Sequence"]["id"] != "A":
                raise UnsupportedError("post_processor.single: a second text")
            texts += 1
        else:
            sides[min(texts, 1)].extend(part["special_tokens"][piece["SpecialToken"]["id"]]["ids"])
    if texts != 1:
        raise UnsupportedError(f"post_processor.single: the text {texts} times")
    return tuple(sides[0]), tuple(sides[1])
