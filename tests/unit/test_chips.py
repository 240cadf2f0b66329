"""Chips: their PLLs' arithmetic, their pins, and what their clocks mean for a UART."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.chips.check import chip_mistakes
from edgeslm.chips.chip import CHIPS, WORST_BAUD, Chip, baud_error, chips_of
from edgeslm.chips.pins import pin_place, read_uarts
from edgeslm.chips.pll import MHZ, Pll, PllSettings

ALL = st.sampled_from(sorted(CHIPS))


def possible(pll: Pll, oscillator_hz: int, wanted_hz: int) -> bool:
    """By trying everything that the registers can say."""
    return any(
        pll.reference[0] <= oscillator_hz / divide <= pll.reference[1]
        and pll.vco[0] <= oscillator_hz / divide * multiply <= pll.vco[1]
        and oscillator_hz * multiply == wanted_hz * divide * post * post_2
        for divide in pll.divide
        for post in pll.post
        for post_2 in pll.post_2
        for multiply in (wanted_hz * divide * post * post_2 // oscillator_hz,)
        if multiply in pll.multiply
    )


def oscillators(chip: Chip) -> st.SearchStrategy[int]:
    low, high = (hz // 1000 for hz in chip.oscillator_hz)
    common = [khz for khz in (8000, 12000, 16000, 24000, 25000, 26000) if low <= khz <= high]
    given = st.one_of(st.sampled_from(common), st.integers(low, high)).map(lambda khz: 1000 * khz)
    return given if chip.internal_hz is None else st.one_of(st.just(chip.internal_hz), given)


@given(st.data(), ALL)
def test_a_pll_makes_exactly_what_is_wanted_or_says_that_it_cannot(data: st.DataObject, name: str) -> None:
    chip = CHIPS[name]
    pll, source = chip.pll, data.draw(oscillators(chip))
    wanted = data.draw(st.integers(*(hz // MHZ for hz in chip.clock_hz))) * MHZ
    found = pll.settle(source, wanted)
    assert (found is not None) == possible(pll, source, wanted)
    if found is None:
        return
    assert found.clock(source) == wanted
    assert found.divide in pll.divide
    assert found.multiply in pll.multiply
    assert found.post in pll.post
    assert found.post_2 in pll.post_2
    assert pll.reference[0] <= source / found.divide <= pll.reference[1]
    assert pll.vco[0] <= source / found.divide * found.multiply <= pll.vco[1]


def test_the_fastest_detector_and_the_fastest_vco_are_preferred() -> None:
    rp2040, f446 = CHIPS["rp2040"].pll, CHIPS["stm32f446"].pll
    assert rp2040.settle(12 * MHZ, 125 * MHZ) == PllSettings(1, 125, 6, 2)
    assert rp2040.settle(12 * MHZ, 133 * MHZ) == PllSettings(1, 133, 6, 2)
    assert f446.settle(8 * MHZ, 180 * MHZ) == PllSettings(4, 180, 2)
    assert f446.settle(8 * MHZ, 179 * MHZ) == PllSettings(4, 179, 2)
    assert f446.settle(7_500_000, 179 * MHZ) is None


@pytest.mark.parametrize("name", CHIPS)
def test_every_clock_of_a_chip_gives_115200_baud(name: str) -> None:
    chip = CHIPS[name]
    low, high = (hz // MHZ for hz in chip.clock_hz)
    worst = max(baud_error(chip.uart_hz(uart, clock * MHZ)) for uart in chip.uarts for clock in range(low, high + 1))
    assert worst < WORST_BAUD


@pytest.mark.parametrize("name", CHIPS)
def test_a_chips_facts_go_together(name: str) -> None:
    chip = CHIPS[name]
    assert name in chips_of(chip.template)
    assert chip.uart_divides.keys() == {uart.number for uart in chip.uarts.values()}
    for uart in chip.uarts.values():
        assert not set(uart.tx) & set(uart.rx)
        for pin in (*uart.tx, *uart.rx):
            pin_place(pin)


def test_a_pins_place_is_its_port_and_number() -> None:
    assert [pin_place(pin) for pin in ("PA0", "PD8", "PG15", "GP0", "GP29")] == [
        *((0, 0), (3, 8), (6, 15)),
        *((0, 0), (0, 29)),
    ]
    for wrong in ("", "PA16", "PZ1", "GP30", "A0", "PA", "PA01"):
        with pytest.raises(ValueError, match="is no pin"):
            pin_place(wrong)


def test_a_table_of_uarts_is_read() -> None:
    uarts = read_uarts("USART1: PA9-7 PB6-0 | PA10-7")
    assert (uarts["USART1"].number, uarts["USART1"].tx, uarts["USART1"].rx) == (1, {"PA9": 7, "PB6": 0}, {"PA10": 7})


NONSENSE = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.sampled_from(sorted(CHIPS))
    ),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
KEYS = ("chip", "uart", "oscillator", "oscillator_khz", "flash_origin", "ram_origin")


@given(
    st.fixed_dictionaries(
        {
            "cpu": st.one_of(NONSENSE, st.fixed_dictionaries({"core": NONSENSE, "clock_mhz": NONSENSE})),
            "memory": st.one_of(NONSENSE, st.fixed_dictionaries({"ram_kib": NONSENSE, "storage_kib": NONSENSE})),
            "firmware": st.one_of(
                NONSENSE, st.fixed_dictionaries({"chip": ALL}, optional=dict.fromkeys(KEYS[1:], NONSENSE))
            ),
        }
    )
)
def test_facts_of_any_type_are_looked_at_without_a_crash(facts: dict[str, object]) -> None:
    for mistake in chip_mistakes(facts):
        assert mistake.partition(":")[0] in {
            *("cpu.core", "cpu.clock_mhz", "memory.ram_kib", "memory.storage_kib"),
            *("firmware.flash_origin", "firmware.ram_origin"),
        }
