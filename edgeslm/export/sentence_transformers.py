"""What sentence-transformers keeps beside a checkpoint: pooling, dense layers, normalization, maximum length."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeslm.errors import CheckpointError, UnsupportedError
from edgeslm.export.json_file import read_array, read_object

POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
ACTIVATIONS = {"Tanh": "tanh", "Identity": "identity", "ReLU": "relu", "GELU": "gelu", "Sigmoid": "sigmoid"}


@dataclass(frozen=True)
class Dense:
    """A linear layer after pooling; its weights are `linear.weight` and `linear.bias` in its own folder."""

    path: str
    in_features: int
    out_features: int
    bias: bool
    activation: str


@dataclass(frozen=True)
class SentenceModules:
    body: str  # folder of the transformer, relative to the checkpoint
    pooling: str
    dense: tuple[Dense, ...]
    normalize: bool
    max_length: int | None
    files: tuple[str, ...]  # everything read, relative to the checkpoint


def read_sentence_modules(folder: Path) -> SentenceModules | None:
    """None where the folder is no sentence-transformers model. Raises for modules that cannot be honoured."""
    if not (folder / "modules.json").is_file():
        return None
    body, pooling, normalize, dense = "", "mean", False, list[Dense]()
    files = ["modules.json"]
    for module in read_array(folder / "modules.json"):
        kind = str(module.get("type", "")).rsplit(".", 1)[-1]
        path = str(module.get("path", ""))
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise CheckpointError(f"{folder / 'modules.json'} names {path!r}, outside its folder")
        if kind == "Transformer":
            body = path
        elif kind == "Pooling":
            pooling = _pooling(read_object(folder / path / "config.json"), folder / path)
            files.append(f"{path}/config.json")
        elif kind == "Normalize":
            normalize = True
        elif kind == "Dense" and not normalize:
            dense.append(_dense(read_object(folder / path / "config.json"), path))
            files += [f"{path}/config.json", f"{path}/model.safetensors"]
        elif kind != "Dropout":
            raise UnsupportedError(
                f"{folder / 'modules.json'} has a module {kind or module!r} that edgeslm cannot reproduce",
                "Transformer, Pooling, Dense, Normalize and Dropout are known; else wrap the model in module:function",
            )
    max_length = None
    for name in ("sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json"):
        if (folder / body / name).is_file():
            limit = read_object(folder / body / name).get("max_seq_length")
            max_length = limit if isinstance(limit, int) else None
            files.append(str(Path(body) / name))
    return SentenceModules(body, pooling, tuple(dense), normalize, max_length, tuple(files))


def _pooling(config: dict[str, Any], folder: Path) -> str:
    chosen = [name for key, name in POOLINGS.items() if config.get(key)]
    newer = config.get("pooling_mode")
    if isinstance(newer, str):
        chosen = [newer]
    if len(chosen) != 1 or chosen[0] not in POOLINGS.values():
        raise UnsupportedError(
            f"{folder / 'config.json'} asks for {' + '.join(chosen) or 'no pooling'}: edgeslm takes exactly one of "
            f"{', '.join(POOLINGS.values())}",
            "wrap the model in module:function",
        )
    return chosen[0]


def _dense(config: dict[str, Any], path: str) -> Dense:
    name = str(config.get("activation_function", "Tanh")).rsplit(".", 1)[-1]
    if name not in ACTIVATIONS:
        raise UnsupportedError(
            f"{path}/config.json: activation {name} is not known", f"known: {', '.join(ACTIVATIONS)}"
        )
    return Dense(
        path, int(config["in_features"]), int(config["out_features"]), bool(config.get("bias", True)), ACTIVATIONS[name]
    )
