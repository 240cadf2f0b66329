"""The plan for Android: one backend, the scheme its CPU runs fastest, several models, and what shops take."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from edgeslm.artifacts import Checkpoint, QuantPlan, TokenizerSpec
from edgeslm.bundle.android.play import play_warnings
from edgeslm.cost.fastest import fastest_scheme
from edgeslm.cost.memory import MIB, memory_budget
from edgeslm.errors import ConfigError, DoesNotFitError, MissingToolError, UnsupportedError
from edgeslm.planning import decide
from edgeslm.quantize.schemes import SCHEMES
from edgeslm.stages.android_plan import decide_android, reject_android_options, reject_linux_options
from edgeslm.target import Target, load_target
from tests.decoders import write_tokenizer
from tests.unit.android_files import litert_aar
from tests.unit.test_planning import HERE, checkpoint

PHONE = load_target("android-arm64")


def on(core: str) -> Target:
    return PHONE.model_copy(update={"cpu": PHONE.cpu.model_copy(update={"core": core})})


def planned(scheme: str | None = None, backend: str | None = None, target: Target = PHONE) -> QuantPlan:
    return decide(target, checkpoint(), (64,), HERE, scheme, backend)


def test_the_scheme_is_what_the_cpu_runs_fastest_and_the_reason_is_told() -> None:
    plan = planned()
    assert (plan.scheme, plan.backend) == ("int8", "tflite")
    reason = plan.reasons[0]
    assert "XNNPACK" in reason
    assert "dotprod" in reason
    assert "int8-static 87" in reason
    assert "fp32 243.9" in reason
    assert planned("fp32").reasons[0].endswith("as asked")


@pytest.mark.parametrize(
    ("core", "decodes", "scheme", "why"),
    [
        ("cortex-a76", False, "int8", "cortex-a76 has dot products"),
        ("cortex-a72", False, "int8", "cortex-a72 has no dot products"),
        ("cortex-a710", False, "int8", "cortex-a710 has products of matrices of int8 (i8mm); measured on cortex-a76"),
        ("cortex-a76", True, "int8", "int4 would be as fast, and keep less"),
        ("cortex-a53", True, "int8", "measured on cortex-a72"),
    ],
)
def test_counts_and_features_decide(core: str, decodes: bool, scheme: str, why: str) -> None:
    names = ("fp32", "int8", "int4") if decodes else tuple(SCHEMES)
    found = fastest_scheme("tflite", on(core), names, decodes=decodes)
    assert found is not None
    assert found[0] == scheme
    assert why in found[1]


def test_the_fewest_instructions_win_unless_they_are_hardly_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {("tflite", "cortex-a76", "int8"): 1.0, ("tflite", "cortex-a76", "int4"): 0.95}
    monkeypatch.setattr("edgeslm.cost.fastest.DECODE_INSTRUCTIONS", table)
    assert (fastest_scheme("tflite", PHONE, ("int8", "int4"), decodes=True) or ("",))[0] == "int8"
    table["tflite", "cortex-a76", "int4"] = 0.5
    assert (fastest_scheme("tflite", PHONE, ("int8", "int4"), decodes=True) or ("",))[0] == "int4"
    table.clear()
    assert fastest_scheme("tflite", PHONE, ("int8", "int4"), decodes=True) is None


def test_openvino_is_refused_with_a_reason_and_a_missing_litert_is_told() -> None:
    with pytest.raises(UnsupportedError, match="no Android library") as caught:
        planned(backend="openvino")
    assert "tflite" in (caught.value.hint or "")
    with pytest.raises(UnsupportedError, match="no backend is named 'onnx'"):
        planned(backend="onnx")
    with pytest.raises(MissingToolError, match="tflite backend cannot be used here: absent"):
        decide(PHONE, checkpoint(), (64,), {"tflite": "absent", "openvino": None})


def test_a_phone_s_system_keeps_half_of_its_memory() -> None:
    budget = memory_budget(PHONE, "tflite", "int8", MIB)
    assert budget.available == 2 << 30
    assert budget.storage == 2 * MIB
    assert memory_budget(load_target("rpi5"), "tflite", "int8", MIB).available == (8 << 30) - 160 * MIB


def test_what_would_fit_is_another_phone_and_no_board() -> None:
    small = PHONE.model_copy(update={"memory": PHONE.memory.model_copy(update={"ram_kib": 120 << 10})})
    with pytest.raises(DoesNotFitError, match=r"system reserve 60 MiB") as caught:
        decide(small, checkpoint(), (64,), HERE, "int8")
    assert "rpi" not in (caught.value.hint or "")


@pytest.fixture
def encoder(tmp_path: Path) -> Checkpoint:
    write_tokenizer(tmp_path, 131)
    tokenizer = TokenizerSpec("tokenizer.json", 64, 0, 131)
    return dataclasses.replace(checkpoint(), root=tmp_path, tokenizer=tokenizer)


def decided(encoder: Checkpoint, *schemes: str, litert: tuple[Path, ...] = ()) -> tuple[QuantPlan, ...]:
    def decide_as(scheme: str | None) -> QuantPlan:
        return decide(PHONE, encoder, (64,), HERE, scheme)

    return decide_android(PHONE, encoder, schemes, litert, decide_as)


def test_each_scheme_has_a_plan_and_the_first_tells_of_all(encoder: Checkpoint, tmp_path: Path) -> None:
    assert [plan.scheme for plan in decided(encoder)] == ["int8"]
    plans = decided(encoder, "fp32", "w8a8")
    assert [plan.scheme for plan in plans] == ["fp32", "int8"]
    assert "com.google.ai.edge.litert:litert:2.3.0, from Maven" in plans[0].reasons[-1]
    merged = decided(encoder, litert=(litert_aar(tmp_path / "litert.aar"),))
    assert merged[0].reasons[-1] == "LiteRT: merged from litert.aar (libLiteRt.so)"
    assert merged[0].digest == decided(encoder)[0].digest


def test_all_models_together_count_for_the_shop(encoder: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    each = decided(encoder, "int8")[0].weight_bytes
    monkeypatch.setattr("edgeslm.bundle.android.play.BASE_MODULE_BYTES", each + 1)
    [unseen] = decided(encoder, "int8")[0].warnings
    assert "not run here" in unseen
    first, second = decided(encoder, "int8", "fp32")
    assert "asset pack" in first.warnings[-1]
    assert second.warnings == ()


def test_what_the_library_cannot_hold_is_said_before_anything_is_made(encoder: Checkpoint) -> None:
    with pytest.raises(ConfigError, match="scheme int8 is asked for twice"):
        decided(encoder, "int8", "w8a8")
    with pytest.raises(UnsupportedError, match="embeds, classifies and generates; tiny is for fill-mask"):
        decided(dataclasses.replace(encoder, task="fill-mask"))
    assert encoder.root is not None
    document = json.loads((encoder.root / "tokenizer.json").read_text())
    document["model"]["dropout"] = 0.1
    (encoder.root / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(UnsupportedError, match="dropout"):
        decided(encoder)


def test_other_targets_take_one_scheme_and_no_litert(tmp_path: Path) -> None:
    pi = load_target("rpi5")
    reject_android_options(pi, ("int8",), ())
    with pytest.raises(ConfigError, match="rpi5 holds one model; 2 schemes are asked for: int8, fp32"):
        reject_android_options(pi, ("int8", "fp32"), ())
    with pytest.raises(ConfigError, match="--litert-aar is for Android, and rpi5 is none"):
        reject_android_options(pi, (), (tmp_path / "litert.aar",))


def test_a_library_has_no_wheels() -> None:
    reject_linux_options(PHONE, vendor_wheels=False)
    with pytest.raises(UnsupportedError, match="android-arm64 has no Python packages"):
        reject_linux_options(PHONE, vendor_wheels=True)


def test_the_limits_of_google_play_are_told_with_both_numbers() -> None:
    assert play_warnings("tiny", 200_000_000) == ()
    [warning] = play_warnings("large", 640_000_000)
    assert "640 MB" in warning
    assert "200 MB" in warning
    assert "install-time asset pack (1,500 MB at most)" in warning
    [warning] = play_warnings("huge", 2_000_000_000)
    assert "2,000 MB" in warning
    assert "fewer or smaller schemes" in warning
