"""Kernels of OpenVINO: each is what the plugin makes of its graph, and a device tells what each takes."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import pytest

from edgeslm.artifacts import TensorChoice
from edgeslm.backends import openvino as backend
from edgeslm.cost.kernels import Kernel, KernelCall
from edgeslm.cost.points import dump_points, load_points
from edgeslm.cost.predict import predict
from edgeslm.cost.profile import dump_profile, find_profile, fit_profile, join_profiles, parse_profile
from edgeslm.errors import EdgeslmError
from edgeslm.probe.kernel_run import KernelRequest, measure_kernels
from edgeslm.target import load_target
from tests.openvino_points import made_up_points

pytestmark = pytest.mark.skipif(backend.missing() is not None, reason=f"openvino: {backend.missing()}")


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Kernel, ...]]:
    from edgeslm.backends.openvino.kernel_file import write_kernels

    folder = tmp_path_factory.mktemp("kernels")
    return folder, write_kernels(folder, small=True)


def test_a_kernel_is_what_the_plugin_runs(kernels: tuple[Path, tuple[Kernel, ...]]) -> None:
    """Product, bias and GELU in one; scale and shift with the norm; all of attention. A fixed range's activations are
    made integers by an operator of their own, once for all copies."""
    from edgeslm.backends.openvino.installed import import_openvino
    from edgeslm.backends.openvino.kernel_calls import graph_calls

    folder, written = kernels
    core = import_openvino().Core()
    for kernel in written:
        if not kernel.calls:
            continue
        call = kernel.calls[0]
        rows = kernel.inputs[-1]["shape"][-1 if call.kind == "self_attention" else 1]
        rows = call.rows if call.kind == "batch_matmul" else rows
        found = Counter(graph_calls(core.read_model(folder / kernel.files[0]), rows, {}))
        if call.kind.endswith("static"):
            found -= Counter([KernelCall("add both", 1, 1, call.rows * call.inputs)])
        assert found == Counter(kernel.calls), kernel.signature


def test_this_machine_tells_what_each_takes() -> None:
    request = KernelRequest(load_target("linux-x86_64"), "local", rounds=3, small=True, backend="openvino")
    points = measure_kernels(request, lambda title: contextlib.nullcontext())
    assert (points.backend, points.unit, points.emulated) == ("openvino", "ms", False)
    assert {point.call.kind for point in points.points} >= {"gemv", "gemm", "gemm activated", "gemm static", "mvn"}
    assert {(point.precision, point.group) for point in points.points} == {("fp32", None), ("int8", None), ("int4", 32)}
    assert points.empty > 0
    assert load_points(dump_points(points)).backend == "openvino"


@pytest.mark.parametrize(("target", "via"), [("rpi4", "qemu"), ("rpi4", "ssh://pi@pi4"), ("android-arm64", "adb")])
def test_other_machines_are_refused_at_once(target: str, via: str) -> None:
    with pytest.raises(EdgeslmError, match="kernels of OpenVINO are timed on x86-64 alone") as raised:
        measure_kernels(KernelRequest(load_target(target), via, backend="openvino"), lambda title: None)  # type: ignore[arg-type,return-value]
    assert raised.value.exit_code == 3


def test_one_profile_knows_both_backends() -> None:
    """Each predicts by its own laws."""
    one, shipped = fit_profile(made_up_points(), "mine", "a test"), find_profile(load_target("linux-x86_64"))
    assert shipped is not None
    laws = {name: tuple(law for law in getattr(shipped, name) if law.backend == "tflite") for name in ("kernel", "run")}
    both = parse_profile(dump_profile(join_profiles(shipped.model_copy(update=laws | {"slow": ()}), one)), "mine.toml")
    assert len(both.kernel) == len(one.kernel) + len(laws["kernel"])
    assert {law.backend for law in both.kernel} == {"openvino", "tflite"}
    call = KernelCall("gemm activated", 64, 384, 1536, parameters=("w",))
    found = predict(both, "openvino", [call], {"w": TensorChoice("int8", "")}, "encoder")
    floats = predict(both, "openvino", [call], {}, "encoder")
    assert found.value == pytest.approx(floats.value / 2, rel=0.01)
