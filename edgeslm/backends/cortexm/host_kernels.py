"""The portable kernels compiled for the host: one object for every model of a kind of core, made once and kept."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

from edgeslm.backends.cortexm.variant import Variant
from edgeslm.cache import cache_folder, explain_full_disk
from edgeslm.digest import files_digest, json_digest
from edgeslm.template_folder import template_folder
from edgeslm.template_sources import belongs
from edgeslm.toolchain import find_tool, run_tool

COMPILER_HINT = "a C compiler of the host runs the model before a board does: apt install gcc"
FLAGS = ("-std=c11", "-O2", "-ffp-contract=off", "-fno-strict-aliasing", "-fPIC")
OBJECT = "kernels.o"


def find_host_compiler() -> Path:
    """Raises MissingToolError that names the package."""
    return find_tool("cc", COMPILER_HINT)


def host_kernels(variant: Variant, *, is_net: bool = False) -> Path:
    """The object of this kind of core, in the cache folder beside the stages: under the digest of the C, of the flags
    and of the compiler's version.

    Raises MissingToolError without a compiler, ToolFailedError with its log, StorageError on a full disk.
    """
    compiler, cache, sources = find_host_compiler(), cache_folder(), template_folder() / "kernels"
    with explain_full_disk(cache):
        cache.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".kernels-", dir=cache))
        try:
            version = run_tool([str(compiler), "--version"], work / "version").read_text()
            content = files_digest(sources, [path.name for path in sources.iterdir()])
            key = json_digest([content, version, FLAGS, variant.host_macros, is_net])
            place = cache / f"kernels-{key[:32]}"
            if not (place / OBJECT).exists():
                _compile(compiler, sources, variant, work, is_net=is_net)
                _put(work, place)
            os.utime(place)  # what the cache's pruning calls last used
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return place / OBJECT


def _compile(compiler: Path, folder: Path, variant: Variant, out: Path, *, is_net: bool) -> None:
    sources = [str(one) for one in sorted(folder.glob("*.c")) if belongs("kernels", one.name, is_net=is_net)]
    command = [str(compiler), *FLAGS, *variant.host_macros, "-r", "-nostdlib", f"-I{folder}", *sources]
    run_tool([*command, "-o", str(out / OBJECT)], out / "kernels.log", hint=f"the C is in {folder}")


def _put(work: Path, place: Path) -> None:
    try:
        work.rename(place)
    except OSError as error:  # another build was first: its object is as good
        if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
            raise
