"""Language models in bundles for tests: real tokenizers, chat templates, and a fake engine."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from tests.unit.device_bundles import DEVICE

STORIES = Path(__file__).resolve().parents[3] / "shared/models/stories260k/tokenizer.json"
FAKE = Path(__file__).with_name("fake_open_language.py")
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TRAINED_ON = ["Once upon a time, there was a little girl.", "the cat sat on the mat", "naïve café – 日本 語 ok"] * 5


@functools.cache
def tokenizer_json(kind: str) -> bytes:
    """A tokenizer.json as families have it: "sentencepiece" with byte fallback (ids 0 to 2 are <unk>, <s>, </s>),
    "bytelevel", "metaspace", "wordpiece", or "stories", which is stories260k's."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    if kind == "stories":
        return STORIES.read_bytes()
    special = ["<unk>", "<s>", "</s>"]
    chat = ["<|im_start|>", "<|im_end|>"]
    trained: dict[str, Any] = {"show_progress": False, "vocab_size": 420, "special_tokens": special}
    tokenizer: Any
    if kind == "sentencepiece":
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        alphabet = [*"▁abcdefghijklmnopqrstuvwxyzO.,é"]
        pieces = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *alphabet]
        merges = [("▁", "t"), ("h", "e"), ("▁t", "he"), ("a", "t"), ("▁", "c"), ("▁c", "at"), ("O", "n"), ("▁", "▁")]
        vocabulary = {piece: i for i, piece in enumerate([*pieces, *(left + right for left, right in merges), ""])}
        tokenizer.model = models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    elif kind == "bytelevel":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(initial_alphabet=alphabet, **trained)
        tokenizer.train_from_iterator(TRAINED_ON, trainer)
    elif kind == "metaspace":
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        tokenizer.train_from_iterator(TRAINED_ON, trainers.BpeTrainer(**trained))
    else:
        tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        tokenizer.train_from_iterator(TRAINED_ON, trainers.WordPieceTrainer(**trained))
    tokenizer.add_special_tokens([*special, *chat])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    content: str = tokenizer.to_str()
    return content.encode()


def generation_part(**changes: Any) -> dict[str, Any]:
    """The manifest's `generation` object of a bundle with the "sentencepiece" tokenizer."""
    return {
        "context": 64,
        "bos": 1,
        "eos": [2],
        "chat_template": "tokenizer/chat_template.jinja",
        "special": {"bos_token": "<s>", "eos_token": "</s>"},
        "add_bos": False,
        **changes,
    }


def language_members(
    fake: dict[str, Any] | None = None, tokenizer: str = "sentencepiece", template: str = CHATML, **changes: Any
) -> dict[str, bytes]:
    """A language model's bundle. `fake` are FakeEngine's arguments; `changes` are put into the manifest's generation.

    The device package in it has the fake runtime.
    """
    files = {
        "model/model.fake": b"weights",
        "tokenizer/tokenizer.json": tokenizer_json(tokenizer),
        "tokenizer/chat_template.jinja": template.encode(),
    }
    files.update(
        {f"edgeslm_device/{source.relative_to(DEVICE)}": source.read_bytes() for source in DEVICE.rglob("*.py")}
    )
    files["edgeslm_device/open_language.py"] = FAKE.read_bytes()
    model = {
        "runtime": "ai-edge-litert",
        "files": ["model/model.fake"],
        "digest": "0" * 64,
        "pad_id": 0,
        "lengths": [],
        "signatures": {},
        "inputs": [],
        "outputs": [],
        "fake": fake or {},
    }
    manifest = {
        "schema_version": 1,
        "name": "tiny-writer",
        "task": "generation",
        "model": model,
        "tokenizer": {"file": "tokenizer/tokenizer.json", "max_length": 64, "pad_id": 0, "mask_token": None},
        "generation": generation_part(**changes),
        "labels": [],
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in files.items()
        },
    }
    return {"manifest.json": json.dumps(manifest).encode(), **files}
