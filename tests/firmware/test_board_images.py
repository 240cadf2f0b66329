"""Images of boards that nothing here executes: linked, fitted, and laid out as the chip's ROM and core read them."""

from __future__ import annotations

import re
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.errors import DoesNotFitError, InternalError, TargetError
from edgeslm.firmware.boot2 import checked, crc32_of_rom
from edgeslm.firmware.image import STACK_BYTES, Image, build_image
from edgeslm.firmware.qemu import is_emulated
from edgeslm.target import Target, list_targets, load_target
from tests.firmware.fake_chips import StartUp
from tests.firmware.host_program import require_tool
from tests.firmware.language_images import MODEL, StoriesImages
from tests.firmware.stub_bundle import make_stub, stub_answer, write_stub_bundle

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "firmware_templates" / "model" / "sample"
BOARDS = [target.name for target in list_targets() if target.firmware and not is_emulated(target)]
START, END = 0xFFFFDED3, 0xAB123579
"""Markers of a block of RP2350's: data sheet 5.9.1."""


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    return make_stub(tmp_path_factory.mktemp("stub") / "model")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, stub: Path) -> dict[str, Image]:
    """The sample, whose weights are floats; on a core without floats the stub, which has none."""
    return {
        name: build_image(target, SAMPLE if "fpu" in target.cpu.isa else stub, tmp_path_factory.mktemp(name))
        for name in BOARDS
        for target in [load_target(name)]
    }


