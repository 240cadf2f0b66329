"""The models as an app's assets: for each one a folder with its file, its tokenizer's table, and what is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeslm.artifacts import BuiltModel, Checkpoint, Turn
from edgeslm.bundle.android.properties import INDEX, MODEL, PROPERTIES, TABLE, model_properties, models_properties
from edgeslm.bundle.documents import licence_text
from edgeslm.bundle.manifest import FidelityPart, GenerationPart, ModelPart, TokenizerPart, fidelity_part
from edgeslm.bundle.store import TOKENIZER, file_part, generation_part
from edgeslm.errors import InternalError
from edgeslm.formats.description import describe_language, describe_model

ROOT: Final = "edgeslm"
"""Of an app's assets: the folder of ours."""


@dataclass(frozen=True)
class ToldModel:
    """What model.properties and the manifest tell of one model."""

    name: str
    task: str
    architecture: str
    scheme: str
    below_gate: bool
    labels: tuple[str, ...]
    multi_label: bool
    model: ModelPart
    tokenizer: TokenizerPart | None
    generation: GenerationPart | None
    fidelity: FidelityPart


def model_folder(built: BuiltModel) -> str:
    """Of the assets: where a model's files lie. Models are told apart by their schemes."""
    return f"{ROOT}/{built.plan.scheme}"


def tell_model(checkpoint: Checkpoint, built: BuiltModel, prefix: str) -> ToldModel:
    """`prefix`: of the folder of all assets in the bundle, with its slash."""
    place = f"{prefix}{model_folder(built)}/"
    if built.compiled.files != (MODEL,):
        raise InternalError(f"an Android library holds {MODEL}, not {', '.join(built.compiled.files)}")
    described = (
        describe_language(built.compiled, place)
        if built.onnx is None
        else describe_model(built.compiled, built.onnx, place)
    )
    tokenizer = checkpoint.tokenizer
    return ToldModel(
        name=checkpoint.name,
        task=checkpoint.task,
        architecture=checkpoint.architecture,
        scheme=built.plan.scheme,
        below_gate=not built.fidelity.passed,
        labels=checkpoint.labels,
        multi_label=checkpoint.multi_label,
        model=ModelPart.model_validate(described, strict=False),  # lists where the model has tuples
        tokenizer=TokenizerPart(
            file=TOKENIZER,
            max_length=max(built.plan.lengths, default=tokenizer.max_length),
            pad_id=tokenizer.pad_id,
            mask_token=tokenizer.mask_token,
        )
        if tokenizer
        else None,
        generation=generation_part(checkpoint, built.compiled),
        fidelity=fidelity_part(built.fidelity),
    )


def asset_members(
    checkpoint: Checkpoint, models: Sequence[BuiltModel], table: bytes, turn: Turn | None
) -> dict[str, bytes | Path]:
    """Every asset by name. `table`: the tokenizer's; `turn`: what is put around a message of a chat."""
    members: dict[str, bytes | Path] = {
        f"{ROOT}/LICENSE": licence_text(checkpoint, "android").encode(),
        f"{ROOT}/{INDEX}": models_properties(tuple(built.plan.scheme for built in models)),
    }
    for built in models:
        folder, model = model_folder(built), built.compiled.root / MODEL
        told = tell_model(checkpoint, built, "")
        members[f"{folder}/{MODEL}"] = model
        members[f"{folder}/{TABLE}"] = table
        members[f"{folder}/{PROPERTIES}"] = model_properties(told, file_part(model), file_part(table), turn)
    return members
