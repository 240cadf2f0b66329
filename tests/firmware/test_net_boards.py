"""Any static int8 .tflite to an emulated board by the command line: the numbers that TensorFlow Lite Micro's own
interpreter gives, and everything that goes wrong on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeslm import api, errors
from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.formats.archive import open_archive
from tests.conftest import Answer
from tests.firmware.host_program import require_tool
from tests.unit.quantized_nets import quantized_layer
from tests.unit.tflite_int8 import Array, Net, run_micro, sample
from tests.unit.tflite_nets import a_mixture, a_stack
from tests.unit.tflite_seeds import every_operator, in_floats

pytest.importorskip("ai_edge_litert")
pytest.importorskip("tflite_micro", reason="TensorFlow Lite Micro's interpreter is in edgeslm[dev]")

Run = Callable[..., Answer]
Built = Callable[[str, str], Path]
BOARDS = ("mps2-an386", "mps3-an547", "mps2-an385")
NETS: dict[str, Callable[[], bytes]] = {"mixture": lambda: a_mixture().pack(), "quantized": quantized_layer}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With each net's file."""
    for tool, package in (
        ("cc", "build-essential"),
        ("arm-none-eabi-gcc", "gcc-arm-none-eabi"),
        ("qemu-system-arm", "qemu-system-arm"),
    ):
        require_tool(tool, package)
    made = tmp_path_factory.mktemp("nets")
    for name, make in NETS.items():
        (made / f"{name}.tflite").write_bytes(make())
    return made


@pytest.fixture(scope="module")
def built(folder: Path, edgeslm: Run) -> Built:
    """built(net, target): the bundle."""

    @cache
    def make(net: str, target: str) -> Path:
        done = edgeslm("build", "-t", target, "-m", folder / f"{net}.tflite", "-o", folder, "--json")
        assert done.status == 0, done.stderr
        return Path(done.json["bundle"])

    return make


def inputs_of(net: str) -> list[Array]:
    random = np.random.default_rng(11)
    if net == "quantized":
        return [sample([5, 8], 30)]
    ids = np.array([10, 0, 3, 7, 7, 1], np.int32)
    return [ids, sample([2, 3, 4], 31), random.normal(0, 3, (2, 3, 4)).astype(np.float32)]


def run(edgeslm: Run, bundle: Path, arrays: dict[str, Array], where: Path) -> Answer:
    np.savez(where / "inputs.npz", **arrays)  # type: ignore[arg-type]  # numpy's stubs know of one more argument
    return edgeslm("run", bundle, "--via", "qemu", "--file", where / "inputs.npz", "--json")


@pytest.mark.parametrize(("net", "target"), [*(("mixture", board) for board in BOARDS), ("quantized", "mps2-an386")])
def test_a_board_gives_the_bits_of_tensorflow_lite_micro(
    net: str, target: str, built: Built, folder: Path, edgeslm: Run, tmp_path: Path
) -> None:
    bundle, given = built(net, target), inputs_of(net)
    names = [part.name for part in inspect_bundle(bundle).manifest.model.inputs]
    done = run(edgeslm, bundle, dict(zip(names, given, strict=True)), tmp_path)
    assert done.status == 0, done.stderr
    (wanted,) = run_micro((folder / f"{net}.tflite").read_bytes(), [given])
    outputs = list(done.json["outputs"].values())
    assert len(outputs) == len(wanted)
    for made, values in zip(outputs, wanted, strict=True):
        np.testing.assert_array_equal(np.array(made, values.dtype), values)


