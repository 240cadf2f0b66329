"""The assistant's own vocabulary: byte-fallback BPE like Llama's, small, and made for copying.

What stands around the values of a call is one token each (`{"intent": "GetWeather`, `", "city": "`, `"}`), so a call
costs few steps beside its values. The space before a word is merged with the word's first piece last of all: a word has
the same pieces in the utterance, after a space, as in the call, after a quotation mark, but for that first one.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from scripts.snips import Utterance

SPACE = "▁"
UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
ALPHABET = 96
"""Characters with a token of their own; others are spelt in bytes."""
SPACED = 180
"""First pieces of words that have a token together with the space before them."""


def train_tokenizer(utterances: Sequence[Utterance], size: int, spaced: int = SPACED) -> Tokenizer:
    """A tokenizer of exactly `size` tokens."""
    frame = _frame(utterances)
    alphabet, merges = _pieces(utterances, size - 3 - 256 - len(frame) - spaced - 1)
    tokens = [UNKNOWN, BEGIN, END, *(f"<0x{byte:02X}>" for byte in range(256)), SPACE, *alphabet]
    tokens += ["".join(merge) for merge in merges]
    whole = _spaced(utterances, tokens, merges, size - len(frame) - len(tokens))
    tokens += [SPACE + piece for piece in whole]
    tokenizer = _tokenizer(tokens, [*merges, *((SPACE, piece) for piece in whole)])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in (UNKNOWN, BEGIN, END)])
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in frame])
    if tokenizer.get_vocab_size() != size:
        raise ValueError(f"the tokenizer has {tokenizer.get_vocab_size()} tokens, not {size}")
    return tokenizer


def _frame(utterances: Sequence[Utterance]) -> list[str]:
    """What stands around values."""
    intents = sorted({utterance.intent for utterance in utterances})
    slots = sorted({slot for utterance in utterances for _, slot in utterance.parts if slot})
    return [
        *(json.dumps({"intent": intent})[:-2] for intent in intents),
        *(f'", {json.dumps(slot)}: "' for slot in slots),
        '"}',
    ]


def _tokenizer(tokens: list[str], merges: list[tuple[str, str]]) -> Tokenizer:
    vocabulary = {token: place for place, token in enumerate(tokens)}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token=UNKNOWN, fuse_unk=True, byte_fallback=True, ignore_merges=False)
    )
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def _pieces(utterances: Sequence[Utterance], room: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Characters, and merges inside of words; digits and marks stay single."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "removed"),
            pre_tokenizers.Split(Regex(r"[^\p{L}\p{M}]"), "isolated"),
        ]
    )
    trainer = trainers.BpeTrainer(vocab_size=room, limit_alphabet=ALPHABET, show_progress=False)
    trained.train_from_iterator((utterance.text for utterance in utterances), trainer)
    model = json.loads(trained.to_str())["model"]
    merges = [(left, right) for left, right in model["merges"]]
    merged = {left + right for left, right in merges}
    return sorted(token for token in model["vocab"] if token not in merged), merges


def _spaced(utterances: Sequence[Utterance], tokens: list[str], merges: list[tuple[str, str]], count: int) -> list[str]:
    """The pieces that most often follow a space."""
    plain = _tokenizer(tokens, merges)
    following: Counter[str] = Counter()
    for utterance in utterances:
        pieces = plain.encode(utterance.text).tokens
        following.update(after for before, after in itertools.pairwise(pieces) if before == SPACE)
    usable = (piece for piece, _ in following.most_common() if not piece.startswith("<0x") and piece != SPACE)
    return [piece for piece, _ in zip(usable, range(count), strict=False)]
