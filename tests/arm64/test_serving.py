"""A server on the device: packages from the bundle's own pins, the published text to a client of this machine."""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edgeslm.api import build
from edgeslm.bundle.wheels import fetch_wheels
from edgeslm.emulator.command import emulated_python
from edgeslm.emulator.userland import debian_userland
from edgeslm.remote.copying import suits_python
from tests.arm64.sshd import kept_folder
from tests.arm64.userland import PYTHON, problem, site_folder
from tests.conftest import ROOT

STORIES = ROOT.parent / "shared" / "models" / "stories260k"

pytestmark = [
    pytest.mark.skipif(problem() is not None, reason=problem() or ""),
    pytest.mark.skipif(not STORIES.is_dir(), reason=f"{STORIES} is not there"),
]


def test_the_golden_text_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openai: Any = pytest.importorskip("openai")
    tokenizers: Any = pytest.importorskip("tokenizers")
    pytest.importorskip("ai_edge_litert")
    bundle = build("rpi4", str(STORIES), scheme="fp32", backend="tflite", out=tmp_path).bundle.path
    with zipfile.ZipFile(bundle) as opened:
        pins = opened.read("requirements-serve.txt")
    monkeypatch.setenv("EDGESLM_CACHE", str(kept_folder() / "ssh-builds"))
    for wheel in fetch_wheels(pins, "requirements-serve.txt", "aarch64"):
        if suits_python(f"wheels/{wheel.name}", PYTHON):
            with zipfile.ZipFile(wheel) as packed:
                packed.extractall(tmp_path / "site")

    arguments = ["-m", "edgeslm_device", "serve", "--port", "0"]
    path = [bundle, tmp_path / "site", site_folder("litert")]
    env = {"EDGESLM_DEVICE_CACHE": str(tmp_path / "pi"), "EDGESLM_API_KEY": "s3cret"}
    command, surroundings = emulated_python(debian_userland(), "cortex-a72", arguments, path=path, env=env)
    with subprocess.Popen(
        command, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as device:
        try:
            assert device.stdout is not None
            assert device.stderr is not None
            line = device.stdout.readline()
            found = re.search(r"http://\S+/v1", line)
            assert found, line + device.stderr.read()
            client = openai.OpenAI(base_url=found[0], api_key="s3cret", max_retries=0, timeout=240)
            golden = json.loads((STORIES / "golden_ids.json").read_text())
            asked = {"model": "stories260k", "prompt": "", "max_tokens": len(golden) - 1, "temperature": 0}
            text = "".join(chunk.choices[0].text for chunk in client.completions.create(**asked, stream=True))
            device.terminate()
            assert device.wait(60) == 0, device.stderr.read()
        finally:
            device.kill()
    published = tokenizers.Tokenizer.from_file(str(STORIES / "tokenizer.json")).decode(golden)
    assert text == published
