"""The start-up of boards that nothing here executes, compiled for this machine and run over fakes of their chips."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeslm.chips.chip import BAUD, CHIPS, WORST_BAUD
from edgeslm.chips.pins import pin_place
from edgeslm.firmware.board_macros import board_macros
from edgeslm.target import Target, list_targets, load_target, parse_target
from tests.firmware.fake_chips import FAKES, MHZ, FakeChip, FakeRp, FakeStm32, StartUp, bits

ROOT = Path(__file__).parents[2]
BOARDS = {target.firmware.chip: target.name for target in list_targets() if target.firmware and target.firmware.chip}
"""A shipped board of each chip."""
NO_BYTE = (1 << 32) - 1


def other_board(chip: str, **facts: object) -> Target:
    """The shipped board of this chip with other facts, as somebody's own target file has them."""
    told = tomllib.loads((ROOT / "targets" / f"{BOARDS[chip]}.toml").read_text())
    told["name"] = "my-board"
    clock_mhz = facts.pop("clock_mhz", None)
    if clock_mhz is not None:
        told["cpu"]["clock_mhz"] = clock_mhz
    told["firmware"] |= facts
    if told["firmware"].get("oscillator") == "internal":
        told["firmware"].pop("oscillator_khz", None)
    lines = [f"{key} = {_toml(value)}" for key, value in told.items() if not isinstance(value, dict)]
    for table in ("cpu", "memory", "firmware"):
        lines += [f"[{table}]", *(f"{key} = {_toml(value)}" for key, value in told[table].items())]
    return parse_target("\n".join(lines), "my-board", "a test")


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).replace("'", '"')


def chip_of(target: Target) -> str:
    assert target.firmware is not None
    assert target.firmware.chip is not None
    return target.firmware.chip


def fake_of(target: Target, *, starts: bool = True) -> FakeChip:
    """The fake of the target's chip, with what the board has on its oscillator's pins."""
    assert target.firmware is not None
    khz = target.firmware.oscillator_khz or 0
    return FAKES[chip_of(target)](1000 * khz if starts else 0)


def start(target: Target, fake: FakeChip, out: Path) -> StartUp:
    started = StartUp(target, out)
    started.call("edgeslm_board_start", fake.read, fake.write)
    return started


