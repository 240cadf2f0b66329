"""Kernels compiled for the host and for emulated boards, and cases run through them: many in one run."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.cortexm.packing import Layout
from edgeslm.data_folder import alone
from edgeslm.firmware.image import FAST, HOT, MEANING, SMALL

HERE = Path(__file__).resolve().parent
KERNELS = HERE.parent.parent / "firmware_templates" / "kernels"

KERNELS_IN_ORDER = """
    quantize_row gemv_i8 gemv_i4 gemv_f32 gemv_i8_requant row_i8 row_i4 row_f32 rmsnorm layernorm rope_angles rope
    cache_and_attention add scale softmax silu_mul gelu_tanh_mul silu gelu_tanh gelu_erf tanh relu argmax attention
    nothing mul soft_cap quantize_static unit_norm pool linear_s8 matmul_s8 add_s8 sub_s8 squared_difference_s8 mul_s8
    softmax_s8 mean_s8 table_s8 gather copy fill_s8 to_s8 from_s8 cache_store
"""
KERNEL_IDS = {name: number for number, name in enumerate(KERNELS_IN_ORDER.split())}
"""As in cases.c."""

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wconversion"]
STRICT = ["-std=c11", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections"]


@dataclass(frozen=True)
class Board:
    """An emulated board, as far as kernels see it."""

    machine: str
    core: list[str]
    macros: list[str]
    layout: Layout
    flash: int = 0
    ram: int = 0x20000000
    tick_ns: float = 40.0
    """SysTick counts the core's clock; an instruction takes 1 ns of the emulator's time."""
    fixed: bool = False


_FPU4 = ["-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
_FPU5 = ["-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"]
_DSP = ["-DEDGESLM_LAYOUT=1", "-DEDGESLM_DSP=1"]
_MVE = ["-DEDGESLM_LAYOUT=2", "-DEDGESLM_MVE=1"]

BOARDS = {
    "m3": Board("mps2-an385", ["-mcpu=cortex-m3", "-mthumb"], ["-DEDGESLM_FIXED=1"], Layout.ROWS, fixed=True),
    "m4": Board("mps2-an386", ["-mcpu=cortex-m4", *_FPU4], _DSP, Layout.PAIRS),
    "m7": Board("mps2-an500", ["-mcpu=cortex-m7", *_FPU5], _DSP, Layout.PAIRS),
    "m33": Board("mps2-an505", ["-mcpu=cortex-m33", *_FPU5], _DSP, Layout.PAIRS, 0x10000000, 0x38000000, 50.0),
    "m55": Board(
        "mps3-an547", ["-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"], _MVE, Layout.VECTORS, tick_ns=31.25
    ),
}


@dataclass(frozen=True)
class Case:
    """A kernel's arguments: integers (floats go by their bits), and buffers; the first one comes back."""

    kernel: str
    arguments: Sequence[int]
    buffers: Sequence[bytes]
    repeats: int = 1
    expected: Any = field(default=None, compare=False)

    def encode(self) -> bytes:
        arguments = [argument & 0xFFFFFFFF for argument in self.arguments]
        words = [KERNEL_IDS[self.kernel], self.repeats, *arguments, *[0] * (9 - len(arguments)), len(self.buffers)]
        body = struct.pack(f"<{len(words)}I", *words)
        for buffer in self.buffers:
            body += struct.pack("<I", len(buffer)) + buffer + bytes(-len(buffer) % 4)
        return struct.pack("<I", len(body)) + body


@dataclass(frozen=True)
class Result:
    """What a kernel left in its first buffer, and the ticks of all repeats."""

    data: bytes
    ticks: int

    def floats(self) -> NDArray[np.float32]:
        return np.frombuffer(self.data, np.float32)

    def integers(self) -> NDArray[np.int32]:
        return np.frombuffer(self.data, np.int32)


