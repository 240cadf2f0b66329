"""Target files: every shipped one is valid, and every way to be wrong is told."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from edgeslm.errors import TargetError
from edgeslm.target import CORES, Target, Template, list_targets, load_target, parse_target

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "targets").glob("*.toml"))
INVALID = sorted((ROOT / "tests" / "targets_invalid").glob("*.toml"))
MARK = "# expect: "


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_file_is_valid(path: Path) -> None:
    target = load_target(str(path))
    assert target == load_target(path.stem)
    assert target.name == path.stem
    assert target.cpu.isa or target.cpu.core == "cortex-m0plus"


def test_every_shipped_file_is_listed() -> None:
    assert [target.name for target in list_targets()] == [path.stem for path in SHIPPED]
    linux = {"rpi-zero2w", "rpi3", "rpi4", "rpi5", "linux-x86_64"}
    firmware = {"mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547", "netduinoplus2"}
    firmware |= {"nucleo-f446re", "nucleo-h743zi", "nucleo-u575zi-q", "nucleo-g0b1re", "rpi-pico", "rpi-pico2"}
    assert linux | firmware <= {path.stem for path in SHIPPED}
    assert {target.name for target in list_targets() if target.is_firmware} >= firmware


def test_every_template_is_a_folder_and_a_targets() -> None:
    folders = {path.parent.name for path in (ROOT / "firmware_templates" / "boards").glob("*/board.h")}
    assert set(get_args(Template)) == folders
    assert {target.firmware.template for target in list_targets() if target.firmware} == folders


def test_the_netduino_has_the_silicons_memory_and_not_the_emulators() -> None:
    assert load_target("netduinoplus2").memory.ram_kib == 128


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_facts_have_a_source(path: Path) -> None:
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_every_way_to_be_wrong_is_told(path: Path) -> None:
    expected = [line.removeprefix(MARK) for line in path.read_text().splitlines() if line.startswith(MARK)]
    assert expected
    with pytest.raises(TargetError) as caught:
        load_target(str(path))
    for line in expected:
        assert line in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.exit_code == 2
    if "is not valid TOML" not in expected:
        assert f"has {len(expected)} mistake" in caught.value.message


def test_there_is_a_wrong_file_for_every_key() -> None:
    """Whoever adds a key adds a way to get it wrong."""
    told = "".join(path.read_text() for path in INVALID)
    for name, field in Target.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        for key in (key for kind in kinds if _is_table(kind) for key in kind.model_fields):
            told_as = "cpu: core" if key == "core" else f"{name}.{key}:"  # a core is checked against its arch
            assert f"{MARK}{told_as}" in told
        assert f"{MARK}{name}" in told


def _is_table(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"nowhere\.toml"):
        load_target(str(tmp_path / "nowhere.toml"))
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(TargetError, match=r"binary\.toml"):
        load_target(str(binary))


def test_a_target_file_of_ones_own_is_taken(tmp_path: Path) -> None:
    text = (ROOT / "targets" / "rpi4.toml").read_text().replace('"rpi4"', '"my-board"')
    (tmp_path / "my-board.toml").write_text(text)
    assert load_target(str(tmp_path / "my-board.toml")).name == "my-board"


@pytest.mark.parametrize("core", CORES)
def test_every_core_can_be_a_targets(core: str) -> None:
    name, there = ("mps2-an386", "cortex-m4") if CORES[core].is_microcontroller else ("rpi4", "cortex-a72")
    text = (ROOT / "targets" / f"{name}.toml").read_text()
    text = text.replace(f'"{there}"', f'"{core}"').replace(f'"{CORES[there].arch}"', f'"{CORES[core].arch}"')
    assert parse_target(text, name, "a test").cpu.isa == CORES[core].isa
