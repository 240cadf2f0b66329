"""Generated nets, compiled for the host as each kind of core has them packed: the reference's bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeslm.backends.cortexm.host_net import HostNet
from edgeslm.backends.cortexm.memory import live_bytes
from edgeslm.backends.cortexm.net import PlannedNet, program_net, write_net
from edgeslm.backends.cortexm.packing import Layout
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.fidelity.net_score import sample
from edgeslm.formats.tflite_file import parse_tflite_file
from edgeslm.ir.import_tflite import import_tflite
from edgeslm.ir.interpret_integers import IntegerInterpreter
from tests.firmware.host_program import require_tool
from tests.unit.random_nets import random_net
from tests.unit.tflite_int8 import Net
from tests.unit.tflite_int8 import sample as int8_sample
from tests.unit.tflite_nets import a_layer, an_encoder, integers
from tests.unit.tflite_seeds import a_pooled_slice, every_operator

VARIANTS = [Variant(Layout.ROWS, fixed=True), Variant(Layout.PAIRS), Variant(Layout.VECTORS)]
Hold = Callable[[bytes, Variant], PlannedNet]


@pytest.fixture(scope="module")
def hold(tmp_path_factory: pytest.TempPathFactory) -> Hold:
    """hold(file, variant): all outputs of the compiled net are the reference's."""
    require_tool("cc", "build-essential")

    def check(raw: bytes, variant: Variant) -> PlannedNet:
        graph = import_tflite(parse_tflite_file(raw, "net"), "cortexm")
        planned, folder = program_net(graph, variant), tmp_path_factory.mktemp("net")
        made = write_net(planned, "net", folder, "0")
        reference = IntegerInterpreter(graph)
        host = HostNet(folder, variant, made.inputs, made.outputs)
        for number in range(6):
            given = sample(made.inputs, number)
            wanted, found = reference.run(given), host.run(given)
            for name, values in wanted.items():
                np.testing.assert_array_equal(found[name], values)
        host.close()
        return planned

    return check


@pytest.mark.parametrize("seed", range(100, 118))
def test_random_nets(seed: int, hold: Hold) -> None:
    hold(random_net(seed, 14), VARIANTS[seed % 3])


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_operator(variant: Variant, hold: Hold) -> None:
    hold(every_operator().pack(), variant)


def test_other_whole_nets(hold: Hold) -> None:
    for variant, net in zip(VARIANTS, (an_encoder("GELU"), an_encoder("RELU"), a_pooled_slice()), strict=True):
        hold(net.pack(), variant)


def copies(planned: PlannedNet) -> int:
    return sum(step.kernel == "edgeslm_copy" for step in planned.program.steps)


def test_heads_are_read_and_written_by_strides(hold: Hold) -> None:
    """Nothing of a layer is copied, and its memory is what is alive at once."""
    planned = hold(a_layer("RELU", 4, 16, 2, 16).pack(), VARIANTS[1])
    assert copies(planned) == 0
    assert planned.memory.bytes == live_bytes(planned.memory.buffers)


def test_parts_are_made_in_their_place(hold: Hold) -> None:
    """Heads that a converter wrote one by one: sliced from one layer's result, multiplied, joined."""
    net, given = Net(), (0.1, 3)
    x = net.input([4, 8], *given)
    heads = []
    for head in range(2):
        begin, size = integers(net, 0, 4 * head), integers(net, 4, 4)
        part = net.add("SLICE", [x, begin, size], [4, 4], *given)
        heads.append(net.add("BATCH_MATMUL", [part, part], [4, 4], 0.5, 0, options_of="BatchMatMulOptions", adjY=True))
    net.outputs = [net.add("CONCATENATION", heads, [4, 8], 0.5, 0, axis=1)]
    assert copies(hold(net.pack(), VARIANTS[2])) == 0


def test_more_axes_than_kernels_have_loops_for(hold: Hold) -> None:
    net, given = Net(), (0.1, 3)
    x = net.input([2, 3, 2, 3, 2, 2], *given)
    y = net.add("TRANSPOSE", [x, integers(net, 5, 3, 1, 4, 2, 0)], [2, 3, 3, 2, 2, 2], *given)
    other = net.constant(int8_sample([1, 3, 1, 2, 1, 2], 8), [0.1])
    total = net.add("ADD", [y, other], [2, 3, 3, 2, 2, 2], 0.2, 1)
    net.outputs = [y, total, net.add("SUB", [other, y], [2, 3, 3, 2, 2, 2], 0.2, 1)]
    hold(net.pack(), VARIANTS[0])


def test_numbers_of_other_types_go_through(hold: Hold) -> None:
    """Floats in and out, ids that are handed on, an output that is an input, one that is known, one told twice."""
    net = Net()
    x = net.input([2, 6], dtype=np.float32)
    ids = net.input([3], dtype=np.int32)
    table = net.constant(np.arange(12, dtype=np.float32).reshape(4, 3))
    rows = net.add("GATHER", [table, ids], [3, 3], dtype=np.float32)
    y = net.add("QUANTIZE", [x], [2, 6], 0.05, 7)
    back = net.add("DEQUANTIZE", [y], [2, 6], dtype=np.float32)
    turned = net.add("TRANSPOSE", [x, integers(net, 1, 0)], [6, 2], dtype=np.float32)
    padded = net.add("PAD", [ids, net.constant(np.array([[1, 2]], np.int32))], [6], dtype=np.int32)
    known = net.constant(int8_sample([5], 9), [0.1])
    known = net.add("RESHAPE", [known, integers(net, 5, 1)], [5, 1], 0.1)
    net.outputs = [back, y, rows, turned, padded, known, x, y]
    hold(net.pack(), VARIANTS[1])


def test_an_id_outside_of_its_table_is_refused(tmp_path: Path) -> None:
    require_tool("cc", "build-essential")
    graph = import_tflite(parse_tflite_file(an_encoder("RELU").pack(), "net"), "cortexm")
    made = write_net(program_net(graph, VARIANTS[0]), "net", tmp_path, "0")
    host = HostNet(tmp_path, VARIANTS[0], made.inputs, made.outputs)
    given = {"in0": np.zeros(6, np.int32)}
    assert host.try_run(given) == 0
    for wrong in (11, -1, 2**31 - 1, -(2**31)):
        given["in0"][4] = wrong
        assert host.try_run(given) == 1
    host.close()
