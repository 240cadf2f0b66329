"""Single kernels measured on a microcontroller: firmware that has them all, and a board that runs one after another."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeslm.artifacts import Bundle
from edgeslm.backends.cortexm.variant import choose_variant
from edgeslm.bundle.firmware import Built
from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.bundle.kernels import write_board_kernels
from edgeslm.cost.points import KernelPoint, Points
from edgeslm.errors import ConnectionLostError, DeviceError, ProbeTimeoutError, UnfitDeviceError, UnsupportedError
from edgeslm.firmware.board import Board
from edgeslm.firmware.image import STACK_BYTES
from edgeslm.firmware.kernel_image import KernelRoom, build_kernel_image, kernel_room
from edgeslm.firmware.open_board import open_board
from edgeslm.firmware.qemu import instructions, is_emulated
from edgeslm.firmware.wire import request as frame_of
from edgeslm.probe.board_grid import BoardCase, Content, GridPoint, board_grid
from edgeslm.probe.firmware_counts import counts_notes, counts_of, uncounted
from edgeslm.probe.settings import Event
from edgeslm.target import Target

if TYPE_CHECKING:
    from edgeslm.probe.kernel_run import Announce

TRIES = 3
"""Of a kernel whose answer was damaged on the way."""
MOST_TICKS = 1 << 26
"""Of one kernel's runs together, so that no board is silent for long: 4 s at 16 MHz."""


def require_profiled(target: Target) -> None:
    """Raises UnsupportedError for a microcontroller whose kernels are not measured one by one."""
    if choose_variant(target.cpu.isa).fixed:
        raise UnsupportedError(
            f"{target.name} has a {target.cpu.core}, which computes with fixed-point numbers: its kernels are not "
            "measured one by one",
            "edgeslm probe --via serial:PORT measures cycles of a bundle",
        )


def write_kernel_firmware(target: Target, out: Path) -> Bundle:
    """Build the image that measures kernels, and write it to `out` as a bundle that `edgeslm flash` takes.

    Raises UnsupportedError, MissingToolError without a compiler, DoesNotFitError, and StorageError.
    """
    require_profiled(target)
    with tempfile.TemporaryDirectory(prefix="edgeslm-kernels-") as folder:
        image = build_kernel_image(target, _room(target, _grid(target)), Path(folder))
        built = Built(
            root=image.elf.parent,
            flash=image.memory.flash,
            ram=image.memory.ram,
            stack_bytes=STACK_BYTES,
            compiler=image.compiler,
            digest=image.digest,
            presets="",
            emulated=is_emulated(target),
        )
        return write_board_kernels(built, target, out)


def measure_board_kernels(target: Target, via: str, rounds: int, announce: Announce) -> tuple[Points, str]:
    """What each kernel of the grid costs on the board, and the compiler of its image. `via`: "qemu" or
    "serial:PORT[:BAUD]".

    The image is built here once more, to know what the board has to run: the same compiler gives the same bytes.
    Raises UnfitDeviceError where it runs another one, DeviceError where it has no times to tell, and what `open_board`
    raises; where the board is lost midway, the same with how far it came.
    """
    with tempfile.TemporaryDirectory(prefix="edgeslm-kernels-") as folder:
        bundle = Path(folder) / "kernels.edgeslm"
        with announce("build the firmware"):
            write_kernel_firmware(target, bundle)
        return measure_bundle(bundle, via, rounds, announce)


def measure_bundle(bundle: Path, via: str, rounds: int, announce: Announce) -> tuple[Points, str]:
    """The same for a bundle that `write_kernel_firmware` wrote."""
    manifest = inspect_bundle(bundle).manifest
    target = manifest.target
    assert manifest.firmware is not None
    where = f"an emulated {target.name}" if via == "qemu" else via
    try:
        with announce(f"measure on {where}"), open_board(bundle, manifest, via, of_kernels=True) as board:
            return measure_grid(board, target, rounds), manifest.firmware.compiler
    except UnfitDeviceError as error:
        again = f"edgeslm profile-target --target {target.name} --firmware F writes it, edgeslm flash F flashes it"
        raise UnfitDeviceError(error.message, again) from None


