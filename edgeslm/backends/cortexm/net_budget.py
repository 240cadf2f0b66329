"""What a net's firmware takes of flash and RAM, by item, before anything is compiled.

Weights, tables, structs and the arena are exact; code is what the parts took that its steps call (measured).
"""

from __future__ import annotations

from edgeslm.backends.cortexm.budget import KIB, FirmwareBudget, kind_of
from edgeslm.backends.cortexm.net import PlannedNet
from edgeslm.backends.cortexm.net_extents import net_macros
from edgeslm.backends.cortexm.net_program import Object
from edgeslm.target import Target

FIRMWARE_RAM = 1_060
"""Receiver and counters: what the firmware keeps besides the net's arena."""
FIRMWARE_CODE = 1_720
"""Start-up, UART, frames, requests, the ports of the net."""
STEP_BYTES = 25
"""Of code for each call."""
KERNEL_BYTES = {
    "fixed": {
        "linear": 490, "matmul": 280, "add": 510, "sub": 140, "mul": 240, "squared_difference": 440, "softmax": 370,
        "mean": 240, "table": 30, "powers": 310, "gather": 90, "copy": 210, "fill": 30, "to": 900, "from": 830,
    },
    "dsp": {
        "linear": 1_350, "matmul": 640, "add": 620, "sub": 140, "mul": 250, "squared_difference": 370, "softmax": 560,
        "mean": 280, "table": 80, "powers": 310, "gather": 90, "copy": 220, "fill": 30, "to": 120, "from": 80,
    },
    "mve": {
        "linear": 880, "matmul": 600, "add": 710, "sub": 150, "mul": 330, "squared_difference": 500, "softmax": 540,
        "mean": 250, "table": 60, "powers": 360, "gather": 90, "copy": 220, "fill": 30, "to": 120, "from": 80,
    },
}  # fmt: skip
"""By the kind of kernels (budget.kind_of) and kernel, with what it calls: arm-none-eabi-gcc 12.2. Where there are no
floats, `to` and `from` bring the compiler's own."""
TAILS_BYTES = {"fixed": 0, "dsp": 1_050, "mve": 620}
"""Of a linear layer's kernel whose matrices are not all of whole blocks, or have factors of both kinds."""
STRUCT_BYTES = {
    "edgeslm_pair_shape": 100,
    "edgeslm_matmul_shape": 80,
    "edgeslm_linear_shape": 32,
    "edgeslm_copy_shape": 64,
    "edgeslm_integers": 12,
}


def net_budget(target: Target, planned: PlannedNet, stack_bytes: int) -> FirmwareBudget:
    program = planned.program
    objects = {one for step in program.steps for one in step.arguments if isinstance(one, Object)}
    structs = sum(STRUCT_BYTES[one.type] for one in objects)
    kind, kernels = kind_of(planned.variant), {short_name(step.kernel) for step in program.steps}
    sizes = KERNEL_BYTES.get(kind, KERNEL_BYTES["fixed"])
    code = FIRMWARE_CODE + STEP_BYTES * len(program.steps) + structs + sum(sizes[kernel] for kernel in kernels)
    macros = net_macros(program.steps)
    if "linear" in kernels and (macros["EDGESLM_NET_COLUMN_TAILS"] or macros["EDGESLM_NET_ROW_TAILS"]):
        code += TAILS_BYTES.get(kind, 0)
    return FirmwareBudget(
        flash={"code": code, "weights": program.bytes_of("weights"), "tables": program.bytes_of("tables")},
        ram={"activations": planned.memory.bytes, "stack": stack_bytes, "firmware": FIRMWARE_RAM},
        flash_available=target.memory.storage_kib * KIB,
        ram_available=target.memory.ram_kib * KIB,
        arena=tuple(planned.memory.placed),
    )


def short_name(kernel: str) -> str:
    return kernel.removeprefix("edgeslm_").removesuffix("_s8")
