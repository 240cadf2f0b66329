"""Phase-locked loops: which divisors and which factor make a wanted clock from an oscillator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MHZ = 1_000_000


@dataclass(frozen=True)
class PllSettings:
    """oscillator / divide × multiply / post / post_2, as integers that a register takes."""

    divide: int
    multiply: int
    post: int
    post_2: int = 1

    def clock(self, oscillator_hz: int) -> float:
        """Hz of the result."""
        return oscillator_hz / self.divide * self.multiply / (self.post * self.post_2)


@dataclass(frozen=True)
class Pll:
    """What a chip's loop takes: Hz at the phase detector and of its own oscillator (VCO), lowest and highest, and the
    divisors and factors that its registers can say."""

    reference: tuple[int, int]
    vco: tuple[int, int]
    divide: tuple[int, ...]
    multiply: tuple[int, ...]
    post: tuple[int, ...]
    post_2: tuple[int, ...] = (1,)

    def settle(self, oscillator_hz: int, wanted_hz: int) -> PllSettings | None:
        """Settings that give exactly `wanted_hz`; None where there are none.

        Of several, those with the fastest phase detector, then those with the fastest VCO: both mean less jitter.
        """
        found = list(self._exact(oscillator_hz, wanted_hz))
        if not found:
            return None
        return max(found, key=lambda one: (-one.divide, one.multiply, one.post))

    def _exact(self, oscillator_hz: int, wanted_hz: int) -> Iterator[PllSettings]:
        for divide in self.divide:
            if not self.reference[0] * divide <= oscillator_hz <= self.reference[1] * divide:
                continue
            for post in self.post:
                for post_2 in self.post_2:
                    vco = wanted_hz * post * post_2
                    multiply, rest = divmod(vco * divide, oscillator_hz)
                    if not rest and multiply in self.multiply and self.vco[0] <= vco <= self.vco[1]:
                        yield PllSettings(divide, multiply, post, post_2)
