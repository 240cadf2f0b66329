"""A FAKE JTAG cable with a fake STM32F4 behind it: OpenOCD's driver `remote_bitbang` speaks to it over a socket.

OpenOCD is the real one, with its own scripts: what is faked are the chip's two TAPs (debug port, boundary scan), the
debug port's access to memory (Arm IHI 0031, JTAG-DP and MEM-AP), and the chip itself (fake_chip.py).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.firmware.flashing.fake_chip import PC, RAM, ROM_TABLE, FakeChip

ABORT, DPACC, APACC, IDCODE = 0x8, 0xA, 0xB, 0xE
CPU_IR, BOUNDARY_IR = 4, 5
CPU_ID, BOUNDARY_ID = 0x4BA00477, 0x06413041
AHB_AP = 0x24770011
OK = 2
_ZERO, _RISEN, _HIGHEST, _READ = b"047R"
# The state that TMS 0 and TMS 1 lead to: IEEE 1149.1, figure 6-1.
STATES = {
    "reset": ("idle", "reset"),
    "idle": ("idle", "select-dr"),
    "select-dr": ("capture-dr", "select-ir"),
    "capture-dr": ("shift-dr", "exit1-dr"),
    "shift-dr": ("shift-dr", "exit1-dr"),
    "exit1-dr": ("pause-dr", "update-dr"),
    "pause-dr": ("pause-dr", "exit2-dr"),
    "exit2-dr": ("shift-dr", "update-dr"),
    "update-dr": ("idle", "select-dr"),
    "select-ir": ("capture-ir", "reset"),
    "capture-ir": ("shift-ir", "exit1-ir"),
    "shift-ir": ("shift-ir", "exit1-ir"),
    "exit1-ir": ("pause-ir", "update-ir"),
    "pause-ir": ("pause-ir", "exit2-ir"),
    "exit2-ir": ("shift-ir", "update-ir"),
    "update-ir": ("idle", "select-dr"),
}


class FakeLoader:
    """What OpenOCD's flash loader does, which it puts into RAM and lets run: it takes halfwords from a ring of bytes
    and programs them. Registers and ring: OpenOCD's `target_run_flash_async_algorithm`."""

    def __init__(self, chip: FakeChip) -> None:
        self._left = 0
        chip.on_run, chip.on_write = self.start, self.take

    def start(self, chip: FakeChip) -> None:
        begins, ends, place, count = (chip.registers.get(number, 0) for number in range(4))
        if begins <= chip.registers.get(PC, 0) or chip.registers[PC] < RAM:
            return  # what runs is no loader, which lies before its ring
        self._ring, self._read = (begins, begins + 8, ends), begins + 8
        self._place, self._left = place, count

    def take(self, chip: FakeChip, address: int) -> None:
        """Up to where the ring was filled, as soon as that is told."""
        if not self._left or address != self._ring[0]:
            return
        begins, first, ends = self._ring
        (filled,) = struct.unpack("<I", chip.read(begins, 4))
        while self._read != filled and self._left:
            chip.program(self._place, chip.read(self._read, 2))
            self._place, self._left, self._read = self._place + 2, self._left - 1, self._read + 2
            if self._read >= ends:
                self._read = first
        chip.ram[begins + 4 - RAM : begins + 8 - RAM] = struct.pack("<I", self._read)
        chip.halted = not self._left


