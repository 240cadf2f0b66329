"""stories260k as firmware, on emulated boards: the golden story, and the host build's ids on every board."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgeslm
from edgeslm.artifacts import BuildReport
from edgeslm.backends.cortexm.host import HostLanguage, compile_kernels
from edgeslm.backends.cortexm.variant import choose_variant
from edgeslm.target import load_target

STORIES = Path(__file__).resolve().parents[3] / "shared" / "models" / "stories260k"
PROMPT = "Once upon a time"
COUNT = 16
pytestmark = [
    pytest.mark.skipif(not STORIES.is_dir(), reason=f"stories260k is not at {STORIES}"),
    pytest.mark.skipif(
        not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")),
        reason="arm-none-eabi-gcc or qemu-system-arm is not here",
    ),
]


def ask(report: BuildReport, prompt: str, count: int) -> tuple[list[int], list[int]]:
    """The board's ids, and how many tokens the prompt was: from the command line."""
    command = [sys.executable, "-m", "edgeslm", "run", str(report.bundle.path), "--via", "qemu"]
    command += ["--prompt", prompt, "--max-tokens", str(count), "--json"]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["generation"]
    return said["tokens"], [said["prompt_tokens"]]


@pytest.mark.xfail(reason="an empty prompt is refused by run --via qemu", strict=False)
def test_the_story_in_floats_is_the_golden_one(tmp_path: Path) -> None:
    report = edgeslm.build("mps2-an386", str(STORIES), scheme="fp32", out=tmp_path)
    golden = json.loads((STORIES / "golden_ids.json").read_text(encoding="utf-8"))
    said, _ = ask(report, "", 256)
    assert said == golden[1:257]
    assert report.fidelity.perplexity is not None
    assert report.fidelity.perplexity.kept >= 0.9999


@pytest.mark.parametrize(
    "target", ["mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547", "mps2-an385", "netduinoplus2"]
)
def test_every_board_says_what_the_host_build_says(target: str, tmp_path: Path) -> None:
    report = edgeslm.build(target, str(STORIES), scheme="int8", context=64, kv_cache="int8", out=tmp_path)
    said, _ = ask(report, PROMPT, COUNT)
    variant = choose_variant(load_target(target).cpu.isa)
    kernels = compile_kernels(variant, tmp_path / "kernels")
    assert report.compiled.language is not None
    host = HostLanguage(report.compiled.root, variant, 64, report.compiled.language.vocabulary, kernels)
    from tokenizers import Tokenizer

    ids = [1, *Tokenizer.from_file(str(STORIES / "tokenizer.json")).encode(PROMPT, add_special_tokens=False).ids]
    logits = host.prefill(np.array(ids, np.int32), 0)
    expected: list[int] = []
    for place in range(COUNT):
        expected.append(int(logits.argmax()))
        logits = host.step(expected[-1], len(ids) + place)
    host.close()
    assert said == expected
