"""Small random checkpoints of many families, as save_pretrained leaves them: the matrix of the backends' tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = """
    the a cat dog runs fast slow red blue house tree who what where is was not and or of to in on it we they you
    model small device text word time day night sun rain food good bad new old big long short first last more
""".split()  # noqa: SIM905
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCAB = 128
SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": VOCAB,
    "max_position_embeddings": 64,
}
FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertConfig", "BertModel", SMALL),
    "roberta": (
        "RobertaConfig",
        "RobertaModel",
        {**SMALL, "max_position_embeddings": 66, "type_vocab_size": 1, "pad_token_id": 0},
    ),
    "distilbert": (
        "DistilBertConfig",
        "DistilBertModel",
        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "vocab_size": VOCAB, "max_position_embeddings": 64},
    ),
    # TinyBERT's own shape: 4 layers of 312, whose width is no multiple of an int4 block of 32.
    "tinybert": (
        "BertConfig",
        "BertModel",
        {**SMALL, "hidden_size": 312, "num_hidden_layers": 4, "num_attention_heads": 12, "intermediate_size": 1200},
    ),
    "mobilebert": (
        "MobileBertConfig",
        "MobileBertModel",
        {**SMALL, "embedding_size": 16, "intra_bottleneck_size": 16, "intermediate_size": 32,
         "num_feedforward_networks": 2},
    ),
    "albert": ("AlbertConfig", "AlbertModel", {**SMALL, "embedding_size": 16}),
    # MiniLM is BERT with another width; its distinguishing marks are sentence-transformers' modules.
    "minilm": ("BertConfig", "BertModel", {**SMALL, "hidden_size": 48, "num_attention_heads": 6}),
    "funnel": (
        "FunnelConfig",
        "FunnelModel",
        {"vocab_size": VOCAB, "block_sizes": [1, 1], "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 64,
         "max_position_embeddings": 64},
    ),
    "reformer": (
        "ReformerConfig",
        "ReformerModel",
        {"vocab_size": VOCAB, "hidden_size": 32, "attention_head_size": 8, "num_attention_heads": 4,
         "feed_forward_size": 64, "axial_pos_shape": (8, 8), "axial_pos_embds_dim": (16, 16), "num_hashes": 1,
         "max_position_embeddings": 64, "num_buckets": 2, "is_decoder": False, "attn_layers": ["local", "lsh"],
         "local_attn_chunk_length": 8, "lsh_attn_chunk_length": 8},
    ),
    "switch": (
        "SwitchTransformersConfig",
        "SwitchTransformersEncoderModel",
        {"vocab_size": VOCAB, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "num_experts": 2,
         "num_sparse_encoder_layers": 1},
    ),
}  # fmt: skip


def make_checkpoint(folder: Path, family: str, model_class: str | None = None, **changes: Any) -> Path:
    """A checkpoint of that family with seeded random weights in `folder`, which is returned.

    `model_class` is another transformers class of the family (BertForSequenceClassification).
    """
    import torch
    import transformers

    config_class, default_class, values = FAMILIES[family]
    torch.manual_seed(0)
    config = getattr(transformers, config_class)(**{**values, **changes})
    model = getattr(transformers, model_class or default_class)(config)
    widen(model)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    if family == "minilm":
        write_sentence_modules(folder, config.hidden_size)
    return folder


def widen(model: Any) -> None:
    """Weights of a trained size: with the usual 0.02 every text gets nearly the same embedding, whatever breaks.

    All are drawn here: some families leave memory as it was found in tensors that they expect to load.
    """
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2:
                parameter.normal_(0, 0.12 if "embed" in name else 0.04)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.1)
        for part in model.modules():
            if isinstance(part, torch.nn.Embedding) and part.padding_idx is not None:
                part.weight[part.padding_idx] = 0


def write_tokenizer(folder: Path) -> None:
    """A WordPiece tokenizer of VOCAB words that writes [CLS] … [SEP]."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    characters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens = [*SPECIAL, *WORDS, *(c for c in characters if c not in WORDS), *(f"##{c}" for c in characters)][:VOCAB]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"pad_token": "[PAD]", "mask_token": "[MASK]", "unk_token": "[UNK]", "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_sentence_modules(folder: Path, width: int, normalize: bool = True, **pooling: bool) -> None:
    """sentence-transformers' modules.json: mean pooling unless told otherwise, and normalization."""
    modes = pooling or {"pooling_mode_mean_tokens": True}
    names = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
    paths = ["", "1_Pooling", "2_Normalize"]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (name, path) in enumerate(zip(names, paths, strict=False))
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": width, **modes}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 64}))
