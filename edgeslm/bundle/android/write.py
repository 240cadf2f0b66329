"""Package models for Android: one `.edgeslm` file with the library and the Gradle project that it comes from.

A model lies twice in it: among the project's assets, where the device package of this computer runs it from, and in the
library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeslm import __version__
from edgeslm.artifacts import BuiltModel, Bundle, Checkpoint
from edgeslm.bundle.android.assets import model_folder, tell_model
from edgeslm.bundle.android.library import AndroidLibrary
from edgeslm.bundle.android.litert import COORDINATE, LiteRtFiles
from edgeslm.bundle.android.project import (
    ASSETS,
    FOLDER,
    OUR_GROUP,
    artifact_name,
    library_places,
    pom_text,
    project_members,
)
from edgeslm.bundle.android.properties import PROPERTIES, TABLE
from edgeslm.bundle.android.readme import android_readme_text
from edgeslm.bundle.documents import licence_text, model_card_text
from edgeslm.bundle.host_cpu import host_cpu_features
from edgeslm.bundle.manifest import (
    SCHEMA_VERSION,
    AndroidModelPart,
    AndroidPart,
    Manifest,
    ParentsPart,
)
from edgeslm.bundle.store import CHAT_TEMPLATE, TOKENIZER, bundle_path, file_part, store_bundle
from edgeslm.errors import InternalError
from edgeslm.target import Target
from edgeslm.versions import tool_versions


def write_android_bundle(
    checkpoint: Checkpoint,
    models: Sequence[BuiltModel],
    target: Target,
    assets: Mapping[str, bytes | Path],
    litert: LiteRtFiles,
    library: AndroidLibrary,
    out: Path,
    *,
    force: bool,
) -> Bundle:
    """Write the bundle into folder `out`, whole or not at all; see linux.write_bundle. The first of `models` is the one
    that an app gets if it names none."""
    if target.android is None:
        raise InternalError(f"{target.name} is no Android device: there is no library for it")
    plans = [built.plan for built in models]
    path = bundle_path(out, checkpoint, *plans)
    aar, pom = library_places(checkpoint.name)
    members = project_members(assets, litert, target.android.abi)
    members |= {aar: library.path, pom: pom_text(checkpoint.name, litert).encode()}
    if checkpoint.tokenizer and checkpoint.root:
        members[TOKENIZER] = checkpoint.root / checkpoint.tokenizer.file
    if checkpoint.generation and checkpoint.generation.chat_template:
        members[CHAT_TEMPLATE] = checkpoint.generation.chat_template.encode()
    members["LICENSE"] = licence_text(checkpoint, "android").encode()
    cards = [model_card_text(checkpoint, built.plan, built.compiled, built.fidelity) for built in models]
    members["MODEL_CARD.md"] = "\n".join(cards).encode()
    scores = [(built.plan, built.fidelity) for built in models]
    readme = android_readme_text(checkpoint, scores, target, litert, path.name, __version__)
    members["README.md"] = readme.encode()
    return store_bundle(path, _manifest(checkpoint, models, target, litert, members), members, force=force)


def _manifest(
    checkpoint: Checkpoint,
    models: Sequence[BuiltModel],
    target: Target,
    litert: LiteRtFiles,
    members: Mapping[str, bytes | Path],
) -> Manifest:
    parts = [_model_part(checkpoint, built) for built in models]
    first, told = models[0], tell_model(checkpoint, models[0], f"{ASSETS}/")
    aar, pom = library_places(checkpoint.name)
    merged = litert.jars | litert.natives
    return Manifest(
        schema_version=SCHEMA_VERSION,
        edgeslm=__version__,
        name=checkpoint.name,
        task=checkpoint.task,
        architecture=checkpoint.architecture,
        target=target,
        backend=first.plan.backend,
        scheme=first.plan.scheme,
        below_gate=any(part.below_gate for part in parts),
        model=told.model,
        tokenizer=told.tokenizer,
        generation=told.generation,
        android=AndroidPart(
            library=aar,
            pom=pom,
            coordinate=f"{OUR_GROUP}:{artifact_name(checkpoint.name)}:{__version__}",
            project=FOLDER,
            litert=COORDINATE if litert.is_empty else None,
            merged={name: file_part(content).sha256 for name, content in sorted(merged.items())},
            models=tuple(parts),
        ),
        labels=checkpoint.labels,
        multi_label=checkpoint.multi_label,
        fidelity=told.fidelity,
        parents=parts[0].parents,
        tools=tool_versions("export")
        | tool_versions(first.plan.backend)
        | tool_versions(first.plan.converter or first.plan.backend),
        host_cpu=host_cpu_features(),
        files={name: file_part(content) for name, content in sorted(members.items())},
    )


def _model_part(checkpoint: Checkpoint, built: BuiltModel) -> AndroidModelPart:
    told = tell_model(checkpoint, built, f"{ASSETS}/")
    folder = f"{ASSETS}/{model_folder(built)}"
    return AndroidModelPart(
        id=built.plan.scheme,
        properties=f"{folder}/{PROPERTIES}",
        table=f"{folder}/{TABLE}",
        below_gate=told.below_gate,
        model=told.model,
        fidelity=told.fidelity,
        parents=ParentsPart(
            checkpoint=checkpoint.digest,
            onnx=built.onnx.digest if built.onnx else None,
            plan=built.plan.digest,
            lowered=built.compiled.parent if built.onnx else None,
            compiled=built.compiled.digest,
        ),
    )