def test_what_a_build_says_of_itself(built: Built, edgeslm: Run, folder: Path) -> None:
    """What it was held to, what goes in and out, what it takes; and that nothing is made twice."""
    bundle = built("mixture", "mps2-an386")
    report: Any = json.loads(bundle.with_suffix(".report.json").read_text())
    assert report["scheme"] == "int8-static"
    assert "TensorFlow Lite Micro" in report["fidelity"]["reference"]
    assert [gate["name"] for gate in report["fidelity"]["gates"]] == ["identical numbers"]
    assert all(output["identical"] == 1 for output in report["fidelity"]["outputs"])
    manifest = inspect_bundle(bundle).manifest
    ids, numbers, reals = manifest.model.inputs
    assert (ids.dtype, ids.ids, ids.scale) == ("int32", 11, None)
    assert (numbers.dtype, numbers.zero_point) == ("int8", 3)
    assert numbers.scale == pytest.approx(0.05)
    assert (reals.dtype, reals.scale) == ("float32", None)
    shown = edgeslm("inspect", bundle)
    assert "ids below 11" in shown.stdout
    with open_archive(bundle) as archive:
        card = archive.read("MODEL_CARD.md", 1 << 16).decode()
        assert not any(name.startswith(("tokenizer/", "generate/")) for name in archive.sizes)
        assert "kernels/attention.c" not in archive.sizes
        assert "model/edgeslm_net.h" in archive.sizes
    assert "Scored against edgeslm's reference for int8" in card
    assert "PyTorch" not in card
    again = edgeslm("build", "-t", "mps2-an386", "-m", folder / "mixture.tflite", "-o", folder, "--json")
    assert again.status == 0, again.stderr
    assert {stage["name"] for stage in again.json["stages"]} == {"generate", "bits", "image"}
    assert all(stage["cached"] for stage in again.json["stages"])


@pytest.mark.parametrize("target", BOARDS)
def test_the_map_agrees_with_the_plan(target: str, built: Built, edgeslm: Run, folder: Path) -> None:
    budget = api.plan(target, str(folder / "mixture.tflite")).budget
    assert budget is not None
    firmware = inspect_bundle(built("mixture", target)).manifest.firmware
    assert firmware is not None
    assert budget.flash["weights"] == firmware.flash["weights"]
    assert budget.flash_bytes == pytest.approx(sum(firmware.flash.values()), rel=0.05)
    assert budget.ram["activations"] == firmware.ram["arena"]
    assert budget.ram_bytes == pytest.approx(sum(firmware.ram.values()), rel=0.02)


def test_a_probe_tells_instructions_by_step(built: Built, edgeslm: Run) -> None:
    done = edgeslm("probe", built("quantized", "mps2-an386"), "--via", "qemu", "--json")
    assert done.status == 0, done.stderr
    report = done.json
    assert report["complete"]
    assert report["instructions"]["per_token"] is None
    steps = report["profile"]["layers"]
    assert sum("FULLY_CONNECTED" in step["layer"] for step in steps) == 6
    whole = report["instructions"]["per_inference"]
    assert whole > 1000
    # Each step begins a tick of its own, which is 40 instructions.
    assert sum(step["instructions"] for step in steps) == pytest.approx(whole, abs=60 * len(steps))
    firmware = report["firmware"]
    assert 0 < firmware["stack_used"] < firmware["stack_bytes"]
    assert edgeslm("probe", built("quantized", "mps2-an386"), "--via", "qemu", "--length", "3").status == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"in0": np.array([0, 1, 2, 11, 4, 5], np.int32)}, "outside of the table"),
        ({"in0": np.array([0, 1, 2, 2**32, 4, 5], np.int64)}, "has numbers beyond"),
        ({"in1": np.zeros((2, 3, 4), np.float32)}, "must be int8"),
        ({"other": np.zeros(1, np.int8)}, "the model takes in0, in1, in2"),
    ],
)
def test_what_a_board_is_not_given(
    change: dict[str, Array], says: str, built: Built, edgeslm: Run, tmp_path: Path
) -> None:
    given = dict(zip(("in0", "in1", "in2"), inputs_of("mixture"), strict=True)) | change
    done = run(edgeslm, built("mixture", "mps2-an386"), given, tmp_path)
    assert done.status == 2, done.stderr
    assert says in done.json["error"]["message"]


def test_a_net_takes_no_text(built: Built, edgeslm: Run) -> None:
    for flags in (("--text", "a"), ("--prompt", "a")):
        done = edgeslm("run", built("mixture", "mps2-an386"), "--via", "qemu", *flags)
        assert done.status == 2
        assert "--file inputs.npz" in done.stderr


# ---- What is refused before anything is written ----------------------------------------------------------------------