def bits(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


def compiler_version() -> str:
    return subprocess.run(
        ["arm-none-eabi-gcc", "-dumpfullversion"], capture_output=True, text=True, check=True
    ).stdout.strip()


def build_host(folder: Path, layout: Layout, *, fixed: bool = False, macros: Sequence[str] = ()) -> Path:
    """The portable C under the sanitizers."""
    program = folder / f"host-{layout.name.lower()}{'-fixed' * fixed}"
    macros = [f"-DEDGESLM_LAYOUT={int(layout)}", f"-DEDGESLM_FIXED={int(fixed)}", *macros]
    sanitizers = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [HERE / "cases.c", HERE / "cases_host.c", *sorted(KERNELS.glob("*.c"))]
    _run(["cc", *STRICT, *WARNINGS, *sanitizers, *macros, f"-I{KERNELS}", *map(str, sources), "-o", str(program)])
    return program


def build_board(folder: Path, name: str) -> Path:
    """The kernels as a board runs them: its assembly, its flags."""
    board = BOARDS[name]
    program = folder / f"{name}.elf"
    sources = [HERE / "cases.c", HERE / "cases_board.c", *sorted(KERNELS.glob("*.c")), *sorted(KERNELS.glob("*.S"))]
    _link(board, [*WARNINGS, f"-I{KERNELS}"], sources, program)
    return program


@dataclass(frozen=True)
class Programs:
    """Both in a folder, where the first one who asks makes them."""

    folder: Path

    def host(self, layout: Layout, *, fixed: bool = False) -> Path:
        return self._made(
            f"host-{layout.name.lower()}{'-fixed' * fixed}", lambda: build_host(self.folder, layout, fixed=fixed)
        )

    def board(self, name: str) -> Path:
        return self._made(f"{name}.elf", lambda: build_board(self.folder, name))

    def _made(self, name: str, build: Callable[[], Path]) -> Path:
        done = self.folder / f"{name}.done"
        with alone(self.folder / name):
            if not done.exists():
                build()
                done.touch()
        return self.folder / name


def build_timed_board(folder: Path, name: str) -> Path:
    """The same, compiled as images of most models are: for speed what is hot, for size what is not, and for rows of a
    multiple of 4."""
    board, program, objects = BOARDS[name], folder / f"{name}-image.elf", []
    macros = [*board.macros, "-DEDGESLM_FOURS=1"]
    for source in [
        HERE / "cases.c",
        HERE / "cases_board.c",
        *sorted(KERNELS.glob("*.c")),
        *sorted(KERNELS.glob("*.S")),
    ]:
        objects.append(folder / f"{name}-{source.name}.o")
        flags = [*board.core, *STRICT, *MEANING, *macros, *WARNINGS, f"-I{KERNELS}"]
        flags += FAST if source.name in HOT else SMALL
        _run(["arm-none-eabi-gcc", *flags, "-c", str(source), "-o", str(objects[-1])])
    _link(board, [], objects, program)
    return program


def _link(board: Board, flags: Sequence[str], sources: Sequence[Path], program: Path) -> None:
    places = [f"-Wl,--defsym=FLASH={board.flash:#x}", f"-Wl,--defsym=RAM={board.ram:#x}", "-Wl,--gc-sections"]
    link = ["-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", *places, "-T", str(HERE / "cases.ld")]
    compile_flags = [*board.core, *STRICT, "-O2", *board.macros, *flags]
    _run(["arm-none-eabi-gcc", *compile_flags, *map(str, sources), *link, "-o", str(program)])


def build_model(folder: Path, name: str, model: Path) -> Path:
    """steps.c with the generated model in folder `model`, for a board."""
    board, program = BOARDS[name], folder / f"{name}.elf"
    sources = [HERE / "steps.c", HERE / "cases_board.c", *model.glob("model_[sw]*.c"), *KERNELS.glob("*.[cS]")]
    includes = [f"-I{place}" for place in (model, KERNELS.parent / "model", KERNELS)]
    _link(board, [*WARNINGS, "-fno-strict-aliasing", *includes], sources, program)
    return program


def run_model(program: Path, name: str, tokens: Sequence[int], folder: Path) -> bytes:
    """Logits of each token, as the board has them."""
    (folder / "cases.bin").write_bytes(struct.pack(f"<{len(tokens)}I", *tokens))
    _emulate(program, name, folder)
    return (folder / "results.bin").read_bytes()


def run_host(program: Path, cases: Sequence[Case], folder: Path) -> list[Result]:
    (folder / "cases.bin").write_bytes(b"".join(case.encode() for case in cases))
    _run([str(program), "cases.bin", "results.bin"], cwd=folder)
    return list(_decode((folder / "results.bin").read_bytes()))


def run_board(program: Path, name: str, cases: Sequence[Case], folder: Path, *, count: bool = False) -> list[Result]:
    """`count`: an instruction takes 1 ns of emulated time, so that ticks count them; slower."""
    (folder / "cases.bin").write_bytes(b"".join(case.encode() for case in cases))
    _emulate(program, name, folder, ["-icount", "shift=0"] if count else [])
    return list(_decode((folder / "results.bin").read_bytes()))


def _emulate(program: Path, name: str, folder: Path, options: Sequence[str] = ()) -> None:
    command = ["qemu-system-arm", "-M", BOARDS[name].machine, "-display", "none", "-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(program), *options]
    _run(command, cwd=folder)


def _decode(answer: bytes) -> Iterator[Result]:
    place = 0
    while place < len(answer):
        ticks, size = struct.unpack_from("<II", answer, place)
        yield Result(answer[place + 8 : place + 8 + size], ticks)
        place += 8 + size


def _run(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{command[0]} ended with {done.returncode}: {' '.join(command)}\n{done.stdout}{done.stderr}"
        )
