"""Figures of language models on microcontrollers: what peers take today, what must be reached, what was aimed at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
TOKENS_GOLDEN = GOLDEN / "token_instructions.json"
NETS_GOLDEN = GOLDEN / "net_instructions.json"
CONTEXT = 64
"""Positions 0 to 63."""
TOKEN_TARGETS = {"m4": "mps2-an386", "m55": "mps3-an547"}
GEMV_LABEL, GEMV_PRODUCTS = "gemv_i8_requant 256x256", 256 * 256


@dataclass(frozen=True)
class Figure:
    """Smaller is better. `shown` formats a number of it; `peer` is measured (docs/microcontrollers.md says how)."""

    name: str
    peer: str
    must: float
    aim: float
    shown: str

    def row(self, reached: float) -> list[str]:
        """Name, peer, must, aim, reached."""
        mark = "" if reached <= self.aim else "  misses the aim" if reached <= self.must else "  MISSES WHAT MUST BE"
        limits = (f"≤ {self.shown.format(limit)}" for limit in (self.must, self.aim))
        return [self.name, self.peer, *limits, self.shown.format(reached) + mark]


COUNT, SHARE, BYTES = "{:,.0f}", "{:.3f}", "{:,.0f} B"
TOKEN = {
    "m4": Figure("stories260k int8, M4, insn/token, positions 0→63", "1.4–1.9 M", 500_000, 400_000, COUNT),
    "m55": Figure("the same, M55", "0.5–0.8 M", 150_000, 100_000, COUNT),
}
GEMV = {
    "m4": Figure("GEMV 256×256 int8 requantized, insn/MAC, M4", "2.07", 1.1, 1.0, SHARE),
    "m55": Figure("the same, M55", "0.52", 0.20, 0.16, SHARE),
}
FLASH = Figure("flash beyond weights and vocabulary, int8", "57–64 KB", 12 * 1024, 8 * 1024, BYTES)
RAM = Figure("RAM ÷ (live set + KV cache)", "–", 1.15, 1.10, SHARE)
TITLES = ["figure", "peer today", "must", "aim", "reached"]


NETS = {
    ("dense", "m4"): Figure("4 × FC256 + softmax, static int8, M4", "667,436", 290_000, 270_000, COUNT),
    ("dense", "m55"): Figure("the same, M55", "269,475", 60_000, 50_000, COUNT),
    ("layer", "m4"): Figure("encoder layer T=16 d=64 h=4 ffn=256, static int8, M4", "2.56 M", 1.3e6, 1.0e6, COUNT),
    ("layer", "m55"): Figure("the same, M55", "0.95 M", 350_000, 250_000, COUNT),
}
NET_FLASH = {
    "dense": Figure("flash beyond parameters, 4 × FC256 + softmax", "41 KB", 4 * 1024, 3 * 1024, BYTES),
    "layer": Figure("the same, encoder layer", "64 KB", 8 * 1024, 6 * 1024, BYTES),
}


def reached(kernels: dict[str, Any], tokens: dict[str, Any], nets: dict[str, Any]) -> Iterator[tuple[Figure, float]]:
    """Each figure, from counts of bench_mcu, bench_mcu_tokens, bench_mcu_nets. Memories are the greater core's."""
    for core, figure in TOKEN.items():
        yield figure, mean(tokens["positions"][core])
    for core, figure in GEMV.items():
        yield figure, kernels["instructions"][core][GEMV_LABEL] / GEMV_PRODUCTS
    yield FLASH, max(tokens["flash"].values())
    yield RAM, max(tokens["ram"].values())
    for (net, core), figure in NETS.items():
        yield figure, nets[net][core]["instructions"]
    for net, figure in NET_FLASH.items():
        yield figure, max(found["flash"] for found in nets[net].values())
