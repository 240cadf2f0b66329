"""A net of static int8 -> generated C for one kind of core: its steps and memory first, then the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeslm.artifacts import FIRMWARE, CompiledModel, StoredTensor, TensorSpec
from edgeslm.backends.cortexm.memory import MemoryPlan, plan_memory
from edgeslm.backends.cortexm.net_emit import FILES, emit_net
from edgeslm.backends.cortexm.net_kernels import write_steps
from edgeslm.backends.cortexm.net_places import NetPlaces
from edgeslm.backends.cortexm.net_program import NetProgram, Place, Port
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.digest import files_digest
from edgeslm.ir.graph import Graph, Tensor
from edgeslm.ir.integer_passes import simplify_integers
from edgeslm.ir.integer_passes.ids import most_ids

SCHEME = "int8-static"


@dataclass(frozen=True)
class PlannedNet:
    """A net as calls, with its sizes."""

    program: NetProgram
    memory: MemoryPlan
    variant: Variant


def program_net(graph: Graph, variant: Variant) -> PlannedNet:
    """Calls and sizes of a graph as import_tflite gives it. Raises UnsupportedOpError for what no kernel computes."""
    simple = simplify_integers(graph)
    places = NetPlaces(simple, variant)
    ids = most_ids(simple)

    def port(tensor: Tensor) -> Port:
        view, given = places.view(tensor.name), tensor.quantization
        place = Place(view.buffer, view.start * places.width(view.buffer))
        scale = None if given is None or tensor.dtype != "int8" else given.scales[0]
        zero = given.zero_points[0] if given is not None and given.zero_points else 0
        return Port(tensor.name, place, tensor.dtype, tensor.shape, scale, zero, ids.get(tensor.name))

    inputs = tuple(port(tensor) for tensor in simple.inputs)
    write_steps(places)
    outputs = tuple(port(simple.tensor(name)) for name in simple.outputs)
    used = {one.buffer for step in places.steps for one in step.arguments if isinstance(one, Place)}
    used |= {one.place.buffer for one in (*inputs, *outputs)}
    sizes = {name: size for name, size in places.sizes.items() if name in used}
    program = NetProgram(tuple(places.steps), sizes, tuple(places.arrays.values()), inputs, outputs)
    return PlannedNet(program, plan_memory(program.buffers()), variant)


def write_net(planned: PlannedNet, name: str, out: Path, parent: str) -> CompiledModel:
    """Write the generated C into `out`."""
    program = planned.program
    emit_net(program, planned.memory, name, planned.variant, out)
    return CompiledModel(
        root=out,
        digest=files_digest(out, FILES),
        parent=parent,
        backend="cortexm",
        scheme=SCHEME,
        runtime=FIRMWARE,
        files=FILES,
        lengths=(),
        stored=tuple(
            StoredTensor(array.tensors[0], array.name, "int8", array.bytes)
            for array in program.arrays
            if array.kind == "weights"
        ),
        kept_float=(),
        inputs=tuple(_spec(port) for port in program.inputs),
        outputs=tuple(_spec(port) for port in program.outputs),
    )


def _spec(port: Port) -> TensorSpec:
    zero_point = None if port.scale is None else port.zero_point
    return TensorSpec(port.name, port.dtype, port.shape, port.scale, zero_point, port.ids)
