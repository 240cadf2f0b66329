"""A bundle's own wheels: those its pins ask for are unpacked, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgeslm.errors import BundleError
from edgeslm.remote.vendored import UNPACK, pinned_wheels

PINS = (
    "# of a runtime\n"
    f"numpy==2.4.6 \\\n    --hash=sha256:{'1' * 64} \\\n    --hash=sha256:{'2' * 64}\n"
    f"click==8.5.1 \\\n    --hash=sha256:{'3' * 64}\n"
)
SERVE = f"click==8.5.1 \\\n    --hash=sha256:{'3' * 64}\nuvicorn==0.54.0 \\\n    --hash=sha256:{'4' * 64}\n"
WHEELS = {
    "wheels/numpy-2.4.6-cp311-cp311-manylinux_2_27_aarch64.whl": "1" * 64,
    "wheels/numpy-2.4.6-cp312-cp312-manylinux_2_27_aarch64.whl": "2" * 64,
    "wheels/click-8.5.1-py3-none-any.whl": "3" * 64,
    "wheels/uvicorn-0.54.0-py3-none-any.whl": "4" * 64,
    "model/model.tflite": "5" * 64,
}


def test_each_pinned_package_has_the_wheel_of_the_device_s_python() -> None:
    numpy, later, click, uvicorn, _ = WHEELS
    assert pinned_wheels([PINS], WHEELS, "3.11") == [numpy, click]
    assert pinned_wheels([PINS], WHEELS, "3.12") == [later, click]
    assert pinned_wheels([PINS, SERVE], WHEELS, "3.11") == [numpy, click, uvicorn]


def test_a_package_without_the_pinned_wheel_is_named() -> None:
    with pytest.raises(BundleError, match=r"no wheel of numpy for Python 3\.13"):
        pinned_wheels([PINS], WHEELS, "3.13")
    with pytest.raises(BundleError, match="no wheel of click"):  # another one of that name
        pinned_wheels([PINS], {**WHEELS, "wheels/click-8.5.1-py3-none-any.whl": "6" * 64}, "3.11")


def test_wheels_are_unpacked_beside_each_other(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    for name, members in {
        "one": {"one.py": "print('one')", "one-1.dist-info/METADATA": "Name: one\nVersion: 1\n"},
        "two": {"two/__init__.py": ""},
        "data": {"data-1.data/scripts/run": "#!python"},
    }.items():
        with zipfile.ZipFile(tmp_path / f"{name}.whl", "w") as wheel:
            for member, content in members.items():
                wheel.writestr(member, content)
    python = [str(tmp_path / "venv/bin/python"), "-c"]
    subprocess.run([*python, UNPACK, tmp_path / "one.whl", tmp_path / "two.whl"], check=True)
    program = "import one, two, importlib.metadata as m; print(m.version('one'))"
    assert subprocess.run([*python, program], check=True, capture_output=True, text=True).stdout == "one\n1\n"
    refused = subprocess.run([*python, UNPACK, tmp_path / "data.whl"], check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "data.whl has files for other places" in refused.stderr
