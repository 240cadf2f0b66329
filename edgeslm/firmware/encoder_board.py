"""A board with an encoder, as an engine of the device package's runner: texts go to it, and it makes tokens of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.bundle.manifest import ModelPart
from edgeslm.errors import DeviceError, InternalError
from edgeslm.firmware.board import CABLE, Board
from edgeslm.firmware.told import Outputs

if TYPE_CHECKING:
    from edgeslm.target import Target

IDS = "input_ids"
FIXED_ONE = 1 << 16
"""1.0 on a core without an FPU."""


class BoardEncoder:
    """An Engine (device/runner.py). `texts`: the text that each row of ids came from; `wanted`: the id whose tokens'
    outputs are asked for, None for all. Others are zeros."""

    name = "firmware on a board"

    def __init__(
        self,
        board: Board,
        model: ModelPart,
        target: Target,
        text_of: Callable[[tuple[int, ...]], str],
        wanted: int | None = None,
    ) -> None:
        (self._output,) = model.outputs
        self._board = board
        self._fixed = "fpu" not in target.cpu.isa
        self._text_of = text_of
        self._wanted = wanted

    def run(self, signature: str | None, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See Engine. Raises DeviceError where the board makes other tokens of the text than the bundle's tokenizer."""
        padded = inputs[IDS].shape[1]
        count = int(inputs["attention_mask"].sum()) if "attention_mask" in inputs else padded
        ids = tuple(int(one) for one in inputs[IDS][0][:count])
        told = self._board.encode(self._text_of(ids), self._wanted)
        if told.ids != ids:
            raise DeviceError(
                f"the board makes {len(told.ids)} tokens of a text, and the bundle's tokenizer {len(ids)} others",
                "flash the bundle's firmware.bin again",
            )
        shape = tuple(padded if extent == -1 else extent for extent in self._output.shape)
        rows = np.zeros((int(np.prod(shape[:-1])), shape[-1]), np.float32)
        self._require_whole(told, -1 in self._output.shape, shape[-1])
        for token, start, reals in self._reals(told):
            if token >= len(rows) or start + reals.size > rows.shape[1]:
                raise InternalError(f"the board tells {reals.size} outputs of token {token} from {start} on")
            rows[token, start : start + reals.size] = reals
        return {self._output.name: rows.reshape(shape)}

    def _require_whole(self, told: Outputs, each: bool, outputs: int) -> None:
        """Raises DeviceError where an output is missing: what was lost must not become a zero."""
        wanted = [t for t, token in enumerate(told.ids) if self._wanted in (None, token)] if each else [0]
        places = {(token, start + place) for token, start, part in told.rows for place in range(len(part) // 4)}
        if places != {(token, place) for token in wanted for place in range(outputs)}:
            raise DeviceError("outputs of the board's answer were lost on the way", CABLE)

    def _reals(self, told: Outputs) -> list[tuple[int, int, NDArray[np.float32]]]:
        kind = "<i4" if self._fixed else "<f4"
        scale = np.float32(FIXED_ONE if self._fixed else 1)
        return [
            (token, start, np.frombuffer(part, kind).astype(np.float32) / scale) for token, start, part in told.rows
        ]

    def close(self) -> None:
        """The board goes on."""
