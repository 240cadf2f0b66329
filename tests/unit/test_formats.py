"""Samples on disk, and ONNX files that reach outside their folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper

from edgeslm.errors import CheckpointError
from edgeslm.formats.onnx_file import load_onnx
from edgeslm.formats.samples import read_samples, write_samples


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["input_ids", "attention_mask", "x"]),
            arrays.arrays(st.sampled_from([np.int32, np.float32]), arrays.array_shapes(max_dims=3, max_side=4)),
            min_size=1,
        ),
        max_size=12,
    )
)
@settings(deadline=None, max_examples=30)
def test_samples_come_back_and_bytes_repeat(tmp_path_factory: pytest.TempPathFactory, samples: list[dict]) -> None:  # type: ignore[type-arg]  # hypothesis' arrays are untyped
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder / "a.npz", samples)
    write_samples(folder / "b.npz", samples)
    assert (folder / "a.npz").read_bytes() == (folder / "b.npz").read_bytes()
    found = read_samples(folder / "a.npz")
    assert [list(sample) for sample in found] == [list(sample) for sample in samples]
    for one, other in zip(found, samples, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def external(folder: Path, location: str, length: int = 16) -> Path:
    """A model whose one weight lies in a file of its own."""
    folder.mkdir(exist_ok=True)
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4], [0.0] * 4)
    weight.ClearField("float_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(length))):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    model = helper.make_model(helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [weight]))
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_is_mapped_from_the_models_folder(tmp_path: Path) -> None:
    path = external(tmp_path / "m", "w.bin")
    (tmp_path / "m" / "w.bin").write_bytes(np.array([1, 2, 3, 4], np.float32).tobytes())
    tensor = load_onnx(path).graph.initializers["w"].const_value
    assert tensor is not None
    assert tensor.numpy().tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "sub/../../secret.bin"])
def test_external_data_may_not_leave_the_folder(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    with pytest.raises(CheckpointError, match="outside the model's folder"):
        load_onnx(external(tmp_path / "m", location))


def test_external_data_may_not_leave_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    path = external(tmp_path / "m", "w.bin")
    os.symlink(tmp_path / "secret.bin", tmp_path / "m" / "w.bin")
    with pytest.raises(CheckpointError, match="outside the model's folder"):
        load_onnx(path)
    (tmp_path / "m" / "w.bin").unlink()
    (tmp_path / "m" / "real.bin").write_bytes(bytes(16))
    os.symlink("real.bin", tmp_path / "m" / "w.bin")
    with pytest.raises(CheckpointError, match="not a regular file"):
        load_onnx(path)


def test_external_data_ends_with_its_file(tmp_path: Path) -> None:
    path = external(tmp_path / "m", "w.bin")
    (tmp_path / "m" / "w.bin").write_bytes(bytes(8))
    with pytest.raises(CheckpointError, match="beyond the end"):
        load_onnx(path)


@pytest.mark.parametrize("data", [b"", b"not a model", bytes(100)])
def test_a_damaged_file_is_no_model(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"model\.onnx"):
        load_onnx(tmp_path / "model.onnx")


def test_noise_goes_to_the_log_and_output_comes_back(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from edgeslm.formats.quiet import quiet_output\n"
        "with quiet_output(pathlib.Path(sys.argv[1])): os.write(1, b'from C++\\n'); print('from Python')\n"
        "print('after')"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "log"], capture_output=True, text=True, check=True)
    assert done.stdout == "after\n"
    assert (tmp_path / "log").read_text() == "from C++\nfrom Python\n"