def words_of(content: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(content) // 4}I", content[: len(content) // 4 * 4]))


def vectors_at(target: Target) -> int:
    assert target.firmware is not None
    return 256 if target.firmware.chip == "rp2040" else 0


def test_the_boards_of_silicon_are_these() -> None:
    named = {"nucleo-f446re", "nucleo-h743zi", "nucleo-u575zi-q", "nucleo-g0b1re", "rpi-pico", "rpi-pico2"}
    assert set(BOARDS) == named


@pytest.mark.parametrize("name", BOARDS)
def test_an_image_fits_and_begins_as_its_core_wants_it(name: str, images: dict[str, Image]) -> None:
    target, image = load_target(name), images[name]
    firmware = target.firmware
    assert firmware is not None
    content = image.binary.read_bytes()
    assert len(content) == image.memory.flash_bytes <= 1024 * target.memory.storage_kib
    assert image.memory.ram_bytes <= 1024 * target.memory.ram_kib
    stack, *entries = words_of(content[vectors_at(target) :])[:16]
    assert stack == firmware.ram_origin + STACK_BYTES
    for place, entry in enumerate(entries, 1):
        if place in (7, 8, 9, 10, 13):
            continue  # reserved by the architecture, or a fault that this core has not
        assert entry & 1, "no Thumb address"
        assert firmware.flash_origin < entry < firmware.flash_origin + len(content)
    assert entries[14] not in entries[:14]  # SysTick's


def test_rp2040s_rom_takes_the_loader(images: dict[str, Image]) -> None:
    content = images["rpi-pico"].binary.read_bytes()
    program, told = content[:252], int.from_bytes(content[252:256], "little")
    assert crc32_of_rom(program) == told
    assert program.rstrip(b"\0")
    assert any(content[256:])


def reflected(content: bytes) -> bytes:
    return bytes(int(f"{byte:08b}"[::-1], 2) for byte in content)


@given(st.binary(max_size=300))
def test_the_checksum_is_a_crc32_of_the_other_order(content: bytes) -> None:
    """zlib's takes the bits of a byte from the other end, and inverts its answer."""
    other = zlib.crc32(reflected(content)) ^ 0xFFFFFFFF
    assert crc32_of_rom(content) == int(f"{other:032b}"[::-1], 2)


def test_the_checksum_is_the_known_one() -> None:
    assert crc32_of_rom(b"123456789") == 0x0376E6E7  # CRC-32/MPEG-2 of the catalogue of parametrised CRC algorithms
    assert checked(b"\1")[:252] == b"\1" + bytes(251)
    with pytest.raises(InternalError, match="room for 252"):
        checked(bytes(253))


class FakeFlash:
    """RP2040's SSI (data sheet 4.10) and a flash of Winbond's behind it (W25Q16JV's data sheet, 8.2).

    `four_lines`: of the flash's status, kept over resets. `reading`: what the bus gets by memory reads.
    """

    def __init__(self, *, four_lines: bool) -> None:
        self.four_lines, self.may_write, self.busy = four_lines, False, 0
        self.registers: dict[int, int] = {}
        self.sent: list[int] = []
        self.answers: list[int] = []
        self.continuous = False
        self.status_writes = 0

    def write(self, address: int, value: int) -> None:
        offset = address - 0x18000000
        if offset in (0x00, 0x04, 0x14, 0xF4):
            assert self.registers.get(0x08) == 0, "the interface is set up while it is on"
        if offset == 0x08:
            self._end_of_command()
        if offset == 0x60:
            self._take(value)
        self.registers[offset] = value

    def read(self, address: int) -> int:
        offset = address - 0x18000000
        if offset == 0x28:
            done = not self.sent or self._whole()
            if done:
                self._end_of_command()
            return 1 << 2 if done else 1
        if offset == 0x60:
            return self.answers.pop(0)
        return self.registers.get(offset, 0)

    def _whole(self) -> bool:
        quad = self.registers[0x00] >> 21 & 3 == 2
        return len(self.sent) >= (2 if quad else {0x06: 1, 0x01: 3, 0x05: 2, 0x35: 2}[self.sent[0]])

    def _take(self, value: int) -> None:
        assert self.registers[0x08] == 1, "the interface is off"
        self.sent.append(value)
        if self.registers[0x00] == 7 << 16:  # 8 bits, both ways: an answer for each byte
            status = int(self.busy > 0) if self.sent[0] == 0x05 else 2 * self.four_lines
            self.answers.append(status if len(self.sent) == 2 and self.sent[0] in (0x05, 0x35) else 0)
            if len(self.sent) == 2 and self.sent[0] == 0x05:
                self.busy -= 1

    def _end_of_command(self) -> None:
        sent, self.sent = self.sent, []
        if not sent:
            return
        if sent == [0x06]:
            self.may_write = True
        elif sent[0] == 0x01:
            assert self.may_write
            assert self.busy <= 0
            self.four_lines, self.may_write, self.busy = bool(sent[2] & 2), False, 3
            self.status_writes += 1
        elif sent[0] == 0xEB:
            assert self.four_lines, "four lines are used, and the flash has two"
            assert self.registers[0xF4] == 8 << 2 | 4 << 11 | 2 << 8 | 1  # command on one line, address on four
            assert self.registers[0x00] == 31 << 16 | 2 << 21 | 3 << 8
            self.continuous = sent[1] & 0xF0 == 0xA0


@pytest.mark.parametrize("four_lines", [False, True])
def test_the_loader_makes_flash_readable(four_lines: bool, tmp_path: Path) -> None:
    flash = FakeFlash(four_lines=four_lines)
    StartUp(load_target("rpi-pico"), tmp_path, boot2=True).call("edgeslm_boot2", flash.read, flash.write)
    assert flash.four_lines
    assert flash.busy <= 0
    assert flash.status_writes == int(not four_lines)  # its cells wear out
    assert flash.continuous
    assert flash.registers[0x08] == 1
    # The bus's reads: an address and the mode bits on four lines, no command, 4 clocks of waiting, a word.
    assert flash.registers[0xF4] == 0xA0 << 24 | 4 << 11 | 0 << 8 | 8 << 2 | 2
    assert flash.registers[0x00] == 31 << 16 | 2 << 21 | 3 << 8
    assert flash.registers[0x04] == 0
    assert flash.registers[0x14] % 2 == 0
    assert 133 / flash.registers[0x14] <= 104  # MHz, of the flash


def blocks_of(content: bytes) -> list[tuple[int, list[tuple[int, list[int]]], int]]:
    """Blocks of RP2350's in this memory: where, the items (type, words), the pointer to the next (data sheet 5.9.1)."""
    words, found = words_of(content), []
    for place, word in enumerate(words):
        if word != START:
            continue
        items, at = list[tuple[int, list[int]]](), place + 1
        while words[at] & 0xFF != 0xFF:
            size = words[at] >> 8 & 0xFF
            items.append((words[at] & 0x7F, words[at : at + size]))
            at += size
        assert words[at] >> 8 & 0xFFFF == at - place - 1  # the last item tells the size of the others
        assert words[at + 2] == END
        found.append((4 * place, items, words[at + 1]))
    return found


def test_rp2350s_rom_finds_one_image(images: dict[str, Image]) -> None:
    content = images["rpi-pico2"].binary.read_bytes()
    ((place, items, following),) = blocks_of(content[:4096])
    assert place % 4 == 0
    assert following == 0  # to itself: the loop is closed
    ((kind, words),) = items
    assert (kind, len(words)) == (0x42, 1)
    flags = words[0] >> 16
    assert flags & 0xF == 1  # executable
    assert flags >> 4 & 3 == 2  # secure
    assert flags >> 8 & 7 == 0  # Arm
    assert flags >> 12 & 7 == 1  # RP2350
    assert flags >> 15 == 0  # for good, not on trial


def test_cmake_makes_the_same_loader(tmp_path: Path) -> None:
    """The bundle's own project, with CMake's arithmetic instead of Python's; and the bundle says what it is."""
    for tool, package in (("cmake", "cmake"), ("ninja", "ninja-build"), ("arm-none-eabi-gcc", "gcc-arm-none-eabi")):
        require_tool(tool, package)
    bundle = write_stub_bundle("rpi-pico", tmp_path / "bundle").path
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path / "project")
    for command in (["--preset", "rpi-pico", "-G", "Ninja"], ["--build", "--preset", "rpi-pico"]):
        done = subprocess.run(
            ["cmake", *command], cwd=tmp_path / "project", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    made = (tmp_path / "project" / "build" / "rpi-pico" / "firmware.bin").read_bytes()
    shipped = (tmp_path / "project" / "firmware" / "firmware.bin").read_bytes()
    assert made[:256] == shipped[:256]
    assert len(made) == len(shipped)
    told = (tmp_path / "project" / "README.md").read_text()
    assert "Raspberry Pi Pico (RP2040) is not run here" in told
    assert "--via qemu" not in told
    target = inspect_bundle(bundle).manifest.target
    assert target.firmware is not None
    assert target.firmware.uf2_family == 0xE48BFF56


def own_board(folder: Path, **replaced: str) -> Path:
    """The target file of docs/new-board.md, with some of its words replaced."""
    block = re.search(r"```toml\n(.*?)```", (ROOT / "docs" / "new-board.md").read_text(), re.DOTALL)
    assert block
    text = block[1]
    for old, new in (pair.split(" -> ") for pair in replaced.values()):
        assert old in text
        text = text.replace(old, new)
    path = folder / "feather-f405.toml"
    path.write_text(text)
    return path


def test_the_new_board_of_the_documentation_is_built_and_runs(edgeslm: Callable[..., Any], tmp_path: Path) -> None:
    """A crystal that never starts, another UART and other pins than those of the shipped board with this chip."""
    require_tool("qemu-system-arm", "qemu-system-arm")
    require_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    bundle = write_stub_bundle(str(own_board(tmp_path)), tmp_path / "bundle").path
    said = edgeslm("run", bundle, "--via", "qemu", "--prompt", "Hello", "--max-tokens", "20")
    assert said.status == 0, said.stderr
    assert said.stdout.encode() == bytes(stub_answer(b"Hello", 20)).rstrip(b"\0") + b"\n"


def test_all_mistakes_of_a_board_are_told_at_once(tmp_path: Path) -> None:
    """As the documentation shows."""
    wrong = own_board(tmp_path, tx='"PB10" -> "PB9"', clock="168 -> 163", khz="12000 -> 7500", ram="128 -> 192")
    with pytest.raises(TargetError) as raised:
        load_target(str(wrong))
    shown = (ROOT / "docs" / "new-board.md").read_text().partition("has 3 mistakes\n")[2].partition("hint:")[0]
    assert raised.value.message.partition("\n")[2] + "\n" == shown


def test_a_board_that_is_not_emulated_is_refused_by_name(edgeslm: Callable[..., Any], tmp_path: Path) -> None:
    require_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    bundle = write_stub_bundle("nucleo-f446re", tmp_path).path
    said = edgeslm("run", bundle, "--via", "qemu", "--prompt", "Hello")
    assert (said.status, "QEMU emulates no board like nucleo-f446re" in said.stderr) == (3, True)


@pytest.mark.skipif(not MODEL.is_dir(), reason="shared/models/stories260k is not here")
def test_a_language_model_fits_a_microcontroller_without_floats(tmp_path: Path) -> None:
    """stories260k as int8 on the Pico: in fixed point, behind the loader; the plan and the linker agree."""
    require_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    made = StoriesImages(tmp_path).make("rpi-pico", "int8", 64)
    image = build_image(load_target("rpi-pico"), made.folder, tmp_path / "image")
    assert made.budget.fits
    assert image.memory.flash_bytes == pytest.approx(made.budget.flash_bytes, rel=0.02)
    assert image.memory.ram_bytes == pytest.approx(made.budget.ram_bytes, rel=0.02)


def test_a_board_with_less_memory_is_told_by_how_much(stub: Path, tmp_path: Path) -> None:
    target = load_target("nucleo-g0b1re")
    small = target.model_copy(update={"memory": target.memory.model_copy(update={"ram_kib": 4, "storage_kib": 4})})
    with pytest.raises(DoesNotFitError, match=r"(?s)FLASH' overflowed by \d+ bytes.*RAM' overflowed by \d+ bytes"):
        build_image(small, stub, tmp_path)
