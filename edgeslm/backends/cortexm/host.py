"""A generated model on the host: the very C that goes to the board, compiled by the host's compiler into a library.

Kernels give the same bits everywhere, so what is scored here is what a board computes.
"""

from __future__ import annotations

import _ctypes
import ctypes
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.cortexm.packing import FIXED_ONE
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.errors import InternalError
from edgeslm.template_folder import template_folder
from edgeslm.template_sources import belongs
from edgeslm.toolchain import find_tool, run_tool

COMPILER_HINT = "a C compiler of the host runs the model before a board does: apt install gcc"
FLAGS = ("-std=c11", "-O2", "-ffp-contract=off", "-fno-strict-aliasing", "-fPIC")


class HostLanguage:
    """A LanguageEngine (device/language.py) of the generated model in `folder`.

    The library lives in a folder of its own until `close`. Raises MissingToolError without a compiler, ToolFailedError
    with its log where the generated C does not compile.
    """

    name = "cortexm on the host"

    def __init__(
        self, folder: Path, variant: Variant, context: int, vocabulary: int, kernels: Path | None = None
    ) -> None:
        self.context = context
        self.vocabulary = vocabulary
        self._fixed = variant.fixed
        self._folder = Path(tempfile.mkdtemp(prefix="edgeslm-host-"))
        self._library: ctypes.CDLL | None = None
        try:
            library = compile_library(folder, variant, self._folder, kernels)
            self._library = ctypes.CDLL(str(library))
        except BaseException:
            self.close()
            raise
        self._enter = self._library.edgeslm_host_enter
        self._enter.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p]
        self._logits: NDArray[Any] = np.zeros(vocabulary, np.int32 if self._fixed else np.float32)

    def prefill(self, tokens: NDArray[np.int32], position: int) -> NDArray[np.float32]:
        """See LanguageEngine."""
        entered = np.ascontiguousarray(tokens, np.int32)
        status = self._enter(entered.ctypes.data, entered.size, position, self._logits.ctypes.data)
        if status != 0:
            raise InternalError(f"the generated model refuses {entered.size} tokens at {position}: status {status}")
        if not self._fixed:
            return self._logits
        reals: NDArray[np.float32] = self._logits.astype(np.float32) / np.float32(FIXED_ONE)
        return reals

    def step(self, token: int, position: int) -> NDArray[np.float32]:
        """See LanguageEngine."""
        return self.prefill(np.array([token], np.int32), position)

    def close(self) -> None:
        """Unload the library and remove its folder."""
        library, self._library = self._library, None
        if library is not None:
            _ctypes.dlclose(library._handle)
        shutil.rmtree(self._folder, ignore_errors=True)


def compile_library(folder: Path, variant: Variant, out: Path, kernels: Path | None = None) -> Path:
    """`out`/model.so of the generated C in `folder`, with `kernels` of `compile_kernels` where they are there."""
    return compile_model(folder, variant, out, kernels, template_folder() / "host" / "edgeslm_library.c")


def compile_model(folder: Path, variant: Variant, out: Path, kernels: Path | None = None, *more: Path) -> Path:
    """The same with what `more` files call of it; without any, of what the generated C itself offers."""
    kernels = kernels or compile_kernels(variant, out, is_net=not more)
    templates, library = template_folder(), out / "model.so"
    includes = [f"-I{place}" for place in (folder, templates / "model", templates / "kernels")]
    sources = [*sorted(folder.glob("*.c")), *more]
    command = [_compiler(), *FLAGS, *variant.host_macros, "-shared", *includes, *map(str, sources), str(kernels)]
    run_tool([*command, "-o", str(library), "-lm"], out / "compile.log", hint=f"the C is in {folder}")
    return library


def compile_kernels(variant: Variant, out: Path, *, is_net: bool = False) -> Path:
    """`out`/kernels.o: the portable kernels in one object, the same for every model of this kind of core."""
    made, folder = out / "kernels.o", template_folder() / "kernels"
    sources = [str(one) for one in sorted(folder.glob("*.c")) if belongs("kernels", one.name, is_net=is_net)]
    command = [_compiler(), *FLAGS, *variant.host_macros, "-r", "-nostdlib", f"-I{folder}", *sources]
    run_tool([*command, "-o", str(made)], out / "kernels.log", hint=f"the C is in {folder}")
    return made


def find_host_compiler() -> Path:
    """Raises MissingToolError that names the package."""
    return find_tool("cc", COMPILER_HINT)


def _compiler() -> str:
    return str(find_host_compiler())
