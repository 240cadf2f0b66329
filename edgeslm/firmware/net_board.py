"""A board with a net, as an engine of the device package's runner: numbers go to it and come from it, in parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.bundle.manifest import ModelPart
from edgeslm.errors import DeviceError
from edgeslm.firmware.board import Board
from edgeslm.firmware.wire import Frame, request

HEAD = 8
"""Bytes before the numbers in a frame: which input or output, from which byte on."""


@dataclass(frozen=True)
class Ran:
    """Ticks of a run, and of each step where that was asked for; bytes of stack that were ever used."""

    ticks: int
    steps: tuple[int, ...]
    stack_used: int


class BoardNet:
    """An Engine (device/runner.py) over a board whose firmware is a net's."""

    name = "firmware on a board"

    def __init__(self, board: Board, model: ModelPart) -> None:
        self._board = board
        self._model = model

    def run(self, signature: str | None, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See Engine. Raises ConfigError for an id that names no row, and what Board raises."""
        self.measure(inputs)
        return {
            part.name: self._read(number, np.dtype(part.dtype), part.shape)
            for number, part in enumerate(self._model.outputs)
        }

    def measure(self, inputs: Mapping[str, NDArray[Any]], *, by_step: bool = False) -> Ran:
        """What a run on these inputs takes; its outputs are there afterwards."""
        for number, part in enumerate(self._model.inputs):
            self._write(number, np.ascontiguousarray(inputs[part.name], part.dtype).tobytes())
        ticks: list[int] = []
        for frame in self._board.follow(request("X" if by_step else "R"), "running"):
            if frame.type == "x":
                step, taken = frame.words(2)
                self._board.require_in_order(step, len(ticks))
                ticks.append(taken)
            elif frame.type == "d":
                steps, whole, stack = frame.words(3)
                self._board.require_in_order(len(ticks) if by_step else steps, steps)
                return Ran(whole, tuple(ticks), stack)
        raise DeviceError("the board ended a run without saying how", "flash the bundle's firmware.bin again")

    def close(self) -> None:
        """The board goes on."""

    def _write(self, number: int, content: bytes) -> None:
        for start, count in self._parts(len(content)):
            asked = request("I", number, start)
            told = self._board.ask(Frame("I", asked.payload + content[start : start + count]), "i")
            if told.words(3) != (number, start, count):
                raise DeviceError("the board took other numbers than it was given", "reset it, then ask again")

    def _read(self, number: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        content = bytearray(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        for start, count in self._parts(len(content)):
            told = self._board.ask(request("V", number, start, count), "v")
            if told.words(2) != (number, start) or len(told.text(2)) != count:
                raise DeviceError("the board told other numbers than it was asked for", "reset it, then ask again")
            content[start : start + count] = told.text(2)
        return np.frombuffer(bytes(content), dtype).reshape(shape)

    def _parts(self, size: int) -> Iterator[tuple[int, int]]:
        """Where parts begin that frames take, and how long they are."""
        most = self._board.hello.most_payload - HEAD
        return ((start, min(most, size - start)) for start in range(0, size, most))
