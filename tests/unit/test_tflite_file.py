"""A .tflite file that anybody may have made: read whole, or refused with the place; no crash, never all of memory."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeslm.errors import CheckpointError, UnsupportedError
from edgeslm.formats.flatbuffer import Flatbuffer
from edgeslm.formats.tflite import pack_tflite, parse_tflite, schema
from edgeslm.formats.tflite_file import LARGEST_FILE, open_tflite, parse_tflite_file
from edgeslm.formats.tflite_names import ACTIVATIONS, OPERATORS, TYPES
from tests.fuzz.tflite_files import read
from tests.unit.tflite_int8 import Net, sample
from tests.unit.tflite_seeds import every_operator, seeds

pytest.importorskip("ai_edge_litert")
ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "corpus" / "tflite"
WHOLE = every_operator().pack()


def test_names_are_the_schema_s() -> None:
    for names, enumeration in (
        (OPERATORS, schema().BuiltinOperator),
        (TYPES, schema().TensorType),
        (ACTIVATIONS, schema().ActivationFunctionType),
    ):
        said = {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}
        assert dict(enumerate(names)) == said


def test_what_is_read_is_what_the_schema_s_classes_read() -> None:
    file, model = parse_tflite_file(WHOLE, "whole"), parse_tflite(WHOLE, "whole")
    subgraph = model.subgraphs[0]
    assert (file.inputs, file.outputs) == (tuple(subgraph.inputs), tuple(subgraph.outputs))
    for tensor, told in zip(file.tensors, subgraph.tensors, strict=True):
        assert tensor.name == told.name.decode()
        assert tensor.shape == tuple(told.shape if told.shape is not None else ())
        assert TYPES.index(tensor.type) == told.type
        data = model.buffers[told.buffer].data
        assert (tensor.data is None) == (data is None)
        if data is not None:
            assert bytes(tensor.data or b"") == data.tobytes()
        scales = None if told.quantization is None else told.quantization.scale
        assert (tensor.scales is None) == (scales is None)
        if tensor.scales is not None:
            np.testing.assert_array_equal(tensor.scales.scales, scales)
            np.testing.assert_array_equal(tensor.scales.zero_points, told.quantization.zeroPoint)
    for operator, told in zip(file.operators, subgraph.operators, strict=True):
        assert OPERATORS.index(operator.kind) == model.operatorCodes[told.opcodeIndex].builtinCode
        assert (operator.inputs, operator.outputs) == (tuple(told.inputs), tuple(told.outputs))


# ---- Damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_the_corpus_of_fuzzing_is_read_or_refused(path: Path) -> None:
    read(path.read_bytes())


def test_a_file_cut_short_is_refused() -> None:
    """A flatbuffer grows to the front: what is cut off may hold nothing that is read, but then all is as it was."""
    for length in range(0, len(WHOLE) - 1, 29):
        read(WHOLE[:length])
    for length in (0, 3, 7, 8, 40, len(WHOLE) // 2):
        with pytest.raises(CheckpointError, match=r"cut is no \.tflite file that can be read: "):
            parse_tflite_file(WHOLE[:length], "cut")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 7)
)
def test_bytes_that_changed(changes: list[tuple[int, int]], width: int) -> None:
    raw = bytearray(WHOLE)
    for place, value in changes:
        raw[place : place + width] = bytes([value]) * len(raw[place : place + width])
    read(bytes(raw))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(WHOLE) // 4 - 1), st.sampled_from((0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 8)))
def test_offsets_and_counts_that_lead_out_of_the_file(word: int, value: int) -> None:
    raw = bytearray(WHOLE)
    struct.pack_into("<I", raw, 4 * word, value)
    read(bytes(raw))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_junk(junk: bytes) -> None:
    read(junk)
    read(b"\x10\0\0\0TFL3" + junk)


def two_layers(change: Callable[[Net, list[Any]], None]) -> bytes:
    """x -> a -> b through two operators, changed."""
    net = Net()
    x = net.input([2, 4], 0.1)
    net.outputs = [net.add("RELU", [net.add("RELU", [x], [2, 4], 0.1)], [2, 4], 0.1)]
    change(net, net.graph.subgraph.operators)
    return net.pack()


def _cycle(net: Net, operators: list[Any]) -> None:
    operators[0].inputs = operators[1].outputs


def _wrong_order(net: Net, operators: list[Any]) -> None:
    operators.reverse()


def _twice(net: Net, operators: list[Any]) -> None:
    operators[1].outputs = operators[0].outputs


def _beyond(net: Net, operators: list[Any]) -> None:
    operators[1].inputs = np.array([77], np.int32)


def _no_code(net: Net, operators: list[Any]) -> None:
    operators[1].opcodeIndex = 9


def _no_buffer(net: Net, operators: list[Any]) -> None:
    net.graph.subgraph.tensors[1].buffer = 9


def _huge(net: Net, operators: list[Any]) -> None:
    net.graph.subgraph.tensors[1].shape = np.array([2**31 - 1, 2**31 - 1, 2**31 - 1], np.int32)


def _negative(net: Net, operators: list[Any]) -> None:
    net.graph.subgraph.tensors[1].shape = np.array([-2, -4], np.int32)


def _many_axes(net: Net, operators: list[Any]) -> None:
    net.graph.subgraph.tensors[1].shape = np.ones(9, np.int32)


def _constant_of_another_size(net: Net, operators: list[Any]) -> None:
    net.graph.subgraph.tensors[net.constant(sample([4], 4), [0.1])].shape = np.array([5], np.int32)


def _missing_constant(net: Net, operators: list[Any]) -> None:
    operators[1].inputs = np.array([net.tensor("weights", [2, 4], 0.1)], np.int32)


def _version(net: Net, operators: list[Any]) -> None:
    net.model.version = 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_cycle, r'operator 0 RELU \("t2" -> "t1"\) reads "t2", which nothing has made before: a cycle'),
        (_wrong_order, r'operator 0 RELU \("t1" -> "t2"\) reads "t1"'),
        (_twice, r'operator 1 RELU \("t1" -> "t1"\) makes "t1", which is there already'),
        (_beyond, "operator 1: RELU: it names tensor 77 of 3"),
        (_no_code, "operator 1: its code is 9 of 1"),
        (_no_buffer, 'tensor 1: "t1": it lies in buffer 9 of 1'),
        (_huge, r'tensor 1: "t1": its shape is \[2147483647, 2147483647, 2147483647\] of INT8'),
        (_negative, r'tensor 1: "t1": its shape is \[-2, -4\]'),
        (_many_axes, 'tensor 1: "t1": it has more than 8 axes'),
        (_constant_of_another_size, r'tensor 3: "c3": \[5\] of INT8 takes 5 bytes, its buffer has 4'),
        (_missing_constant, r'operator 1 RELU \("weights" -> "t2"\) reads "weights".*constant without its values'),
        (_version, "version 2 of the format"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(change: Callable[[Net, list[Any]], None], says: str) -> None:
    with pytest.raises(CheckpointError, match=says) as caught:
        parse_tflite_file(two_layers(change), "net.tflite")
    assert caught.value.hint


def test_a_buffer_behind_the_flatbuffer() -> None:
    """As writers of large models place them: by offset and size."""

    def pack(offset: int, size: int) -> bytes:
        import flatbuffers  # type: ignore[import-untyped]  # the package has no types

        net = Net()
        net.constant(sample([6], 4), [0.1])
        net.model.buffers[1] = schema().BufferT(data=None, offset=offset, size=size)
        builder = flatbuffers.Builder(1024)
        builder.Finish(net.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    end = len(pack(1 << 20, 6))
    whole = pack(end, 6) + bytes([1, 2, 3, 4, 5, 6])
    assert parse_tflite_file(whole, "far").tensors[0].values().tolist() == [1, 2, 3, 4, 5, 6]
    for raw in (whole[:-1], pack(2**63, 6), pack(8, 2**63)):
        with pytest.raises(CheckpointError, match="ends behind the file's end"):
            parse_tflite_file(raw, "far")


def test_a_small_file_does_not_unpack_to_much() -> None:
    """Sixty thousand operators that are all the same one, with as many operands."""
    net = Net()
    x = net.input([1], 0.1)
    net.place("CONCATENATION", [x] * 60_000, [net.tensor("y", [60_000], 0.1)])
    net.graph.subgraph.operators = [_Same(net.graph.subgraph.operators[0])] * 60_000
    with pytest.raises(CheckpointError, match="its lists share their bytes"):
        parse_tflite_file(net.pack(), "bomb")


class _Same:
    """An operator that is packed once, however often it is listed."""

    def __init__(self, operator: Any) -> None:
        self.operator, self.place = operator, 0

    def Pack(self, builder: Any) -> int:  # noqa: N802  # the generated classes' name for it
        self.place = self.place or self.operator.Pack(builder)
        return self.place


def test_several_graphs_in_a_file() -> None:
    net = every_operator()
    net.pack()
    net.model.subgraphs.append(deepcopy(net.graph.subgraph))
    with pytest.raises(UnsupportedError, match="2 subgraphs"):
        parse_tflite_file(bytes(pack_tflite(net.model)), "net.tflite")


def test_files_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, says in ((tmp_path / "none.tflite", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(CheckpointError, match=says):
            open_tflite(path)
    monkeypatch.setattr("edgeslm.formats.tflite_file.LARGEST_FILE", 100)
    (tmp_path / "large.tflite").write_bytes(WHOLE)
    with pytest.raises(CheckpointError, match="more than 100 bytes"):
        open_tflite(tmp_path / "large.tflite")
    assert len(WHOLE) < LARGEST_FILE


def test_names_are_printable() -> None:
    net = Net()
    net.tensor("a\n\x1b[31m*/\u202e", [1], 0.1)
    (tensor,) = parse_tflite_file(net.pack(), "names").tensors
    assert tensor.name == "a??[31m*/?"


def test_numbers_lie_where_they_say() -> None:
    assert Flatbuffer(b"\x01\0\0\0\xff\xff\xff\x7f").unpack("i", 4) == 2**31 - 1


@pytest.mark.deep
def test_half_an_hour_of_fuzzing(tmp_path: Path) -> None:
    """What crashes is kept in the corpus, to be read by the tests above from then on."""
    pytest.importorskip("atheris", reason="atheris is in edgeslm[dev]")
    for name, raw in seeds().items():
        (tmp_path / name).write_bytes(raw)
    limits = ["-max_total_time=1800", "-max_len=8192", "-timeout=60", "-rss_limit_mb=2048"]
    command = [sys.executable, str(ROOT / "tests" / "fuzz" / "tflite_files.py"), str(tmp_path), str(CORPUS), *limits]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    done = subprocess.run(
        [*command, f"-artifact_prefix={CORPUS}/"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
