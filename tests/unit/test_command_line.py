"""The command line as a user meets it, where no model is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "transformers", "onnx", "onnx_ir", "openvino", "nncf", "ai_edge_litert", "numpy", "pydantic", "rich"}
HEAVY |= {"matplotlib", "jinja2", "asyncssh", "asyncio", "starlette", "uvicorn", "prometheus_client"}


def edgeslm(*arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgeslm", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **env},
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from edgeslm.cli import edgeslm\n"
        "try: edgeslm(['--help'], prog_name='edgeslm')\n"
        f"finally: print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Usage: edgeslm" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    [
        "targets",
        "plan",
        "build",
        "search",
        "sweep",
        "inspect",
        "run",
        "serve",
        "probe",
        "compare",
        "profile-target",
        "deploy",
        "flash",
        "doctor",
    ],
)
def test_every_command_has_help(command: str) -> None:
    done = edgeslm(command, "--help")
    assert done.returncode == 0
    assert "--json" in done.stdout
    assert done.stderr == ""


def test_targets_lists_every_device() -> None:
    document = json.loads(edgeslm("targets", "--json").stdout)
    assert {"rpi-zero2w", "rpi3", "rpi4", "rpi5", "linux-x86_64"} <= {t["name"] for t in document["targets"]}
    table = edgeslm("targets").stdout
    assert "Raspberry Pi 4" in table


def test_targets_show_gives_one_devices_facts() -> None:
    document = json.loads(edgeslm("targets", "show", "rpi5", "--json").stdout)
    assert document["target"]["cpu"]["core"] == "cortex-a76"
    assert "dotprod" in document["isa"]
    assert "dotprod" not in edgeslm("targets", "show", "rpi4").stdout


@pytest.mark.parametrize("command", [["targets", "show"], ["plan", "--target"], ["build", "--target"]])
def test_an_unknown_target_offers_the_closest_names(command: list[str]) -> None:
    done = edgeslm(*command, "rpi44")
    assert done.returncode == 2
    assert "no target is named 'rpi44'" in done.stderr
    assert "rpi4" in done.stderr.split("did you mean")[1]
    assert done.stdout == ""


def test_errors_are_one_json_document_when_asked_for() -> None:
    done = edgeslm("targets", "show", "nowhere", "--json")
    error = json.loads(done.stdout)["error"]
    assert (error["kind"], error["exit_code"], done.returncode) == ("TargetError", 2, 2)


def test_a_wrong_flag_is_named() -> None:
    done = edgeslm("build", "--target", "rpi4", "--shceme", "int8")
    assert done.returncode == 2
    assert "--shceme" in done.stderr
    assert "--scheme" in done.stderr


def test_an_amount_that_is_none_names_its_flag() -> None:
    done = edgeslm("plan", "--target", "rpi4", "--max-size", "14mb")
    assert done.returncode == 2
    assert "error: --max-size: '14mb' is not a size" in done.stderr
    assert "did you mean 14MB?" in done.stderr


def test_a_search_takes_no_flag_that_says_how_tensors_are_stored() -> None:
    told = edgeslm("search", "--help").stdout
    for flag in ("--scheme", "--plan", "--objective", "--allow-below-gate", "--vendor-wheels", "--force"):
        assert f" {flag} " not in told
    assert edgeslm("search", "--target", "rpi4", "--scheme", "int8").returncode == 2


def test_an_unknown_scheme_and_backend_are_named_with_those_there_are() -> None:
    done = edgeslm("plan", "--target", "rpi4", "--scheme", "int7")
    assert done.returncode == 3
    assert "w8a8" in done.stderr
    done = edgeslm("plan", "--target", "rpi4", "--backend", "onnx")
    assert done.returncode == 3
    assert "openvino" in done.stderr


def test_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m edgeslm targets show rpi4 | true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_scripts_are_there(shell: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("edgeslm"))],
        capture_output=True,
        text=True,
        env={**os.environ, "_EDGESLM_COMPLETE": f"{shell}_source"},
        check=False,
    )
    assert "edgeslm" in done.stdout


def test_completion_offers_targets() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("edgeslm"))],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "_EDGESLM_COMPLETE": "bash_complete",
            "COMP_WORDS": "edgeslm build --target rpi",
            "COMP_CWORD": "3",
        },
        check=False,
    )
    assert "rpi4" in done.stdout
