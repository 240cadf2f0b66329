"""Features of `edgeslm deploy --with`: what the bundle must have, and the environment they get."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.bundle.requirements import FEATURE_GLIBC, FEATURES, PYTHONS, TASKS
from edgeslm.deploy import deploy
from edgeslm.errors import ConfigError, UnsupportedError
from edgeslm.remote.ask import NOBODY
from edgeslm.remote.install import FEATURE_BYTES, environment_folder
from edgeslm.remote.login import Login
from edgeslm.remote.preflight import Python
from tests.unit.tiny_build import tiny_build


@pytest.mark.parametrize(
    ("feature", "error", "told"),
    [
        ("nothing", ConfigError, "there is no feature 'nothing'"),
        (
            "constrain",
            UnsupportedError,
            "has no requirements-constrain.txt: the feature is for other tasks than embedding",
        ),
    ],
)
def test_a_feature_the_bundle_has_not_is_told_before_a_device_is_asked(
    tmp_path: Path, feature: str, error: type[Exception], told: str
) -> None:
    bundle = tiny_build(tmp_path).write(tmp_path / "out").path
    login = Login(ask=NOBODY)
    with pytest.raises(error, match=told):
        deploy(bundle, inspect_bundle(bundle), [], login=login, announce=lambda *_: None, features=["serve", feature])


def test_an_environment_with_a_feature_is_another_one(tmp_path: Path) -> None:
    manifest = inspect_bundle(tiny_build(tmp_path).write(tmp_path / "out").path).manifest
    python = Python(PYTHONS[0], 64, True, True, "/usr/bin/python3")
    plain = environment_folder("base", manifest, python)
    served = environment_folder("base", manifest, python, ["serve"])
    assert plain.startswith("base/venvs/")
    assert served.startswith("base/venvs/")
    assert plain != served
    assert environment_folder("base", manifest, python, []) == plain


def test_every_feature_is_described_wholly() -> None:
    assert set(FEATURES) == set(TASKS) == set(FEATURE_GLIBC) == set(FEATURE_BYTES)
