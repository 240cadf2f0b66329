"""Fakes of chips' clocks, flash and pins: start-up code, compiled for this machine, drives them like the silicon.

What a register means is written down here a second time, from the reference manuals, and not taken from the C: a fake
knows what its core's clock is after every write, and refuses one that the silicon would not bear: flash read faster
than it answers, a PLL changed while it runs, a bus above its highest clock.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edgeslm.firmware.board_macros import board_macros
from edgeslm.firmware.image import STRICT, board_folder, firmware_facts
from edgeslm.target import Target
from tests.firmware.host_program import require_tool

MHZ = 1_000_000
MOST = 300_000
"""Accesses of one call: a start-up that gives up waiting makes some 0.1 million."""
FAKE = Path(__file__).with_name("fake_registers.c")
READ, WRITE = (
    ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32),
    ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32),
)


def bits(value: int, low: int, count: int) -> int:
    return value >> low & (1 << count) - 1


@dataclass
class FakeChip:
    """Memory of registers, and what reading one says. `oscillator_hz`: on the pins; 0 where it never starts."""

    oscillator_hz: int
    registers: dict[int, int] = field(default_factory=dict)
    written: list[tuple[int, int]] = field(default_factory=list)
    clocks: list[float] = field(default_factory=list)  # of the core, each time that it changed

    def at(self, address: int) -> int:
        return self.registers.get(address, 0)

    def has(self, address: int, mask: int) -> bool:
        return self.at(address) & mask == mask

    def read(self, address: int) -> int:
        return self.at(address)

    def write(self, address: int, value: int) -> None:
        self.before(address, value)
        self.registers[address] = value
        self.written.append((address, value))
        clock = self.core_hz()
        if not self.clocks or self.clocks[-1] != clock:
            self.clocks.append(clock)
        self.check(clock)

    def before(self, address: int, value: int) -> None:
        """Refuse a write that the silicon would not bear in its present state."""

    def core_hz(self) -> float:
        raise NotImplementedError

    def check(self, core_hz: float) -> None:
        """Refuse a state that the silicon would not bear."""
        raise NotImplementedError

    def uart_hz(self, number: int) -> float:
        """The clock of the UART with this number."""
        raise NotImplementedError


@dataclass
class FakeStm32(FakeChip):
    """What the families have in common: an RCC that is asked for an oscillator and for the PLL, in the same bits."""

    rcc = 0
    base = 0  # of the core after reset, Hz
    pll_locks = True

    def read(self, address: int) -> int:
        value = self.at(address)
        if address == self.rcc:  # RCC_CR
            value |= 1 << 17 if value >> 16 & 1 and self.oscillator_hz else 0
            value |= 1 << 25 if value >> 24 & 1 and self.pll_locks and self.pll_hz() else 0
        return value

    def before(self, address: int, value: int) -> None:
        if address in self.pll_registers():
            assert not self.has(self.rcc, 1 << 24), "the PLL is changed while it runs"

    def pll_registers(self) -> tuple[int, ...]:
        raise NotImplementedError

    def pll_hz(self) -> float:
        """Of what is configured; refuses what the PLL cannot do."""
        raise NotImplementedError

    def external(self) -> float:
        assert self.has(self.rcc, 1 << 16), "the PLL has a source that does not run"
        return self.oscillator_hz


@dataclass
class FakeF4(FakeStm32):
    """RM0090 and RM0390."""

    rcc = 0x40023800
    over_drive = False  # whether the chip has it

    def read(self, address: int) -> int:
        value = super().read(address)
        if address == 0x40023808:  # CFGR: SWS
            return value & ~(3 << 2) | bits(value, 0, 2) << 2
        if address == 0x40007004:  # PWR_CSR: ODRDY, ODSWRDY
            return self.at(0x40007000) & 3 << 16 if self.over_drive else 0
        return value

    def pll_registers(self) -> tuple[int, ...]:
        return (0x40023804,)

    def pll_hz(self) -> float:
        pll = self.at(0x40023804)
        reference = (self.external() if pll >> 22 & 1 else 16 * MHZ) / bits(pll, 0, 6)
        vco = reference * bits(pll, 6, 9)
        assert 0.95 * MHZ <= reference <= 2.1 * MHZ
        assert 100 * MHZ <= vco <= 432 * MHZ
        assert bits(pll, 24, 4) >= 2
        assert bits(pll, 28, 3) >= 2
        return vco / (2 * bits(pll, 16, 2) + 2)

    def core_hz(self) -> float:
        choice = bits(self.at(0x40023808), 0, 2)
        return {0: 16 * MHZ, 1: self.oscillator_hz, 2: self.pll_hz() if choice == 2 else 0}[choice]

    def check(self, core_hz: float) -> None:
        assert bits(self.at(0x40023C00), 0, 4) >= -(-core_hz // (30 * MHZ)) - 1, "flash is read too fast"
        if core_hz > 168 * MHZ:
            assert self.over_drive
            assert self.has(0x40007000, 3 << 16)
        assert self.bus_hz(10) <= (45 if self.over_drive else 42) * MHZ
        assert self.bus_hz(13) <= (90 if self.over_drive else 84) * MHZ

    def bus_hz(self, low: int) -> float:
        code = bits(self.at(0x40023808), low, 3)
        return self.core_hz() / (1 << code - 3 if code >= 4 else 1)

    def uart_hz(self, number: int) -> float:
        return self.bus_hz(13 if number in (1, 6) else 10)


@dataclass
class FakeH7(FakeStm32):
    """RM0433."""

    rcc = 0x58024400

    def __post_init__(self) -> None:
        self.registers |= {0x52002000: 0x37, 0x5802480C: 0x6, 0xE000ED80: 3 << 3 | 127 << 13 | 1}
        self.emptied: set[tuple[int, int]] = set()

    def read(self, address: int) -> int:
        value = super().read(address)
        if address == 0x58024410:  # CFGR: SWS
            return value & ~(7 << 3) | bits(value, 0, 3) << 3
        if address == 0x58024804:  # PWR_CSR1: ACTVOSRDY, once the supply is chosen
            return 1 << 13 if bits(self.at(0x5802480C), 0, 3) == 2 else 0
        if address == 0x58024818:  # PWR_D3CR: VOSRDY
            return value | 1 << 13
        return value

    def before(self, address: int, value: int) -> None:
        super().before(address, value)
        if address == 0xE000EF60:  # DCISW: 4 ways of 128 sets
            self.emptied.add((value >> 30, bits(value, 5, 7)))
        if address == 0xE000ED14 and bits(value, 16, 1):
            assert len(self.emptied) == 4 * 128, "a cache is used before it is empty"

    def pll_registers(self) -> tuple[int, ...]:
        return (0x58024428, 0x5802442C, 0x58024430)

    def pll_hz(self) -> float:
        source, dividers, config = self.at(0x58024428), self.at(0x58024430), self.at(0x5802442C)
        reference = (self.external() if bits(source, 0, 2) == 2 else 64 * MHZ) / bits(source, 4, 6)
        low, high = {0: (1, 2), 1: (2, 4), 2: (4, 8), 3: (8, 16)}[bits(config, 2, 2)]
        assert low * MHZ <= reference <= high * MHZ
        assert bits(config, 0, 2) == 0  # no fraction, the wide VCO
        assert bits(config, 16, 1) == 1
        vco, post = reference * (bits(dividers, 0, 9) + 1), bits(dividers, 9, 7) + 1
        assert 192 * MHZ <= vco <= 836 * MHZ
        assert post % 2 == 0
        return vco / post

    def core_hz(self) -> float:
        choice = bits(self.at(0x58024410), 0, 3)
        return {0: 64 * MHZ, 2: self.oscillator_hz, 3: self.pll_hz() if choice == 3 else 0}[choice]

    def check(self, core_hz: float) -> None:
        bus = core_hz / (2 if bits(self.at(0x58024418), 0, 4) == 8 else 1)
        waits, delay = bits(self.at(0x52002000), 0, 4), bits(self.at(0x52002000), 4, 2)
        least = next(row for row in ((70, 0, 0), (140, 1, 1), (185, 2, 1), (210, 2, 2)) if bus <= row[0] * MHZ)
        assert (waits, delay) >= least[1:], "flash is read too fast"
        assert bus <= 200 * MHZ
        if core_hz > 64 * MHZ:
            assert bits(self.at(0x58024818), 14, 2) == 3  # scale 1
        for number in (1, 2):
            assert self.uart_hz(number) <= 100 * MHZ
        assert bus / (2 if bits(self.at(0x58024420), 4, 3) == 4 else 1) <= 100 * MHZ

    def uart_hz(self, number: int) -> float:
        bus = self.core_hz() / (2 if bits(self.at(0x58024418), 0, 4) == 8 else 1)
        low = 8 if number in (1, 6) else 4
        return bus / (2 if bits(self.at(0x5802441C), low, 3) == 4 else 1)


@dataclass
class FakeU5(FakeStm32):
    """RM0456."""

    rcc = 0x46020C00

    def __post_init__(self) -> None:
        self.cache_busy = 3

    def read(self, address: int) -> int:
        value = super().read(address)
        if address == self.rcc:
            return value | (1 << 10 if value >> 8 & 1 else 0)
        if address == 0x46020C1C:  # CFGR1: SWS
            return value & ~(3 << 2) | bits(value, 0, 2) << 2
        if address == 0x4602080C and self.has(0x46020C94, 1 << 2):  # PWR_VOSR: VOSRDY, BOOSTRDY
            boosted = bits(value, 18, 1) and 4 * MHZ <= self.booster_hz() <= 16 * MHZ
            return value | 1 << 15 | (1 << 14 if boosted else 0)
        if address == 0x40030404:  # ICACHE_SR: busy for a while
            self.cache_busy -= 1
            return int(self.cache_busy > 0)
        return value

    def before(self, address: int, value: int) -> None:
        super().before(address, value)
        if address == 0x4602080C:
            assert self.has(0x46020C94, 1 << 2), "the supply's registers have no clock"
        if address == 0x40030400 and value & 1:
            assert self.cache_busy <= 0

    def booster_hz(self) -> float:
        code = bits(self.at(0x46020C28), 12, 4)
        return self.source_hz() / (2 * code if code else 1)

    def source_hz(self) -> float:
        source = bits(self.at(0x46020C28), 0, 2)
        assert source in (2, 3)
        if source == 2:
            assert self.has(self.rcc, 1 << 8), "the PLL has a source that does not run"
        return 16 * MHZ if source == 2 else self.external()

    def pll_registers(self) -> tuple[int, ...]:
        return (0x46020C28, 0x46020C34)

    def pll_hz(self) -> float:
        config, dividers = self.at(0x46020C28), self.at(0x46020C34)
        reference = self.source_hz() / (bits(config, 8, 4) + 1)
        low, high = {0: (4, 8), 3: (8, 16)}[bits(config, 2, 2)]
        assert low * MHZ <= reference <= high * MHZ
        assert bits(config, 4, 1) == 0
        assert bits(config, 18, 1) == 1
        vco = reference * (bits(dividers, 0, 9) + 1)
        assert 128 * MHZ <= vco <= 544 * MHZ
        return vco / (bits(dividers, 24, 7) + 1)

    def core_hz(self) -> float:
        choice = bits(self.at(0x46020C1C), 0, 2)
        return {0: 4 * MHZ, 1: 16 * MHZ, 3: self.pll_hz() if choice == 3 else 0}[choice]

    def check(self, core_hz: float) -> None:
        assert bits(self.at(0x40022000), 0, 4) >= -(-core_hz // (32 * MHZ)) - 1, "flash is read too fast"
        if core_hz > 25 * MHZ:
            assert bits(self.at(0x4602080C), 16, 2) == 3
        if core_hz > 55 * MHZ:
            assert self.read(0x4602080C) >> 14 & 1, "the booster is off"

    def uart_hz(self, number: int) -> float:
        return self.core_hz()


@dataclass
class FakeG0(FakeStm32):
    """RM0444."""

    rcc = 0x40021000

    def __post_init__(self) -> None:
        self.registers |= {0x40022000: 1 << 18 | 3 << 9, 0x40021000: 5 << 8}

    def read(self, address: int) -> int:
        value = super().read(address)
        if address == 0x40021008:  # CFGR: SWS
            return value & ~(7 << 3) | bits(value, 0, 3) << 3
        return value

    def pll_registers(self) -> tuple[int, ...]:
        return (0x4002100C,)

    def pll_hz(self) -> float:
        pll = self.at(0x4002100C)
        source = bits(pll, 0, 2)
        assert source in (2, 3)
        reference = (16 * MHZ if source == 2 else self.external()) / (bits(pll, 4, 3) + 1)
        vco = reference * bits(pll, 8, 7)
        assert 2.66 * MHZ <= reference <= 16 * MHZ
        assert 96 * MHZ <= vco <= 344 * MHZ
        assert bits(pll, 28, 1) == 1
        assert bits(pll, 29, 3) >= 1
        return vco / (bits(pll, 29, 3) + 1)

    def core_hz(self) -> float:
        choice = bits(self.at(0x40021008), 0, 3)
        return {0: 16 * MHZ, 1: self.oscillator_hz, 2: self.pll_hz() if choice == 2 else 0}[choice]

    def check(self, core_hz: float) -> None:
        access = self.at(0x40022000)
        least = 0 if core_hz <= 24 * MHZ else 1 if core_hz <= 48 * MHZ else 2
        assert bits(access, 0, 3) >= least, "flash is read too fast"
        assert bits(access, 18, 1) == 1, "the debugger is locked out"

    def uart_hz(self, number: int) -> float:
        return self.core_hz()


@dataclass
class FakeRp(FakeChip):
    """RP2040's data sheet, and RP2350's: the same blocks at other addresses."""

    clocks_at = resets_at = pins_at = pads_at = crystal_at = pll_at = 0
    pll_reset = 0

    def __post_init__(self) -> None:
        self.registers |= {self.resets_at: 0x1FFFFFFF, self.pll_at + 4: 0x2D, self.pll_at + 0xC: 0x77000}

    def read(self, address: int) -> int:
        value = self.at(address)
        if address == self.crystal_at + 4:  # STATUS: STABLE
            on = self.at(self.crystal_at) == 0xFABAA0
            return 1 << 31 if on and self.oscillator_hz else 0
        if address == self.resets_at + 8:
            return ~self.at(self.resets_at) & 0x1FFFFFFF
        if address == self.clocks_at + 0x38:
            return 1 << bits(self.at(self.clocks_at + 0x30), 0, 2)
        if address == self.clocks_at + 0x44:
            return 1 << bits(self.at(self.clocks_at + 0x3C), 0, 1)
        if address == self.pll_at:
            runs = self.at(self.pll_at + 4) & 0x21 == 0 and self.read(self.crystal_at + 4)
            return value | (1 << 31 if runs and not self.has(self.resets_at, self.pll_reset) else 0)
        return value

    def before(self, address: int, value: int) -> None:
        uses_pll = bits(self.at(self.clocks_at + 0x3C), 0, 1)
        if self.pll_at <= address < self.pll_at + 16 or (address == self.resets_at and value & self.pll_reset):
            assert not uses_pll, "the PLL is touched while the system runs by it"
        if self.pll_at <= address < self.pll_at + 16:
            assert not self.has(self.resets_at, self.pll_reset), "the PLL is held in reset"
        if address == self.clocks_at + 0x3C and bits(value, 5, 3) != bits(self.at(address), 5, 3):
            assert not uses_pll, "another source is chosen while it is in use: a glitch"
        if address == self.clocks_at + 0x3C and value & 1:
            assert self.read(self.pll_at) >> 31, "the PLL has not locked"
            assert self.at(self.pll_at + 4) & 0x29 == 0, "the PLL has no output"

    def pll_hz(self) -> float:
        multiply, post = self.at(self.pll_at + 8), self.at(self.pll_at + 12)
        reference = self.oscillator_hz / bits(self.at(self.pll_at), 0, 6)
        assert reference >= 5 * MHZ
        assert 16 <= multiply <= 320
        vco = reference * multiply
        assert 750 * MHZ <= vco <= 1600 * MHZ
        assert reference <= vco / 16
        return vco / bits(post, 16, 3) / bits(post, 12, 3)

    def core_hz(self) -> float:
        return self.pll_hz() if bits(self.at(self.clocks_at + 0x3C), 0, 1) else 6.5 * MHZ

    def check(self, core_hz: float) -> None:
        assert core_hz <= 150 * MHZ

    def uart_hz(self, number: int) -> float:
        assert self.at(self.clocks_at + 0x48) == 1 << 11  # on, by the system's clock
        return self.core_hz()


class FakeRp2040(FakeRp):
    clocks_at, resets_at, pins_at, pads_at = 0x40008000, 0x4000C000, 0x40014000, 0x4001C000
    crystal_at, pll_at, pll_reset = 0x40024000, 0x40028000, 1 << 12


class FakeRp2350(FakeRp):
    clocks_at, resets_at, pins_at, pads_at = 0x40010000, 0x40020000, 0x40028000, 0x40038000
    crystal_at, pll_at, pll_reset = 0x40048000, 0x40050000, 1 << 14


class FakeF446(FakeF4):
    over_drive = True


FAKES: dict[str, type[FakeChip]] = {
    "stm32f405": FakeF4,
    "stm32f446": FakeF446,
    "stm32h743": FakeH7,
    "stm32u575": FakeU5,
    "stm32g0b1": FakeG0,
    "rp2040": FakeRp2040,
    "rp2350": FakeRp2350,
}


class StartUp:
    """A board's start-up, or its boot2, compiled for this machine, with a fake's registers below it."""

    def __init__(self, target: Target, out: Path, *, boot2: bool = False) -> None:
        require_tool("cc", "build-essential")
        folder = board_folder(firmware_facts(target))
        sources = [path for path in sorted(folder.glob("*.c")) if (path.name == "boot2.c") == boot2]
        if not boot2:
            sources += [folder.parent / name for name in ("uart_stm32.c", "start_rp.c")]
        library = out / f"{target.name}{'-boot2' if boot2 else ''}.so"
        command = ["cc", *STRICT, "-fPIC", "-shared", "-DEDGESLM_FAKE_REGISTERS", *board_macros(target)]
        command += [f"-I{folder}", f"-I{folder.parent}", *map(str, [*sources, FAKE]), "-o", str(library)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        self._library = ctypes.CDLL(str(library))
        self._failures: list[BaseException] = []
        self._reads = 0

    def call(self, name: str, read: Callable[[int], int], write: Callable[[int, int], None], *given: int) -> int:
        """Call the C function `name`. What a fake refuses is raised here, after the call: C knows no exceptions."""
        self._failures, self._reads = [], 0
        hooks = READ(self._guarded(read)), WRITE(self._guarded(write))
        for symbol, hook in zip(("fake_read", "fake_write"), hooks, strict=True):
            ctypes.c_void_p.in_dll(self._library, symbol).value = ctypes.cast(hook, ctypes.c_void_p).value
        answer = getattr(self._library, name)(*given)
        if self._failures:
            raise self._failures[0]
        return int(answer)

    def _guarded(self, function: Callable[..., int | None]) -> Callable[..., int]:
        """After a failure reads say anything in turn, so that whatever waits goes on and the call ends."""

        def guarded(*given: int) -> int:
            self._reads += 1
            if self._failures:
                return (0xFFFFFFFF, 0, 4)[self._reads % 3]
            try:
                assert self._reads < MOST, "it waits for what never comes"
                return function(*given) or 0
            except BaseException as error:
                self._failures.append(error)
                return 0

        return guarded
