"""A target profile's file: what is wrong with it is said at once, and it comes back as it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeslm.cost.profile import dump_profile, find_profile, load_profile, parse_profile, shipped_profiles
from edgeslm.errors import ProfileError
from edgeslm.target import load_target

GOOD = """
name = "my-pi"
core = "cortex-a72"
unit = "ms"
measured = true
device = "Raspberry Pi 4 Model B"
source = "edgeslm profile-target"

[[kernel]]
backend = "tflite"
kind = "gemv"
precision = "int8"
call = 0.001
depth = 1e-7
spread = 0.04
held_out = 7
"""


@pytest.mark.parametrize("profile", shipped_profiles(), ids=lambda profile: profile.name)
def test_a_profile_is_read_as_it_was_written(profile: object) -> None:
    assert parse_profile(dump_profile(profile), "again") == profile  # type: ignore[arg-type]


def test_every_mistake_is_said_at_once() -> None:
    text = GOOD.replace("depth = 1e-7", "depth = -1\nweight = 3").replace('unit = "ms"', 'unit = "s"')
    text = text.replace("spread = 0.04\n", "").replace('"my-pi"', '"My Pi"')
    with pytest.raises(ProfileError) as raised:
        parse_profile(text, "my.toml")
    message = raised.value.message
    assert message.startswith("my.toml has 5 mistakes")
    for part in ("name:", "unit:", "kernel.0.depth:", "kernel.0.weight:", "kernel.0.spread:"):
        assert part in message
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('core = "cortex-a72"', 'core = "cortex-a99"', "core 'cortex-a99' is not known"),
        ("measured = true", "measured = false", "no milliseconds can be had from an emulator"),
        ("call = 0.001\ndepth = 1e-7\n", "", "gemv costs nothing"),
        ("depth = 1e-7", "depth = nan", "finite"),
        ('precision = "int8"', 'precision = "int8"\ngroup = 32', "int4 alone has blocks"),
        ("[[kernel]]", "[kernel]", "kernel"),
        ('name = "my-pi"', "name = ", "is not valid TOML"),
    ],
)
def test_nonsense_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        parse_profile(GOOD.replace(old, new), "my.toml")


def test_a_kernel_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ProfileError, match="more than one kernel is tflite gemv int8"):
        parse_profile(GOOD + GOOD[GOOD.index("[[kernel]]") :], "my.toml")


def test_a_profile_of_another_core_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(GOOD)
    assert find_profile(load_target("rpi4"), path) == load_profile(path)
    with pytest.raises(
        ProfileError, match=r"a profile of another core: cortex-a72, and rpi5 has a cortex-a76"
    ) as raised:
        find_profile(load_target("rpi5"), path)
    assert "edgeslm profile-target --target rpi5" in (raised.value.hint or "")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"nowhere\.toml cannot be read"):
        load_profile(tmp_path / "nowhere.toml")