def stm32_pin(fake: FakeChip, gpio: int, gpio_on: int, pin: str) -> tuple[int, int, int]:
    """Whether its port has a clock, its mode, and its function."""
    port, number = pin_place(pin)
    base = gpio + 0x400 * port
    function = fake.at(base + 0x20 + 4 * (number // 8)) >> 4 * (number % 8) & 0xF
    return fake.at(gpio_on) >> port & 1, fake.at(base) >> 2 * number & 3, function


# Of each family: port A, the register that gives ports a clock, and of each UART: address, the register that gives it a
# clock, and the bit there. From the memory maps and clock registers of the reference manuals.
STM32 = {
    "stm32f4": (0x40020000, 0x40023830, {
        **{1: (0x40011000, 0x40023844, 4), 2: (0x40004400, 0x40023840, 17), 3: (0x40004800, 0x40023840, 18)},
        **{4: (0x40004C00, 0x40023840, 19), 5: (0x40005000, 0x40023840, 20), 6: (0x40011400, 0x40023844, 5)},
    }),
    "stm32h7": (0x58020000, 0x580244E0, {
        **{1: (0x40011000, 0x580244F0, 4), 2: (0x40004400, 0x580244E8, 17), 3: (0x40004800, 0x580244E8, 18)},
        **{4: (0x40004C00, 0x580244E8, 19), 5: (0x40005000, 0x580244E8, 20), 6: (0x40011400, 0x580244F0, 5)},
        **{7: (0x40007800, 0x580244E8, 30), 8: (0x40007C00, 0x580244E8, 31)},
    }),
    "stm32u5": (0x42020000, 0x46020C8C, {
        **{1: (0x40013800, 0x46020CA4, 14), 2: (0x40004400, 0x46020C9C, 17), 3: (0x40004800, 0x46020C9C, 18)},
        **{4: (0x40004C00, 0x46020C9C, 19), 5: (0x40005000, 0x46020C9C, 20)},
    }),
    "stm32g0": (0x50000000, 0x40021034, {
        **{1: (0x40013800, 0x40021040, 14), 2: (0x40004400, 0x4002103C, 17), 3: (0x40004800, 0x4002103C, 18)},
        **{4: (0x40004C00, 0x4002103C, 19), 5: (0x40005000, 0x4002103C, 8), 6: (0x40013C00, 0x4002103C, 9)},
    }),
}  # fmt: skip
RP_UARTS = {"rp2040": ((0x40034000, 22), (0x40038000, 23)), "rp2350": ((0x40070000, 26), (0x40078000, 27))}


def check_uart(target: Target, fake: FakeChip) -> None:
    """The UART and its pins work, at the right baud."""
    firmware = target.firmware
    assert firmware is not None
    assert firmware.uart is not None
    assert firmware.tx is not None
    assert firmware.rx is not None
    uart = CHIPS[chip_of(target)].uarts[firmware.uart]
    if isinstance(fake, FakeRp):
        base, reset = RP_UARTS[chip_of(target)][uart.number]
        divisor = fake.at(base + 0x24) + fake.at(base + 0x28) / 64
        assert fake.at(base + 0x2C) == 0x70
        assert fake.at(base + 0x30) == 0x301
        assert bits(fake.at(fake.resets_at), reset, 1) == 0
        assert abs(fake.uart_hz(uart.number) / (16 * divisor) / BAUD - 1) <= WORST_BAUD / 10
        for pin, function in ((firmware.tx, uart.tx[firmware.tx]), (firmware.rx, uart.rx[firmware.rx])):
            number = pin_place(pin)[1]
            assert fake.at(fake.pins_at + 8 * number + 4) == function
            pad = fake.at(fake.pads_at + 4 * number + 4)
            assert (bits(pad, 6, 1), bits(pad, 7, 1), bits(pad, 8, 1)) == (1, 0, 0)  # input, output, not isolated
        return
    gpio, gpio_on, uarts = STM32[firmware.template]
    base, register, bit = uarts[uart.number]
    assert fake.at(register) >> bit & 1
    baud, control, on = (0x08, 0x0C, 1 << 13) if firmware.template == "stm32f4" else (0x0C, 0x00, 1 << 0)
    assert abs(fake.uart_hz(uart.number) / fake.at(base + baud) / BAUD - 1) <= WORST_BAUD
    assert fake.at(base + control) == on | 3 << 2
    assert stm32_pin(fake, gpio, gpio_on, firmware.tx) == (1, 2, uart.tx[firmware.tx])
    assert stm32_pin(fake, gpio, gpio_on, firmware.rx) == (1, 2, uart.rx[firmware.rx])


def test_every_chip_has_a_board_and_a_fake() -> None:
    assert set(BOARDS) == set(CHIPS) == set(FAKES)


@pytest.mark.parametrize("chip", CHIPS)
def test_a_shipped_board_reaches_its_clock_and_its_baud(chip: str, tmp_path: Path) -> None:
    """The fake refuses each state that the silicon would not bear: what is left is where it ends."""
    target = load_target(BOARDS[chip])
    fake = fake_of(target)
    started = start(target, fake, tmp_path)
    assert fake.core_hz() == target.cpu.clock_mhz * MHZ
    assert len(fake.clocks) == 2  # after reset, and the last
    check_uart(target, fake)
    base = next(address for address, _ in reversed(fake.written)) & ~0xFF
    idle = base + (0x18 if isinstance(fake, FakeRp) else 0x00 if "f4" in chip else 0x1C)
    fake.registers[idle] = 1 << 4 if isinstance(fake, FakeRp) else 1 << 7
    assert started.call("edgeslm_uart_poll", fake.read, fake.write) & NO_BYTE == NO_BYTE
    started.call("edgeslm_uart_write", fake.read, fake.write, 0x41)
    assert fake.written[-1] == (base + (0x00 if isinstance(fake, FakeRp) else 0x04 if "f4" in chip else 0x28), 0x41)
    fake.registers[idle] = 0 if isinstance(fake, FakeRp) else 1 << 5
    fake.registers[base + (0x00 if isinstance(fake, FakeRp) else 0x04 if "f4" in chip else 0x24)] = 0x5A
    assert started.call("edgeslm_uart_poll", fake.read, fake.write) == 0x5A


def uarts_of_chips() -> Iterator[tuple[str, str]]:
    for chip, facts in CHIPS.items():
        for uart in facts.uarts:
            yield chip, uart


@pytest.mark.parametrize(("chip", "uart"), list(uarts_of_chips()))
def test_every_uart_of_a_chip_can_be_a_boards(chip: str, uart: str, tmp_path: Path) -> None:
    """By its last pins, which no shipped board has."""
    pins = CHIPS[chip].uarts[uart]
    target = other_board(chip, uart=uart, tx=list(pins.tx)[-1], rx=list(pins.rx)[-1])
    fake = fake_of(target)
    start(target, fake, tmp_path)
    check_uart(target, fake)


OTHERS = [
    ("stm32f405", {"oscillator": "crystal", "oscillator_khz": 25000}),
    ("stm32f405", {"clock_mhz": 30}),
    ("stm32f446", {"clock_mhz": 168}),
    ("stm32f446", {"oscillator": "internal", "clock_mhz": 84}),
    ("stm32h743", {"oscillator": "internal", "clock_mhz": 400}),
    ("stm32h743", {"oscillator": "crystal", "oscillator_khz": 25000, "clock_mhz": 250}),
    ("stm32h743", {"clock_mhz": 120}),
    ("stm32u575", {"oscillator": "crystal", "oscillator_khz": 50000}),
    ("stm32u575", {"oscillator": "clock", "oscillator_khz": 24000, "clock_mhz": 96}),
    ("stm32u575", {"clock_mhz": 48}),
    ("stm32g0b1", {"oscillator": "crystal", "oscillator_khz": 8000, "clock_mhz": 48}),
    ("stm32g0b1", {"clock_mhz": 16}),
    ("rp2040", {"clock_mhz": 133}),
    ("rp2040", {"oscillator": "clock", "oscillator_khz": 10000, "clock_mhz": 48}),
    ("rp2350", {"clock_mhz": 100}),
]


@pytest.mark.parametrize(("chip", "facts"), OTHERS, ids=lambda value: value if isinstance(value, str) else "")
def test_other_clocks_are_reached_as_well(chip: str, facts: dict[str, object], tmp_path: Path) -> None:
    target = other_board(chip, **facts)
    fake = fake_of(target)
    start(target, fake, tmp_path)
    assert fake.core_hz() == target.cpu.clock_mhz * MHZ
    check_uart(target, fake)


@pytest.mark.parametrize("missing", ["oscillator", "pll"])
@pytest.mark.parametrize("chip", [chip for chip, fake in FAKES.items() if issubclass(fake, FakeStm32)])
def test_without_its_oscillator_or_its_pll_a_board_still_speaks(chip: str, missing: str, tmp_path: Path) -> None:
    """By the clock after reset: whoever looks at the line hears it."""
    facts: dict[str, object] = {"oscillator": "crystal", "oscillator_khz": 8000} if missing == "oscillator" else {}
    target = other_board(chip, **facts)
    fake = fake_of(target, starts=missing != "oscillator")
    assert isinstance(fake, FakeStm32)
    fake.pll_locks = missing != "pll"
    start(target, fake, tmp_path)
    assert len(fake.clocks) == 1
    check_uart(target, fake)


def test_rp2040_leaves_the_pll_that_it_runs_by(tmp_path: Path) -> None:
    """After a reset of the core alone, the peripherals are as the last program left them."""
    target = load_target("rpi-pico")
    fake = fake_of(target)
    started = start(target, fake, tmp_path)
    started.call("edgeslm_board_start", fake.read, fake.write)
    assert fake.core_hz() == 125 * MHZ


def test_what_the_compiler_is_told_is_the_targets_facts() -> None:
    assert board_macros(load_target("nucleo-f446re")) == tuple(
        f"-DEDGESLM_{told}u"
        for told in (
            *("CLOCK_HZ=180000000", "OSCILLATOR=2", "OSCILLATOR_HZ=8000000"),
            *("PLL_DIVIDE=4", "PLL_MULTIPLY=180", "PLL_POST=2", "PLL_POST_2=1"),
            *("UART=2", "TX_PORT=0", "TX_PIN=2", "TX_FUNCTION=7", "RX_PORT=0", "RX_PIN=3", "RX_FUNCTION=7"),
        )
    )
    assert board_macros(load_target("mps2-an386")) == ("-DEDGESLM_SEMIHOSTING",)
