"""Loading a checkpoint into PyTorch. Weights come from safetensors only, code from transformers only."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeslm.artifacts import Checkpoint
from edgeslm.errors import CheckpointError, MissingExtraError, UnsupportedError
from edgeslm.export.finite_layers import finite_layers
from edgeslm.export.json_file import read_object
from edgeslm.export.sentence_transformers import Dense, read_sentence_modules
from edgeslm.export.tokenizer_file import OFFSET_POSITIONS

if TYPE_CHECKING:
    from torch import nn

    from edgeslm.export.text_model import MaskForm, TextModel


def load_module(checkpoint: Checkpoint) -> nn.Module:
    """The module to export, in eval mode and float32.

    Its forward takes the tensors of `input_names` in order. Raises CheckpointError where config and weights disagree.
    """
    if checkpoint.root is None:
        from edgeslm.export.plain_module import load_plain_module

        return load_plain_module(checkpoint.source).module
    return _load_text_model(checkpoint, checkpoint.root)


def input_names(checkpoint: Checkpoint) -> list[str]:
    """Inputs of a text model, in the order of its forward."""
    assert checkpoint.root is not None
    names = ["input_ids", "attention_mask"]
    if int(read_object(body_folder(checkpoint.root) / "config.json").get("type_vocab_size") or 0) > 1:
        names.append("token_type_ids")
    return names


def load_transformer(checkpoint: Checkpoint, *, as_stored: bool = False) -> nn.Module:
    """The transformers model as its author uses it, for reference outputs. Never reaches for the network.

    In float32, or in the checkpoint's own type with `as_stored`.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError("build", error.name or "torch", "exporting a checkpoint") from None
    assert checkpoint.root is not None
    body = body_folder(checkpoint.root)
    config = read_object(body / "config.json")
    name = (config.get("architectures") or [""])[0]
    loader: Any = transformers.AutoModel
    if checkpoint.task != "embedding":
        loader = getattr(transformers, name, None)
        if loader is None:
            raise UnsupportedError(f"transformers {transformers.__version__} has no class {name}")
    elif config.get("model_type") in ENCODER_CLASSES:
        loader = getattr(transformers, ENCODER_CLASSES[config["model_type"]])
    logging: Any = transformers.utils.logging  # untyped
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, report = loader.from_pretrained(
            body,
            dtype="auto" if as_stored else torch.float32,
            attn_implementation="eager",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise CheckpointError(
            f"{body}: transformers cannot load it as {getattr(loader, '__name__', loader)}: {_first_lines(error)}",
            "config.json and model.safetensors must be of one model that transformers knows",
        ) from error
    missing = sorted(
        key for key in report["missing_keys"] if checkpoint.task == "classification" or "pooler" not in key
    )
    if missing:
        raise CheckpointError(
            f"{body}: config.json describes {len(missing)} tensors that the weights do not have, first {missing[0]}",
            "config.json and model.safetensors are of different models",
        )
    mismatched = sorted(str(item) for item in report.get("mismatched_keys", ()))
    if mismatched:
        raise CheckpointError(f"{body}: config.json and the weights disagree on {mismatched[0]}")
    reject_non_finite(model, body)
    return model.eval()  # type: ignore[no-any-return]  # transformers' loaders are untyped


ENCODER_CLASSES = {
    "t5": "T5EncoderModel",
    "mt5": "MT5EncoderModel",
    "switch_transformers": "SwitchTransformersEncoderModel",
}
"""Where AutoModel would load encoder and decoder."""


def reject_non_finite(model: nn.Module, where: Path) -> None:
    """A NaN weight makes every output NaN; better said before the build than after."""
    import torch

    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise CheckpointError(f"{where}: tensor {name} holds NaN or infinite values", "the training diverged?")


def _load_text_model(checkpoint: Checkpoint, root: Path) -> TextModel:
    from edgeslm.export.text_model import TextModel

    model = load_transformer(checkpoint)
    config = read_object(body_folder(root) / "config.json")
    modules = read_sentence_modules(root)
    offset = int(config.get("pad_token_id") or 0) + 1 if config.get("model_type") in OFFSET_POSITIONS else 0

    def wrapped(form: MaskForm) -> TextModel:
        return TextModel(
            model,
            frozenset(inspect.signature(model.forward).parameters),
            pooling=checkpoint.pooling,
            dense=[_load_dense(root, dense) for dense in (modules.dense if modules else ())],
            normalize=checkpoint.normalize,
            type_ids="token_type_ids" in input_names(checkpoint),
            position_offset=offset,
            mask_form=form,
        ).eval()

    return wrapped(_mask_form(wrapped, checkpoint))


def _mask_form(wrapped: Any, checkpoint: Checkpoint) -> MaskForm:
    """Whether the transformer takes an additive mask as it is: tried, since families differ and do not say. Raises
    CheckpointError where a layer gives NaN."""
    import torch

    assert checkpoint.tokenizer is not None
    tokens = min(8, checkpoint.tokenizer.max_length)
    ids = torch.arange(tokens, dtype=torch.int32).remainder(checkpoint.tokenizer.vocab_size).unsqueeze(0)
    mask = torch.ones_like(ids)
    mask[:, tokens // 2 :] = 0
    with torch.inference_mode():
        try:
            plain = wrapped("tokens")
            with finite_layers(plain, "a text"):
                expected = plain(ids, mask)
            found = wrapped("additive")(ids, mask)
        except (RuntimeError, ValueError, TypeError, IndexError):
            return "tokens"
        if expected.ndim == 3:  # logits of masked tokens mean nothing
            expected, found = expected[:, : tokens // 2], found[:, : tokens // 2]
    close = bool(torch.allclose(expected, found, atol=1e-5, rtol=1e-4))
    return "additive" if close else "tokens"


def _load_dense(root: Path, dense: Dense) -> nn.Module:
    from safetensors.torch import load_file
    from torch import nn

    from edgeslm.export.text_model import DenseLayer

    linear = nn.Linear(dense.in_features, dense.out_features, dense.bias)
    weights = load_file(root / dense.path / "model.safetensors")
    try:
        linear.load_state_dict({name.removeprefix("linear."): value.float() for name, value in weights.items()})
    except RuntimeError as error:
        raise CheckpointError(f"{root / dense.path}: config and weights disagree: {_first_lines(error)}") from None
    return DenseLayer(linear, dense.activation)


def body_folder(root: Path) -> Path:
    modules = read_sentence_modules(root)
    return root / modules.body if modules else root


def _first_lines(error: BaseException, count: int = 4) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:count])[:600]
