"""A generated net on the host: the very C that goes to the board, compiled by the host's compiler into a library."""

from __future__ import annotations

import _ctypes
import ctypes
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.artifacts import TensorSpec
from edgeslm.backends.cortexm.host import compile_model
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.errors import InternalError


class HostNet:
    """The generated net in `folder`. `inputs` and `outputs`: as in CompiledModel.

    The library lives in a folder of its own until `close`. Raises MissingToolError without a compiler, ToolFailedError
    with its log where the generated C does not compile.
    """

    def __init__(
        self,
        folder: Path,
        variant: Variant,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
    ) -> None:
        self._inputs, self._outputs = inputs, outputs
        self._folder = Path(tempfile.mkdtemp(prefix="edgeslm-host-"))
        self._library: ctypes.CDLL | None = None
        try:
            self._library = ctypes.CDLL(str(compile_model(folder, variant, self._folder)))
        except BaseException:
            self.close()
            raise
        for name in ("input", "output"):
            function = getattr(self._library, f"edgeslm_net_{name}")
            function.argtypes, function.restype = [ctypes.c_uint32], ctypes.c_void_p

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Outputs by name. Raises InternalError where the net says no, as it does of an id that names no row."""
        status = self.try_run(inputs)
        if status != 0:
            raise InternalError(f"the generated net refuses its inputs: status {status}")
        return {spec.name: self._read(number, spec) for number, spec in enumerate(self._outputs)}

    def try_run(self, inputs: Mapping[str, NDArray[Any]]) -> int:
        """What edgeslm_net_run returns."""
        assert self._library is not None
        for number, spec in enumerate(self._inputs):
            given = np.ascontiguousarray(inputs[spec.name], spec.dtype)
            ctypes.memmove(self._library.edgeslm_net_input(number), given.ctypes.data, given.nbytes)
        return int(self._library.edgeslm_net_run())

    def _read(self, number: int, spec: TensorSpec) -> NDArray[Any]:
        assert self._library is not None
        made = np.zeros(spec.shape, spec.dtype)
        ctypes.memmove(made.ctypes.data, self._library.edgeslm_net_output(number), made.nbytes)
        return made

    def close(self) -> None:
        """Unload the library and remove its folder."""
        library, self._library = self._library, None
        if library is not None:
            _ctypes.dlclose(library._handle)
        shutil.rmtree(self._folder, ignore_errors=True)
