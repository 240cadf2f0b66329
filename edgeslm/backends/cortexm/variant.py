"""Which kernels a core runs: what follows from its instruction set, for the generator and for every compiler."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edgeslm.backends.cortexm.packing import Layout


@dataclass(frozen=True)
class Variant:
    """How kernels are compiled, and matrices packed for them: the macros of edgeslm_kernels.h."""

    layout: Layout
    fixed: bool = False  # numbers are fixed-point: no FPU
    dsp: bool = False
    mve: bool = False

    @property
    def host_macros(self) -> tuple[str, ...]:
        """The same numbers, without the core's assembly."""
        return (f"-DEDGESLM_LAYOUT={int(self.layout)}", f"-DEDGESLM_FIXED={int(self.fixed)}")

    @property
    def macros(self) -> tuple[str, ...]:
        return (*self.host_macros, f"-DEDGESLM_DSP={int(self.dsp)}", f"-DEDGESLM_MVE={int(self.mve)}")


def choose_variant(isa: Collection[str]) -> Variant:
    """By the core's features: `fpu` (single precision at least), `dsp`, `mve` (Helium with floats)."""
    if "fpu" not in isa:
        return Variant(Layout.ROWS, fixed=True)
    if "mve" in isa:
        return Variant(Layout.VECTORS, mve=True)
    if "dsp" in isa:
        return Variant(Layout.PAIRS, dsp=True)
    return Variant(Layout.ROWS)