def refused(kind: type[errors.EdgeslmError], says: str, path: Path, target: str = "mps2-an386", **flags: Any) -> None:
    with pytest.raises(kind) as caught:
        api.build(target, str(path), out=path.parent / "out", **flags)
    told = f"{caught.value.message}\n{caught.value.hint}"
    assert says in told, told
    assert not (path.parent / "out").exists()


def test_files_that_are_no_static_int8(tmp_path: Path) -> None:
    whole = every_operator().pack()
    for name, raw, kind, says in (
        ("floats", in_floats(False).pack(), errors.UnsupportedOpError, "representative_dataset"),
        ("dynamic", in_floats(True).pack(), errors.UnsupportedOpError, "dynamic-range"),
        ("short", whole[: len(whole) // 2], errors.CheckpointError, "no .tflite file"),
        ("garbage", bytes(range(256)), errors.CheckpointError, "no .tflite file"),
        ("empty", b"", errors.CheckpointError, "no .tflite file"),
    ):
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(raw)
        refused(kind, says, path)
    net = Net()
    x = net.input([2, 4], 0.1)
    net.outputs = [net.add("L2_NORMALIZATION", [x], [2, 4], 0.1, options_of="L2NormOptions")]
    path = tmp_path / "other.tflite"
    path.write_bytes(net.pack())
    refused(errors.UnsupportedOpError, 'L2_NORMALIZATION (node 0 of other.tflite, ("in0" -> "t1"))', path)
    (tmp_path / "folder.tflite").mkdir()
    refused(errors.CheckpointError, "folder", tmp_path / "folder.tflite")
    refused(errors.CheckpointError, "cannot be read", tmp_path / "missing.tflite")


def test_flags_and_targets_that_mean_nothing_here(tmp_path: Path, edgeslm: Run) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(every_operator().pack())
    for scheme in ("int4", "fp32", "int8"):
        refused(errors.UnsupportedSchemeError, "int8 already", path, scheme=scheme)
    refused(errors.UnsupportedError, "ai-edge-litert", path, target="rpi4")
    refused(errors.UnsupportedError, "--backend cortexm", path, backend="tflite")
    without: tuple[tuple[str, Any], ...] = (
        ("max_length", 16),
        ("context", 64),
        ("kv_cache", "int8"),
        ("calibration", "a.txt"),
        ("eval", "a.txt"),
        ("min_fidelity", 0.9),
        ("vendor_wheels", True),
    )
    for flag, value in without:
        refused(errors.ConfigError, f"leave out --{flag.replace('_', '-')}", path, **{flag: value})
    done = edgeslm("build", "-t", "rpi4", "-m", path, "-o", tmp_path / "out")
    assert done.status == 3
    assert "--target" in done.stderr


def test_a_net_that_is_too_large(tmp_path: Path) -> None:
    """The table, and what would take it."""
    net = Net()
    x = net.input([1, 200 * 1024], 0.1)
    y = net.add("ADD", [x, x], [1, 200 * 1024], 0.2)
    net.outputs = [net.add("MUL", [y, x], [1, 200 * 1024], 0.2)]
    path = tmp_path / "wide.tflite"
    path.write_bytes(net.pack())
    with pytest.raises(errors.DoesNotFitError) as caught:
        api.plan("netduinoplus2", str(path))
    assert "activations" in caught.value.message
    assert caught.value.hint == "the smallest target that takes it: nucleo-h743zi"
    assert api.plan("mps3-an547", str(path)).budget is not None


def test_a_mistake_in_a_kernel_ends_the_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A number that is not the reference's: status 7, and no bundle."""
    from edgeslm.backends.cortexm.host_net import HostNet

    path = tmp_path / "stack.tflite"
    path.write_bytes(a_stack().pack())
    right = HostNet.run

    def wrong(self: HostNet, inputs: Any) -> Any:
        made = right(self, inputs)
        (name,) = made
        made[name].reshape(-1)[3] ^= 1
        return made

    monkeypatch.setattr(HostNet, "run", wrong)
    monkeypatch.setenv("EDGESLM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(errors.FidelityError) as caught:
        api.build("mps2-an386", str(path), out=tmp_path / "out")
    assert caught.value.exit_code == 7
    assert "identical numbers" in caught.value.message
    assert "PyTorch" not in caught.value.message
    assert not (tmp_path / "out").exists()
