"""Decide, as data, for a net that came quantized (a .tflite file): flash and RAM by item, and what would fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeslm.artifacts import Checkpoint, QuantPlan, TensorChoice
from edgeslm.backends.cortexm.budget import FirmwareBudget, require_fit
from edgeslm.backends.cortexm.net import SCHEME, PlannedNet, program_net
from edgeslm.backends.cortexm.net_budget import net_budget
from edgeslm.backends.cortexm.net_program import Port
from edgeslm.backends.cortexm.variant import Variant, choose_variant
from edgeslm.errors import ConfigError, InternalError, UnsupportedError, UnsupportedSchemeError
from edgeslm.firmware.image import STACK_BYTES
from edgeslm.firmware.qemu import not_run_here
from edgeslm.formats.tflite_file import open_tflite
from edgeslm.ir.graph import Graph
from edgeslm.ir.import_tflite import import_tflite
from edgeslm.planning import with_digest
from edgeslm.quantize.schemes import find_scheme
from edgeslm.stages.firmware_graph import BACKEND
from edgeslm.stages.firmware_plan import FirmwarePlan, chosen_scheme, describe_memory
from edgeslm.target import Target, list_targets

AS_IT_CAME = "as the file has it"
REASONS = {
    "--max-length": "its shapes are what the file says",
    "--context": "it is no language model",
    "--kv-cache": "it is no language model",
    "--calibration": "it is quantized already",
    "--eval": "it takes no text; it is held to the bits that its file means",
    "--min-fidelity": "it is held to the bits that its file means, all of them",
    "--plan": "its tensors are stored as they came",
    "--vendor-wheels": "firmware has no Python packages",
}
"""Flags of a build that a net has no use for, and why."""


def reject_net_options(checkpoint: Checkpoint, given: Mapping[str, object]) -> None:
    """Raises ConfigError for the first flag that was given and means nothing here."""
    for flag, why in REASONS.items():
        if given[flag] not in (None, False):
            raise ConfigError(f"{checkpoint.name} is a .tflite file that came quantized: {why}", f"leave out {flag}")


LITERT = {
    "linux": "pip install ai-edge-litert on the device, and open the file with its Interpreter",
    "android": "open it from the app's assets by LiteRT's CompiledModel",
}
"""What takes such a file where there is a system."""


def decide_net(
    target: Target,
    checkpoint: Checkpoint,
    scheme: str | None = None,
    backend: str | None = None,
    converter: str | None = None,
) -> FirmwarePlan:
    """The plan for this net on this target; nothing is compiled.

    Raises UnsupportedError for a target that runs Linux, UnsupportedOpError for an operator that cannot be compiled,
    UnsupportedSchemeError, DoesNotFitError.
    """
    if not target.is_firmware:
        names = ", ".join(one.name for one in list_targets() if one.is_firmware)
        raise UnsupportedError(
            f"{target.name} runs {target.packaging.capitalize()}, and a .tflite file is run there as it is: edgeslm "
            "compiles it for microcontrollers",
            f"{LITERT[target.packaging]}; or --target one of {names}",
        )
    _require_scheme(checkpoint, scheme)
    chosen = chosen_scheme(target, SCHEME, backend, converter)
    graph = net_graph(checkpoint)
    planned = program_net(graph, choose_variant(target.cpu.isa))
    budget = net_budget(target, planned, STACK_BYTES)
    if not budget.fits:
        require_fit(checkpoint.name, target, budget, _what_would_fit(graph, target))
    program = planned.program
    plan = QuantPlan(
        target=target.name,
        backend=BACKEND,
        scheme=chosen.name,
        choices={one.name: TensorChoice("int8", AS_IT_CAME) for one in checkpoint.parameters},
        reasons=(
            f"scheme {chosen.name}: {AS_IT_CAME}",
            f"backend {BACKEND}: {target.title} runs no system; the net is compiled to C",
            f"takes {_described(program.inputs)}",
            f"gives {_described(program.outputs)}",
            f"{len(program.steps)} calls of kernels for {len(graph.nodes)} nodes of the file's graph",
            describe_memory("flash", budget.flash, budget.flash_available),
            describe_memory("RAM", budget.ram, budget.ram_available),
        ),
        warnings=not_run_here(target),
        lengths=(),
        weight_bytes=budget.flash["weights"],
        resident_bytes=budget.ram_bytes,
    )
    return FirmwarePlan(with_digest(plan), budget)


def net_graph(checkpoint: Checkpoint) -> Graph:
    """The graph of the file. Raises UnsupportedOpError with index and tensors of the operator."""
    if checkpoint.net is None:
        raise InternalError(f"{checkpoint.name} is planned as a .tflite file, and is none")
    path: Path = checkpoint.net
    return import_tflite(open_tflite(path), BACKEND)


def net_program(checkpoint: Checkpoint, variant: Variant) -> PlannedNet:
    return program_net(net_graph(checkpoint), variant)


def _require_scheme(checkpoint: Checkpoint, scheme: str | None) -> None:
    if scheme is not None and find_scheme(scheme).name != SCHEME:
        raise UnsupportedSchemeError(
            f"{checkpoint.name} is a .tflite file that is int8 already, activations included: {scheme} is not what it "
            f"is, and {SCHEME} is",
            "leave out --scheme",
        )


def _described(ports: tuple[Port, ...]) -> str:
    return ", ".join(f"{port.name} {port.dtype}{list(port.shape)}" for port in ports) or "nothing"


def _what_would_fit(graph: Graph, target: Target) -> str:
    """The smallest target that takes the net."""
    budgets: dict[Variant, PlannedNet] = {}

    def budget(on: Target) -> FirmwareBudget:
        variant = choose_variant(on.cpu.isa)
        if variant not in budgets:
            budgets[variant] = program_net(graph, variant)
        return net_budget(on, budgets[variant], STACK_BYTES)

    fitting = [one for one in list_targets() if one.is_firmware and one.name != target.name and budget(one).fits]
    fitting.sort(key=lambda one: (one.memory.ram_kib + one.memory.storage_kib, one.name))
    if fitting:
        return f"the smallest target that takes it: {fitting[0].name}"
    return "no built-in target takes it: a smaller net is needed"
