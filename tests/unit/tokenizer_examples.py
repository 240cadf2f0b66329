"""Tokenizers of every kind, as Hugging Face makes them: trained here, or found on this machine."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from edgeslm.data_folder import alone
from edgeslm.device.token_table import TokenTable
from edgeslm.tokenizer.read import read_specification
from edgeslm.tokenizer.table import compile_table

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
STRINGS = SHARED / "data" / "tokenizer_strings.json"
STORIES = SHARED / "models" / "stories260k" / "tokenizer.json"

needs_shared = pytest.mark.skipif(not STRINGS.is_file(), reason="../shared with its strings and models is not here")

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
_CAPITALS, _SMALL, _END = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}", r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}]*[{_SMALL}]+{_END}|[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}]+[{_SMALL}]*{_END}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT4 = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"


def corpus() -> list[str]:
    """Lines to train on: tinyshakespeare, or the calibration texts where ../shared is missing."""
    shakespeare = SHARED / "data" / "tinyshakespeare.txt"
    file = shakespeare if shakespeare.is_file() else ROOT / "edgeslm" / "fidelity" / "calibration.txt"
    return file.read_text(encoding="utf-8").splitlines()


def _once(name: str, make: Callable[[], bytes]) -> bytes:
    """What takes seconds is made once for all workers of a test run, whose folder the stage cache is in."""
    stages = os.environ.get("EDGESLM_CACHE")
    if stages is None:
        return make()
    file = Path(stages).with_name("tokenizers") / name
    with alone(file):
        if not file.is_file():
            file.write_bytes(make())
        return file.read_bytes()


@functools.cache
def _trained_byte_level() -> str:
    return _once("byte-level.json", _train_byte_level).decode()


def _train_byte_level() -> bytes:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1500,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<s>", "</s>", "<unk>", "<|endoftext|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer.to_str().encode()


def byte_level(pattern: str | None, *, ignore_merges: bool = False, normalizer: Any = None) -> Tokenizer:
    """As GPT-2's (no pattern, with a space before a text), or as Llama 3's and its kin."""
    document = json.loads(_trained_byte_level())
    document["model"]["ignore_merges"] = ignore_merges
    document["model"]["vocab"]["ĠQqz"] = len(document["model"]["vocab"])  # no merges lead there
    tokenizer = Tokenizer.from_str(json.dumps(document))
    if normalizer:
        tokenizer.normalizer = normalizer
    if pattern:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    tokenizer.add_tokens([AddedToken("<think>", normalized=True), AddedToken("  ", normalized=False)])
    template = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer


@functools.cache
def _trained_byte_fallback() -> str:
    return _once("byte-fallback.json", _train_byte_fallback).decode()


def _train_byte_fallback() -> bytes:
    """As Mistral's: SentencePiece's BPE with bytes for what it does not know, words not cut before."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer.train_from_iterator(
        corpus(), trainers.BpeTrainer(vocab_size=2000, special_tokens=names, show_progress=False)
    )
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = document["added_tokens"][:3]  # bytes are tokens of the model alone
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer.to_str().encode()


def byte_fallback() -> Tokenizer:
    return Tokenizer.from_str(_trained_byte_fallback())


@functools.cache
def _trained_word_piece() -> str:
    return _once("word-piece.json", _train_word_piece).decode()


def _train_word_piece() -> bytes:
    """As BERT's, of all cases."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        corpus(),
        trainers.WordPieceTrainer(
            vocab_size=1500, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False
        ),
    )
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, rstrip=True, single_word=True)])
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer.to_str().encode()


def word_piece() -> Tokenizer:
    return Tokenizer.from_str(_trained_word_piece())


@functools.cache
def _trained_unigram() -> str:
    return _once("unigram.json", _train_unigram).decode()


def _train_unigram() -> bytes:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=1000, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False
    )
    lines = corpus()
    tokenizer.train_from_iterator(lines[:: max(1, len(lines) // 4000)], trainer)  # it takes long
    return tokenizer.to_str().encode()


def unigram(normalizer: Any, *, bytes_too: bool = False) -> Tokenizer:
    """As T5's."""
    document = json.loads(_trained_unigram())
    steps = [{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]
    if bytes_too:
        document["model"]["vocab"] += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
        document["model"]["byte_fallback"] = True
        steps.insert(0, {"type": "ByteFallback"})
    document["decoder"] = {"type": "Sequence", "decoders": steps}
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.normalizer = normalizer
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1))
    return tokenizer


def charsmap() -> bytes:
    """Like SentencePiece's nmt_nfkc: compatibility forms, composed pairs, odd spaces, lost controls."""
    keys = {chr(cp): unicodedata.normalize("NFKC", chr(cp)) for cp in range(0xA0, 0xFFFF) if not 0xD800 <= cp < 0xF900}
    keys |= {unicodedata.normalize("NFD", chr(cp)): chr(cp) for cp in range(0xC0, 0x1200)}
    keys |= dict.fromkeys("\t\n\r\u200b\u3000", " ") | dict.fromkeys("\x01\x7f\ufeff", "")
    keys |= {"\u0600": "P", "ᄀ": "g", "ᅡ": "a", "ᆨ": "k", "각": "gak", "가": "ga", "क": "ka", "e": "E", "\u0301": "'"}
    return _double_array({key.encode(): text for key, text in keys.items() if key != text})


def _double_array(keys: dict[bytes, str]) -> bytes:
    """Darts-clone's format: size of the units, the units, the replacements with a NUL behind each."""
    tree: dict[int, Any] = {}
    pool = bytearray()
    for key, text in sorted(keys.items()):
        node = tree
        for byte in key:
            node = node.setdefault(byte, {})
        node[0] = len(pool)
        pool += text.encode() + b"\0"
    units = [0] * (1 << 16)
    taken = {0}
    waiting = [(0, 0, tree)]
    base = 1
    while waiting:
        place, label, node = waiting.pop()
        while any(base ^ child in taken for child in node):
            base += 1
        taken |= {base ^ child for child in node}
        assert place ^ base < 1 << 21
        units[place] = (place ^ base) << 10 | (0 in node) << 8 | label
        for child, inner in node.items():
            if child:
                waiting.append((base ^ child, child, inner))
            else:
                units[base] = 1 << 31 | inner
        base = base if len(node) == 1 else max(1, base - 64)
    units = units[: (max(taken) | 0xFF) + 1]
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + bytes(pool)


@functools.cache
def precompiled() -> Any:
    """A normalizer with that charsmap."""
    return normalizers.Precompiled(charsmap())


def compiled(tokenizer: Tokenizer) -> bytes:
    content = tokenizer.to_str().encode()
    return _once(f"{hashlib.sha256(content).hexdigest()}.edgetok", lambda: compile_table(read_specification(content)))


def table_of(tokenizer: Tokenizer) -> TokenTable:
    return TokenTable(compiled(tokenizer))


def plain(tokenizer: Tokenizer) -> Tokenizer:
    """Without the truncation and padding that a file may ask for."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
