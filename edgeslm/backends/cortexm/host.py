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

from edgeslm.backends.cortexm.host_kernels import FLAGS, find_host_compiler, host_kernels
from edgeslm.backends.cortexm.packing import FIXED_ONE
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.errors import InternalError
from edgeslm.template_folder import template_folder
from edgeslm.toolchain import run_tool


class HostLanguage:
    """A LanguageEngine (device/language.py) of the generated model in `folder`.

    The library lives in a folder of its own until `close`. Raises MissingToolError without a compiler, ToolFailedError
    with its log where the generated C does not compile.
    """

    name = "cortexm on the host"

    def __init__(self, folder: Path, variant: Variant, context: int, vocabulary: int) -> None:
        self.context = context
        self.vocabulary = vocabulary
        self._fixed = variant.fixed
        self._folder = Path(tempfile.mkdtemp(prefix="edgeslm-host-"))
        self._library: ctypes.CDLL | None = None
        try:
            library = compile_library(folder, variant, self._folder)
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


def compile_library(folder: Path, variant: Variant, out: Path) -> Path:
    """`out`/model.so of the generated C in `folder`."""
    return compile_model(folder, variant, out, template_folder() / "host" / "edgeslm_library.c")


def compile_model(folder: Path, variant: Variant, out: Path, *more: Path) -> Path:
    """The same with what `more` files call of it; without any, of what the generated C itself offers."""
    kernels = host_kernels(variant, is_net=not more)
    templates, library = template_folder(), out / "model.so"
    includes = [f"-I{place}" for place in (folder, templates / "model", templates / "kernels")]
    sources = [*sorted(folder.glob("*.c")), *more]
    compiler = str(find_host_compiler())
    command = [compiler, *FLAGS, *variant.host_macros, "-shared", *includes, *map(str, sources), str(kernels)]
    run_tool([*command, "-o", str(library), "-lm"], out / "compile.log", hint=f"the C is in {folder}")
    return library
