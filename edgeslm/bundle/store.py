"""A bundle's file: its name, what may lie in its way, and writing it whole or not at all."""

from __future__ import annotations

import filecmp
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from edgeslm.artifacts import Bundle, Checkpoint, CompiledModel, QuantPlan
from edgeslm.bundle.inspect import read_manifest
from edgeslm.bundle.manifest import MANIFEST, FilePart, GenerationPart, Manifest
from edgeslm.digest import file_digest
from edgeslm.errors import BundleError, StorageError
from edgeslm.formats.archive import open_archive, replacing, write_archive

SUFFIX = ".edgeslm"
TOKENIZER = "tokenizer/tokenizer.json"
CHAT_TEMPLATE = "tokenizer/chat_template.jinja"
MAX_NAME = 100


def bundle_path(out: Path, checkpoint: Checkpoint, plan: QuantPlan, *others: QuantPlan) -> Path:
    """MODEL-TARGET-SCHEME.edgeslm in folder `out`, the model's name reduced to what every shell and disk takes. A
    bundle of several schemes names them all: int8+fp32."""
    name = re.sub(r"[^A-Za-z0-9._]+", "-", checkpoint.name).strip(".-")[:MAX_NAME]
    schemes = "+".join(one.scheme for one in (plan, *others))
    return out / f"{name or 'model'}-{plan.target}-{schemes}{SUFFIX}"


def reject_existing(path: Path, checkpoint: Checkpoint, plan: QuantPlan, *, force: bool) -> None:
    """Say before a build, not after it, that something lies in its way.

    A bundle of the same checkpoint and plan does not: it may turn out to have the same bytes, and write_bundle
    looks. Raises BundleError, and StorageError where the folder cannot be one.
    """
    if path.parent.exists() and not path.parent.is_dir():
        raise StorageError(f"{path.parent} is no folder", "-o DIR names another")
    if path.is_dir():
        raise BundleError(f"a folder named {path} lies in the way", "move it away, or name another folder with -o DIR")
    if force or not (path.exists() or path.is_symlink()):
        return
    try:
        with open_archive(path) as archive:
            parents = read_manifest(archive).parents
    except BundleError:
        raise _in_the_way(path, "is no bundle that can be read") from None
    if parents.checkpoint != checkpoint.digest:
        raise _in_the_way(path, "was built from another checkpoint")
    if parents.plan != plan.digest:
        raise _in_the_way(path, "was built by another plan")


def store_bundle(path: Path, manifest: Manifest, members: Mapping[str, bytes | Path], *, force: bool) -> Bundle:
    """Write manifest and members to `path`. A file with other content is replaced with `force` only; raises
    BundleError when it is in the way, OSError when the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        write_archive(partial, {**members, MANIFEST: manifest.content})
        size = partial.stat().st_size
        if path.is_dir():
            raise BundleError(f"a folder named {path} lies in the way", "move it away")
        if path.exists() and not force:
            if not filecmp.cmp(partial, path, shallow=False):
                raise _in_the_way(path, "has other content")
            partial.unlink()
    return Bundle(path, manifest.digest, size)


def generation_part(checkpoint: Checkpoint, compiled: CompiledModel) -> GenerationPart | None:
    generation = checkpoint.generation
    if generation is None or compiled.language is None:
        return None
    return GenerationPart(
        context=compiled.language.context,
        bos=generation.bos,
        eos=generation.eos,
        add_bos=generation.add_bos,
        chat_template=CHAT_TEMPLATE if generation.chat_template else None,
        special=dict(generation.special),
    )


def file_part(content: bytes | Path) -> FilePart:
    if isinstance(content, bytes):
        return FilePart(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    return FilePart(sha256=file_digest(content), bytes=content.stat().st_size)


def _in_the_way(path: Path, why: str) -> BundleError:
    return BundleError(f"{path} is there already and {why}", "--force overwrites it; -o DIR writes to another folder")
