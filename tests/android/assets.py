"""An app's assets folder from a compiled model, as a bundle has it, without the rest of a build."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from edgeslm.artifacts import Checkpoint, CompiledModel, Turn
from edgeslm.bundle.android.properties import (
    MODEL,
    PROPERTIES,
    TABLE,
    Described,
    model_properties,
    models_properties,
)
from edgeslm.bundle.manifest import (
    MANIFEST,
    FidelityPart,
    GenerationPart,
    ModelPart,
    TokenizerPart,
    parse_manifest,
)
from edgeslm.bundle.store import file_part, generation_part
from edgeslm.formats.description import describe_language
from edgeslm.tokenizer.read import read_specification
from edgeslm.tokenizer.table import compile_table

FIDELITY = FidelityPart(
    texts="built-in",
    samples=1,
    passed=True,
    cosine_min=1.0,
    max_abs_error=0.0,
    outputs=(),
    gates=(),
    worst_tensors=(),
)


@dataclass(frozen=True)
class Generator:
    """What model.properties tells of a language model."""

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
    fidelity: FidelityPart = FIDELITY


def language_assets(
    folder: Path, model_id: str, checkpoint: Checkpoint, compiled: CompiledModel, turn: Turn | None
) -> None:
    """Add a language model to the assets in `folder`."""
    assert checkpoint.root is not None
    described = Generator(
        name=checkpoint.name,
        task="generation",
        architecture=checkpoint.architecture,
        scheme=compiled.scheme,
        below_gate=False,
        labels=(),
        multi_label=False,
        model=ModelPart.model_validate(describe_language(compiled), strict=False),
        tokenizer=TokenizerPart(file="tokenizer/tokenizer.json", max_length=512, pad_id=0, mask_token=None),
        generation=generation_part(checkpoint, compiled),
    )
    tokenizer = (checkpoint.root / "tokenizer.json").read_bytes()
    _write(folder, model_id, described, (compiled.root / compiled.files[0]).read_bytes(), tokenizer, turn)


def bundle_assets(folder: Path, model_id: str, bundle: Path) -> None:
    """Add the model of a Linux bundle, an encoder, to the assets in `folder`."""
    with zipfile.ZipFile(bundle) as opened:
        manifest = parse_manifest(opened.read(MANIFEST), bundle.name)
        assert manifest.tokenizer is not None
        model, tokenizer = opened.read(manifest.model.files[0]), opened.read(manifest.tokenizer.file)
    _write(folder, model_id, manifest, model, tokenizer, None)


def _write(
    folder: Path, model_id: str, described: Described, model: bytes, tokenizer: bytes, turn: Turn | None
) -> None:
    own = folder / "edgeslm" / model_id
    own.mkdir(parents=True)
    table = compile_table(read_specification(tokenizer))
    (own / MODEL).write_bytes(model)
    (own / TABLE).write_bytes(table)
    (own / PROPERTIES).write_bytes(model_properties(described, file_part(model), file_part(table), turn))
    ids = sorted(path.name for path in (folder / "edgeslm").iterdir() if path.is_dir())
    (folder / "edgeslm" / "models.properties").write_bytes(models_properties(tuple(ids)))