def measure_grid(board: Board, target: Target, rounds: int) -> Points:
    """Every kernel that the target has room for. Raises as `measure_board_kernels` does."""
    grid = _fitting(_grid(target), _room(target, _grid(target)))
    emulated = board.hello.emulated
    if emulated and len({_run(board, grid[0].case, 1) for _ in range(2)}) > 1:
        raise uncounted()
    began = time.monotonic()
    ticks, counted = _all_ticks(board, [one for point in grid for one in (point.case, point.less)], rounds)
    told: Event = {"emulated": emulated, "clock_hz": board.hello.clock_hz, "ticks": board.hello.ticks}
    end: Event = {"counted": counted, "elapsed_s": time.monotonic() - began}
    clock = counts_of(told, end).clock_hz
    if not emulated and not clock:
        why = counts_notes(told, end, target.cpu.clock_mhz)[-1]
        raise DeviceError(f"the kernels have no times: {why}", "edgeslm probe counts a model's cycles")
    points = []
    for point in grid:
        taken = max(ticks[_key(point.case)] - ticks[_key(point.less)], 0.0)
        cost = taken * 1e3 / clock if clock else taken * instructions(target, 1000) / 1000
        points.append(KernelPoint(point.call, point.precision, point.group, point.held_out, cost))
    device = f"qemu-system-arm, {target.cpu.core}" if emulated else f"{target.title}, {clock / 1e6:g} MHz"
    return Points(
        core=target.cpu.core,
        unit="instructions" if emulated else "ms",
        device=device,
        emulated=emulated,
        throttled=False,
        empty=0.0,
        operator=0.0,
        points=tuple(points),
    )


def _all_ticks(board: Board, cases: Iterable[BoardCase], rounds: int) -> tuple[dict[object, float], int]:
    """The mean ticks of each case's runs, and those of all together."""
    wanted = {_key(case): case for case in cases}
    found: dict[object, float] = {}
    counted = 0
    for key, case in wanted.items():
        try:
            runs, taken = _run(board, case, rounds)
        except DeviceError as error:
            far = f"{len(found)} of {len(wanted)} kernels were measured"
            raise type(error)(f"{far}; then {error.message}", error.hint) from None
        found[key] = taken / runs
        counted += taken
    return found, counted


def _run(board: Board, case: BoardCase, rounds: int) -> tuple[int, int]:
    """How often it was run, and the ticks of all runs. It may be asked for again: nothing is changed by it."""
    kernel, rest = case.words
    for _ in range(TRIES):
        try:
            *_, done = board.follow(frame_of("K", *kernel, rounds, MOST_TICKS, *rest), "measuring")
        except (ConnectionLostError, ProbeTimeoutError):
            raise
        except DeviceError as error:
            failed = error
        else:
            runs, taken, _, _ = done.words(4)
            return max(runs, 1), taken
    raise failed


def _key(case: BoardCase) -> object:
    return case.kernel, tuple(case.arguments), tuple(case.buffers)


def _grid(target: Target) -> list[GridPoint]:
    return board_grid(choose_variant(target.cpu.isa).layout)


def _room(target: Target, grid: Sequence[GridPoint]) -> KernelRoom:
    """What the largest cases take, or as much as there is."""
    needs = [_need(point) for point in grid]
    return kernel_room(target, max(flash for flash, _ in needs), max(ram for _, ram in needs))


def _fitting(grid: Sequence[GridPoint], room: KernelRoom) -> list[GridPoint]:
    return [point for point in grid if _need(point)[0] <= room.flash and _need(point)[1] <= room.ram]


def _need(point: GridPoint) -> tuple[int, int]:
    """Bytes of flash and of RAM, buffers rounded up as the board does; of several matrices the largest counts."""
    flash = max((size for content, size in point.case.buffers if content is Content.WEIGHTS), default=0)
    ram = sum(-(-size // 16) * 16 for content, size in point.case.buffers if content is not Content.WEIGHTS)
    return flash, ram
