"""The README.md of an Android bundle."""

from __future__ import annotations

from edgeslm.artifacts import Checkpoint, Fidelity, QuantPlan
from edgeslm.bundle.android.litert import COORDINATE, LiteRtFiles
from edgeslm.bundle.android.project import FOLDER, MAVEN, OUR_GROUP, artifact_name, library_places
from edgeslm.bundle.documents import kept_text, purpose_text
from edgeslm.target import Target

_CALLS = {
    "embedding": 'val vector = model.embed("Some text")',
    "classification": 'val labels = model.classify("Some text")',
    "generation": 'model.generate("Once upon a time", GenerateOptions(), callback)',
}


def android_readme_text(
    checkpoint: Checkpoint,
    models: list[tuple[QuantPlan, Fidelity]],
    target: Target,
    litert: LiteRtFiles,
    file_name: str,
    version: str,
) -> str:
    """For whoever opens the bundle: what is in it, and the few lines that bring it into an app."""
    assert target.android is not None
    folder = file_name.removesuffix(".edgeslm")
    library, _ = library_places(checkpoint.name)
    artifact = artifact_name(checkpoint.name)
    lines = [
        f"# {checkpoint.name} for {target.title}",
        f"A model for {purpose_text(checkpoint)} as an Android library: Java, usable from Kotlin, from Android API "
        f"level {target.android.min_sdk} on.",
        *[f"{plan.scheme}: {kept_text(fidelity)}." for plan, fidelity in models],
        "See MODEL_CARD.md. Nothing of this was run on a phone: LiteRT's Android runtime joins at your build.",
        "",
        f"    python3 -m zipfile -e {file_name} {folder}",
        "",
        "## The finished library",
        f"{library}. In settings.gradle, `maven {{ url '{folder}/{MAVEN}' }}` beside `google()`; in your app's "
        "build.gradle:",
        "",
        "    android { androidResources { noCompress 'tflite', 'edgetok' } }",
        f"    dependencies {{ implementation '{OUR_GROUP}:{artifact}:{version}' }}",
        "",
        *_dropped_in(litert, artifact, version),
        "## As sources",
        f"{FOLDER}/ is a Gradle project for Android Studio: the module edgeslm is the library, app is a demo.",
        "",
        "## A call",
        "",
        "    val model = EdgeSlm.open(context) // not on the main thread: digests are checked",
        f"    {_CALLS[checkpoint.task]}",
        "",
        f"On this computer, with the same model file: `edgeslm run {file_name}`.",
    ]
    return "\n".join(lines) + "\n"


def _dropped_in(litert: LiteRtFiles, artifact: str, version: str) -> list[str]:
    given = f"    dependencies {{ implementation files('libs/{artifact}-{version}.aar')"
    if not litert.is_empty:
        return [
            "Or copy the .aar into your app's libs/. LiteRT is in it; its classes are Kotlin's, and want "
            "kotlin-stdlib, which every app in Kotlin has:",
            "",
            f"{given} }}",
            "",
        ]
    return [
        "Or copy the .aar into your app's libs/. A file names no dependencies, so LiteRT is named beside it:",
        "",
        given,
        f"                   implementation '{COORDINATE}' }}",
        "",
    ]
