"""Instructions of whole nets of static int8 on emulated microcontrollers, and what their firmware takes of flash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgeslm.backends.cortexm.net import program_net, write_net
from edgeslm.backends.cortexm.variant import choose_variant
from edgeslm.bundle.manifest import ModelPart
from edgeslm.fidelity.net_score import sample
from edgeslm.firmware.board import Board
from edgeslm.firmware.image import build_image
from edgeslm.firmware.net_board import BoardNet
from edgeslm.firmware.qemu import emulated, instructions
from edgeslm.formats.description import describe_net
from edgeslm.formats.tflite_file import parse_tflite_file
from edgeslm.ir.import_tflite import import_tflite
from edgeslm.target import load_target
from tests.unit.tflite_int8 import Net
from tests.unit.tflite_nets import a_layer, a_stack

NETS: dict[str, Callable[[], Net]] = {"dense": a_stack, "layer": lambda: a_layer("RELU")}
"""4 layers of 256 and a softmax; an encoder's layer of 16 tokens, 64 wide, 4 heads, 256 within, with norms and ReLU."""
TARGETS = {"m4": "mps2-an386", "m55": "mps3-an547"}
ROOMS = ("boards", "protocol")
"""Of an image: start-up, UART, counter, frames, requests."""


def net_counts(folder: Path) -> dict[str, Any]:
    """{"compiler": version, net: {core: {"instructions": of a run, to one tick; "flash": bytes beyond its weights;
    "code": of them, those that are neither start-up, UART nor protocol}}}."""
    counts: dict[str, Any] = {name: {} for name in NETS}
    for name, make in NETS.items():
        for core, target in TARGETS.items():
            out = folder / f"{name}-{core}"
            out.mkdir()
            counts["compiler"], counts[name][core] = _counted(name, make(), target, out)
    return counts


def _counted(name: str, net: Net, target_name: str, out: Path) -> tuple[str, dict[str, int]]:
    target = load_target(target_name)
    graph = import_tflite(parse_tflite_file(net.pack(), name), "cortexm")
    made = write_net(program_net(graph, choose_variant(target.cpu.isa)), name, out, "0" * 64)
    image = build_image(target, out, out / "image")
    model = ModelPart.model_validate(describe_net(made), strict=False)
    with emulated(target, image.elf, out / "qemu.log") as line:
        ran = BoardNet(Board(line, target_name, starts=True), model).measure(sample(made.inputs, 5))
    flash = image.memory.code
    code = flash - sum(image.memory.flash[room] for room in ROOMS)
    return image.compiler, {"instructions": instructions(target, ran.ticks), "flash": flash, "code": code}


def net_changes(golden: dict[str, Any], counts: dict[str, Any]) -> Iterator[str]:
    """What differs from the golden file, a line each."""
    for name in NETS:
        for core, found in counts[name].items():
            for what, number in found.items():
                before = golden.get(name, {}).get(core, {}).get(what)
                if before != number:
                    yield f"{name} on {core}, {what}: {number:,}, golden {before}"