class FakeDebugPort:
    """Registers of a debug port, and of the one access port behind it."""

    def __init__(self, chip: FakeChip) -> None:
        self._chip = chip
        self._control = self._select = self._result = 0
        self._csw, self._tar = 0x23000040, 0

    def capture(self) -> int:
        return self._result << 3 | OK

    def update(self, instruction: int, content: int) -> None:
        is_read, register, word = content & 1, (content >> 1 & 3) * 4, content >> 3 & 0xFFFFFFFF
        if instruction == APACC:
            place = self._select & 0xF0 | register
            if is_read:
                self._result = self._read_access(place) if self._select >> 24 == 0 else 0
            elif self._select >> 24 == 0:
                self._write_access(place, word)
        elif instruction == DPACC and is_read:
            # What an access port's read gave is told once more by a read of RDBUFF.
            self._result = {4: self._control, 8: self._select, 12: self._result}.get(register, 0)
        elif instruction == DPACC and register == 4:
            self._control = word & 0x50000000 | (word & 0x50000000) << 1
        elif instruction == DPACC and register == 8:
            self._select = word

    def _read_access(self, place: int) -> int:
        if place == 0x0C:
            return self._transfer(None)
        if 0x10 <= place <= 0x1C:
            return int.from_bytes(self._chip.read((self._tar & ~15) + place - 0x10, 4), "little")
        return {0x00: self._csw, 0x04: self._tar, 0xF8: ROM_TABLE | 3, 0xFC: AHB_AP}.get(place, 0)

    def _write_access(self, place: int, word: int) -> None:
        if place == 0x00:
            packed = word >> 4 & 3 == 2  # is not offered
            self._csw = 0x23000040 | word & 0x07 | (0 if packed else word & 0x30)
        elif place == 0x04:
            self._tar = word
        elif place == 0x0C:
            self._transfer(word)
        elif 0x10 <= place <= 0x1C:
            self._chip.write((self._tar & ~15) + place - 0x10, word.to_bytes(4, "little"))

    def _transfer(self, word: int | None) -> int:
        """A byte, halfword or word lies in the lanes that its address says."""
        size, shift = 1 << (self._csw & 3), 8 * (self._tar & 3)
        value = 0
        if word is None:
            value = int.from_bytes(self._chip.read(self._tar, size), "little") << shift
        else:
            self._chip.write(self._tar, (word >> shift & (1 << 8 * size) - 1).to_bytes(size, "little"))
        if self._csw >> 4 & 3 == 1:
            self._tar += size
        return value


class FakeChain:
    """TDI goes to the boundary scan's TAP, on to the debug port's, and out: low bits are the debug port's."""

    def __init__(self, port: FakeDebugPort) -> None:
        self._port = port
        self._state, self._shifts = "reset", False
        self._cpu, self._boundary = IDCODE, 1
        self._held, self._length = 0, 0

    def clock(self, wanted: bytes) -> bytes:
        """Follow these levels of the lines; what TDO was, where it was asked for."""
        out = bytearray()
        for letter in wanted:
            if letter == _READ:
                out.append(_ZERO | self._held & 1)
            elif _RISEN <= letter <= _HIGHEST:
                if self._shifts:
                    self._held = self._held >> 1 | (letter & 1) << self._length - 1
                    if not letter & 2:
                        continue
                self._step(letter >> 1 & 1)
        return bytes(out)

    def _step(self, tms: int) -> None:
        self._state = state = STATES[self._state][tms]
        self._shifts = state in ("shift-dr", "shift-ir")
        if state == "reset":
            self._cpu, self._boundary = IDCODE, 1
        elif state == "capture-dr":
            held, cpu = self._data_register()
            boundary, length = (BOUNDARY_ID, 32) if self._boundary == 1 else (0, 1)
            self._held, self._length = held | boundary << cpu, cpu + length
        elif state == "capture-ir":
            self._held, self._length = 1 | 1 << CPU_IR, CPU_IR + BOUNDARY_IR
        elif state == "update-dr":
            _, cpu = self._data_register()
            self._port.update(self._cpu, self._held & (1 << cpu) - 1)
        elif state == "update-ir":
            self._cpu, self._boundary = self._held & 0xF, self._held >> CPU_IR

    def _data_register(self) -> tuple[int, int]:
        """Of the debug port: what is captured, and its bits."""
        if self._cpu == IDCODE:
            return CPU_ID, 32
        if self._cpu in (ABORT, DPACC, APACC):
            return self._port.capture(), 35
        return 0, 1


def answer(connection: socket.socket, chain: FakeChain) -> None:
    """Until OpenOCD goes away: 0 to 7 are the lines TCK, TMS and TDI, R asks for TDO. What else there is (a light, two
    reset lines) does nothing here."""
    with connection, contextlib.suppress(ConnectionError):
        while wanted := connection.recv(65536):
            out = chain.clock(wanted)
            if out:
                connection.sendall(out)


@contextlib.contextmanager
def fake_jtag(chip: FakeChip, folder: Path, *, work_bytes: int = 0x8000) -> Iterator[Path]:
    """OpenOCD's script of a board that is this chip on a fake cable. With no `work_bytes`, OpenOCD puts no programs of
    its own into RAM, which nothing here would run: its flash loader alone is known (FakeLoader)."""
    FakeLoader(chip)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    answer(connection, FakeChain(FakeDebugPort(chip)))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        script = folder / "fake-jtag.cfg"
        script.write_text(
            f"adapter driver remote_bitbang\nremote_bitbang port {listening.getsockname()[1]}\n"
            "remote_bitbang host 127.0.0.1\ntransport select jtag\n"
            f"set WORKAREASIZE {work_bytes}\nsource [find target/stm32f4x.cfg]\nreset_config none\n"
        )
        yield script
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)
