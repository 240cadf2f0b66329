"""What is decided for a microcontroller: flash and RAM by item, what does not fit and what would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgeslm.backends.cortexm.budget import FirmwareBudget
from edgeslm.cli import edgeslm
from edgeslm.errors import DoesNotFitError, UnsupportedError, UnsupportedOpError, UnsupportedSchemeError
from edgeslm.pipeline import BuildRequest, Decision, plan
from edgeslm.target import list_targets

MODEL = Path(__file__).parents[3] / "shared" / "models" / "stories260k"
pytestmark = pytest.mark.skipif(not MODEL.is_dir(), reason="shared/models/stories260k is not here")


def decide(target: str = "mps2-an386", **asked: Any) -> Decision:
    return plan(BuildRequest(target, str(MODEL), **asked))


def budget(target: str = "mps2-an386", **asked: Any) -> FirmwareBudget:
    found = decide(target, **asked).budget
    assert found is not None
    return found


def command(*arguments: str) -> Result:
    return CliRunner().invoke(edgeslm, ["plan", "--model", str(MODEL), *arguments])


def test_every_board_gets_a_plan() -> None:
    boards = [target.name for target in list_targets() if target.is_firmware]
    assert len(boards) >= 6
    for board in boards:
        decided = decide(board, context=64).plan
        assert (decided.backend, decided.scheme) == ("cortexm", "int8")
        assert decided.cache_bytes == 2 * 5 * 4 * 8 * 64 * 4


def test_the_json_tells_each_item_and_where_activations_lie() -> None:
    done = command("--target", "mps2-an386", "--json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    firmware, memory = answer["firmware"], answer["memory"]
    assert set(firmware["flash"]) == {"code", "weights", "tokenizer"}
    assert set(firmware["ram"]) == {"kv cache", "activations", "prompt", "stack", "firmware"}
    assert memory["resident"] == sum(firmware["ram"].values())
    assert memory["storage"] == sum(firmware["flash"].values())
    ends = [placed["offset"] + placed["bytes"] for placed in firmware["arena"]]
    assert max(ends) <= firmware["ram"]["activations"] < max(ends) + 8


def test_the_table_names_what_is_there() -> None:
    done = command("--target", "mps2-an386", "--scheme", "int4", "--context", "64")
    assert done.exit_code == 0, done.output
    for said in ("kv cache", "tokenizer", "scores", "in all", "int4-g16", "in blocks of 16", " of 4,096 KiB"):
        assert said in done.stdout
    memories = done.stdout.partition("\ntensor ")[0].partition("\n- scheme")[0]
    assert max(map(len, memories.splitlines())) <= 80


def test_flags_change_the_memories() -> None:
    usual, half, small = (budget(context=128, kv_cache=kind) for kind in ("float32", "float16", "int8"))
    assert half.ram["kv cache"] * 2 == usual.ram["kv cache"]
    assert small.ram["kv cache"] == usual.ram["kv cache"] * (8 + 4) // 32
    assert budget(context=128, scheme="int4").flash["weights"] < 0.7 * usual.flash["weights"]
    static = budget(context=128, scheme="int8-static")
    limits = 5 * 4 + 1  # of what flows into a layer's matrices, and into the output layer
    assert static.flash["weights"] == usual.flash["weights"] + 4 * limits
    assert static.ram == usual.ram


def test_what_does_not_fit_says_by_how_much_and_what_would() -> None:
    with pytest.raises(DoesNotFitError) as raised:
        decide("netduinoplus2")
    message, hint = raised.value.message, raised.value.hint or ""
    assert "stories260k does not fit netduinoplus2: needs 648 KiB RAM, has 128 KiB: 520 KiB too much" in message
    for item in ("kv cache 640", "weights", "tokenizer", "stack 2.0"):
        assert item in message
    assert hint.splitlines() == [
        "--context 96 makes the kv cache 120 KiB",
        "--context 256 --kv-cache int8 makes the kv cache 120 KiB",
        "the smallest target that takes it as it is: nucleo-u575zi-q",
    ]
    for asked in ({"context": 96}, {"context": 256, "kv_cache": "int8"}):
        assert budget("netduinoplus2", **asked).fits
    with pytest.raises(DoesNotFitError):
        decide("netduinoplus2", context=104)


def test_flash_that_is_too_small_asks_for_smaller_weights(tmp_path: Path) -> None:
    small = tmp_path / "small.toml"
    shipped = Path(__file__).parents[2] / "targets" / "mps2-an386.toml"
    text = shipped.read_text().replace('"mps2-an386"', '"small"').replace("storage_kib = 4096", "storage_kib = 256")
    small.write_text(text)
    with pytest.raises(DoesNotFitError, match=r"KiB flash, has 256 KiB") as raised:
        decide(str(small))
    assert "--scheme int4 makes the weights" in (raised.value.hint or "")


def test_what_microcontrollers_do_not_take() -> None:
    with pytest.raises(UnsupportedSchemeError, match="microcontrollers take fp32, int8, int8-static, int4"):
        decide(scheme="fp16")
    with pytest.raises(UnsupportedOpError, match="takes no float32 matrices"):
        decide("mps2-an385", scheme="fp32")
    with pytest.raises(UnsupportedError, match="not as float16"):
        decide("mps2-an385", kv_cache="float16")
    with pytest.raises(UnsupportedError, match="tflite cannot be used"):
        decide(backend="tflite")
    with pytest.raises(UnsupportedError, match="no Python packages"):
        decide(vendor_wheels=True)
    with pytest.raises(UnsupportedError, match="float16 on microcontrollers alone"):
        decide("rpi4", kv_cache="float16")
