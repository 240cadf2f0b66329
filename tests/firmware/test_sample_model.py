"""The checked-in sample is what the generator writes, compiles without a warning, and runs clean of the sanitizers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeslm.backends.cortexm.host import HostLanguage
from edgeslm.backends.cortexm.packing import Layout
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.firmware.told import NO_TOKEN
from edgeslm.firmware.wire import MOST_REQUEST, Frame, Receiver, request
from tests.firmware.host_program import build_host_program, talk

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "firmware_templates" / "model" / "sample"
CONTEXT, VOCABULARY, BOS, EOS = 32, 97, 0, 1
SPACE = 2
VARIANT = Variant(Layout.ROWS)


def test_the_generator_writes_it_again() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "sample_model.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_host_program(SAMPLE, VARIANT.host_macros, tmp_path_factory.mktemp("sample"))


def test_its_program_tells_what_the_library_computes(program: Path) -> None:
    asked = [request("O", CONTEXT, 0, 0), Frame("P", b"a b"), request("Q")]
    answered = talk(program, b"".join(frame.encode() for frame in asked))
    told = [frame.words(2)[1] for frame in Receiver().feed(answered) if frame.type == "t"]
    prompt = [BOS, SPACE + ord("a") - 32, SPACE, SPACE + ord("b") - 32]
    engine = HostLanguage(SAMPLE, VARIANT, CONTEXT, VOCABULARY)
    ids = [int(engine.prefill(np.array(prompt, np.int32), 0).argmax())]
    while ids[-1] != EOS and len(prompt) + len(ids) < CONTEXT:
        ids.append(int(engine.step(ids[-1], len(prompt) + len(ids) - 1).argmax()))
    engine.close()
    assert [token for token in told if token != NO_TOKEN] == ids


def test_the_longest_prompt_is_counted_in_the_least_memory(program: Path) -> None:
    """The sample's cache and arena are smaller than what the tokenizer works in: the arena grows by what is missing,
    and a prompt that is too long is told in tokens, not as one that the memory is too small for."""
    assert "text         before the first" in (SAMPLE / "model_schedule.c").read_text()
    answered = talk(program, Frame("P", b"a" * MOST_REQUEST).encode())
    (error,) = Receiver().feed(answered)
    assert (error.type, error.words(3)) == ("e", (1, 1 + MOST_REQUEST, CONTEXT))
