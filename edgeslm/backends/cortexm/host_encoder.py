"""A generated encoder on the host: the very C that goes to the board, as an engine of the device package's runner."""

from __future__ import annotations

import _ctypes
import ctypes
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.cortexm.host import compile_library
from edgeslm.backends.cortexm.packing import FIXED_ONE
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.errors import InternalError

IDS, MASK = "input_ids", "attention_mask"


class Described(Protocol):
    """What is known of an output; a -1 in its shape is the text's length."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


class HostEncoder:
    """An Engine (device/runner.py) of the generated encoder in `folder`. `outputs`: as in OnnxModel and ModelPart.

    Raises as HostLanguage does.
    """

    name = "cortexm on the host"

    def __init__(self, folder: Path, variant: Variant, outputs: Sequence[Described]) -> None:
        (self._output,) = outputs
        self._fixed = variant.fixed
        self._folder = Path(tempfile.mkdtemp(prefix="edgeslm-host-"))
        self._library: ctypes.CDLL | None = None
        try:
            self._library = ctypes.CDLL(str(compile_library(folder, variant, self._folder)))
        except BaseException:
            self.close()
            raise
        self._encode = self._library.edgeslm_host_encode
        self._encode.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p]

    def run(self, signature: str | None, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See Engine. What a runner padded is left out: the C has loops over the tokens there are."""
        ids = np.ascontiguousarray(real_ids(inputs), np.uint32)
        return {self._output.name: self.encode(ids, inputs[IDS].shape[1])}

    def encode(self, ids: NDArray[np.uint32], padded: int) -> NDArray[Any]:
        """Outputs as float32, in their shape for `padded` tokens: rows behind the text's are zeros."""
        shape = tuple(padded if extent == -1 else extent for extent in self._output.shape)
        reals = np.zeros(shape, np.int32 if self._fixed else np.float32)
        status = self._encode(ids.ctypes.data, ids.size, reals.ctypes.data)
        if status != 0:
            raise InternalError(f"the generated model refuses {ids.size} tokens: status {status}")
        made: NDArray[np.float32] = reals.astype(np.float32)
        return made / np.float32(FIXED_ONE) if self._fixed else made

    def close(self) -> None:
        """Unload the library and remove its folder."""
        library, self._library = self._library, None
        if library is not None:
            _ctypes.dlclose(library._handle)
        shutil.rmtree(self._folder, ignore_errors=True)


def real_ids(inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """(count): the text's tokens, without those that fill it up."""
    ids: NDArray[Any] = inputs[IDS][0]
    return ids[: int(inputs[MASK].sum())] if MASK in inputs else ids
