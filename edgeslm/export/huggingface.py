"""A Hugging Face checkpoint folder, read and checked without running anything of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgeslm.artifacts import Checkpoint, Parameter, Role, Task
from edgeslm.digest import files_digest
from edgeslm.errors import CheckpointError, MissingExtraError, UnsupportedError
from edgeslm.export.families import read_decoder
from edgeslm.export.generation_files import FILES as GENERATION_FILES
from edgeslm.export.generation_files import read_generation
from edgeslm.export.json_file import read_object
from edgeslm.export.sentence_transformers import SentenceModules, read_sentence_modules
from edgeslm.export.tokenizer_file import read_tokenizer
from edgeslm.export.weights_file import TensorHeader, read_headers, weight_files

HEADS: dict[str, Task] = {
    "ForSequenceClassification": "classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
}
# Heads that a bare encoder leaves behind when it is taken out of a larger checkpoint.
HEAD_PREFIXES = (
    "cls.", "lm_head.", "classifier.", "classification_head.", "qa_outputs.", "predictions.", "sop_classifier.",
    "discriminator_predictions.", "generator_predictions.", "vocab_transform.", "vocab_layer_norm.",
    "vocab_projector.", "pre_classifier.", "decoder.",
)  # fmt: skip
TABLE = re.compile(r"(^|\.)(\w*embeddings|shared|embed_tokens|wte|word_embedding|relative_attention_bias)\.weight$")


def open_folder(folder: Path, source: str, name: str | None = None) -> Checkpoint:
    """Raises CheckpointError where files are missing, damaged or disagree, UnsupportedError for what is neither an
    encoder nor a decoder that can be built."""
    modules = read_sentence_modules(folder)
    body = folder / modules.body if modules else folder
    config = read_object(body / "config.json")
    architecture = config.get("model_type")
    if not isinstance(architecture, str):
        raise CheckpointError(
            f"{body / 'config.json'} has no model_type", "is this a Hugging Face transformers checkpoint?"
        )
    reject_remote_code(config, body)
    task = "embedding" if modules else _task(config, body)
    notes: list[str] = []
    if task == "embedding" and modules is None:
        notes.append("no pooling is configured: mean over the text's tokens is assumed, without normalization")
    files = weight_files(body)
    headers = read_headers(body, files)
    parameters = tuple(
        Parameter(header.name, header.shape, _role(header)) for header in headers if _is_used(header, task)
    )
    if not parameters:
        raise CheckpointError(f"{body} holds no weights that a {task} model needs")
    reject_disagreement(config, parameters, body)
    decoder = read_decoder(config, headers, body) if task == "generation" else None
    for dense in modules.dense if modules else ():
        parameters += tuple(
            Parameter(f"{dense.path}.{header.name}", header.shape, _role(header))
            for header in read_headers(folder / dense.path, weight_files(folder / dense.path))
        )
    tokenizer = read_tokenizer(body, config, modules.max_length if modules else None, root=folder)
    read = [str(path.relative_to(folder)) for path in _files_read(folder, body, files, modules)]
    return Checkpoint(
        name=name or _name(folder),
        source=source,
        digest=files_digest(folder, read),
        task=task,
        architecture=architecture,
        parameters=parameters,
        tokenizer=tokenizer,
        pooling=(modules.pooling if modules else "mean") if task == "embedding" else None,
        normalize=modules.normalize if modules else False,
        labels=_labels(config, body) if task.endswith("classification") else (),
        multi_label=config.get("problem_type") == "multi_label_classification",
        notes=tuple(notes),
        generation=read_generation(body, config) if decoder else None,
        decoder=decoder,
        licence=_licence(folder),
        root=folder,
    )


def reject_remote_code(config: dict[str, Any], folder: Path) -> None:
    """Code that travels with a checkpoint is never run."""
    if "auto_map" in config and config["model_type"] not in _known_architectures():
        raise UnsupportedError(
            f"{folder} needs code of its own (auto_map in config.json), and edgeslm never runs code from a checkpoint",
            "load it in your own module:function, which you trust, and pass that as --model",
        )


def reject_disagreement(config: dict[str, Any], parameters: tuple[Parameter, ...], folder: Path) -> None:
    """config.json and the weights must describe the same model; the rest is checked when the model is loaded."""
    table = next((p for p in parameters if re.search(r"(word_embeddings|shared|embed_tokens)\.weight$", p.name)), None)
    if table is None or len(table.shape) != 2:
        return
    width = config.get("embedding_size") or config.get("hidden_size") or config.get("dim") or config.get("d_model")
    for key, said, found in (
        ("vocab_size", config.get("vocab_size"), table.shape[0]),
        ("hidden_size", width, table.shape[1]),
    ):
        if isinstance(said, int) and said != found:
            raise CheckpointError(
                f"{folder}: config.json says {key} {said}, the weights of {table.name} say {found}",
                "config.json and model.safetensors are of different models",
            )


def _known_architectures() -> frozenset[str]:
    """Model types that transformers has code for. Slow to import, so only asked when a config has auto_map."""
    try:
        from transformers import CONFIG_MAPPING
    except ImportError:
        raise MissingExtraError("build", "transformers", "a checkpoint that brings code of its own") from None
    return frozenset(CONFIG_MAPPING.keys())


def _task(config: dict[str, Any], folder: Path) -> Task:
    names = config.get("architectures") or [""]
    for ending, task in HEADS.items():
        if names[0].endswith(ending):
            return task
    if names[0].endswith(("ForCausalLM", "LMHeadModel")):
        return "generation"
    refused = ("ForConditionalGeneration", "ForQuestionAnswering", "ForMultipleChoice")
    if names[0].endswith(refused):
        raise UnsupportedError(
            f"{folder} is a {names[0]}: edgeslm builds encoders (embedding, classification, fill-mask) and decoders",
            "wrap what you need in module:function, or take the encoder alone (save_pretrained of the base model)",
        )
    return "embedding"


def _is_used(header: TensorHeader, task: Task) -> bool:
    """Whether the exported graph can hold this tensor: pretraining heads and unused poolers stay behind."""
    if not header.floating:
        return False
    if task != "classification" and re.search(r"(^|\.)pooler\.", header.name):
        return False
    return not (task == "embedding" and header.name.startswith(HEAD_PREFIXES))


def _role(header: TensorHeader) -> Role:
    if len(header.shape) == 2 and TABLE.search(header.name):
        return "embedding"
    if len(header.shape) == 2 and header.name.endswith((".weight", "_weight")):
        return "linear"
    return "other"


def _labels(config: dict[str, Any], folder: Path) -> tuple[str, ...]:
    """In order of class. A config without names leaves LABEL_0, LABEL_1, … to transformers: so do we."""
    names = config.get("id2label")
    if isinstance(names, dict):
        try:
            return tuple(str(names[key]) for key in sorted(names, key=int))
        except ValueError:
            raise CheckpointError(f"{folder / 'config.json'}: id2label has keys that are no numbers") from None
    return tuple(f"LABEL_{index}" for index in range(int(config.get("num_labels", 2))))


def _files_read(folder: Path, body: Path, weights: list[str], modules: SentenceModules | None) -> list[Path]:
    """What the digest covers: everything that a build reads."""
    optional = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "README.md")
    found = [body / name for name in (*optional, *GENERATION_FILES, *weights) if (body / name).is_file()]
    if modules:
        found += [folder / name for name in modules.files]
    return sorted(set(found))


def _name(folder: Path) -> str:
    """File-name-safe name of the folder; a snapshot of a hub cache is named after its repository."""
    resolved = folder.resolve()
    name = resolved.name
    if resolved.parent.name == "snapshots" and resolved.parent.parent.name.startswith("models--"):
        name = resolved.parent.parent.name.split("--")[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.").lower() or "model"


def _licence(folder: Path) -> str | None:
    """The `license:` of the model card's YAML head."""
    card = folder / "README.md"
    if not card.is_file():
        return None
    head = card.read_text(encoding="utf-8", errors="replace")[:20_000].split("\n---", 1)[0]
    found = re.search(r"^license:\s*['\"]?([\w.+-]+)", head, re.MULTILINE)
    return found.group(1) if found else None
