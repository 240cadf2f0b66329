"""From a checkpoint to an Android library, as a user does it; what is in the library is run on this machine."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeslm import api
from edgeslm.artifacts import BuildReport
from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.bundle.store import file_part
from edgeslm.device.model import Model
from edgeslm.device.token_table import TokenTable
from edgeslm.device.tokenizer import Tokenizer
from edgeslm.errors import FidelityError
from tests.android.jvm import LIGHT, Classes
from tests.android.phone import Phone
from tests.conftest import Answer
from tests.decoders import make_decoder
from tests.unit.android_files import litert_aar

pytest.importorskip("torch")
SCHEMES = ("int8", "fp32")
PROMPT = "Once upon a time"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("decoder") / "tiny-llama"
    make_decoder("llama-tied", folder)
    return folder


@pytest.fixture(scope="module")
def built(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, own_caches: None) -> BuildReport:
    out = tmp_path_factory.mktemp("android")
    return api.build("android-arm64", str(checkpoint), scheme=SCHEMES, min_fidelity=0.5, allow_below_gate=True, out=out)


def test_a_library_of_two_schemes_states_the_fidelity_of_both(built: BuildReport) -> None:
    assert built.bundle.path.name == "tiny-llama-android-arm64-int8+fp32.edgeslm"
    manifest = inspect_bundle(built.bundle.path).manifest
    assert manifest.android is not None
    assert [(one.id, one.model.scheme) for one in manifest.android.models] == [(name, name) for name in SCHEMES]
    assert [other.plan.scheme for other in built.others] == ["fp32"]
    exact = manifest.android.models[1].fidelity
    assert exact.perplexity is not None
    assert exact.perplexity.kept > 0.9999
    assert exact.cosine_min is not None
    assert exact.cosine_min > 0.9999


def test_what_an_app_opens_is_what_was_scored(built: BuildReport, checkpoint: Path) -> None:
    manifest = inspect_bundle(built.bundle.path).manifest
    assert manifest.android is not None
    with zipfile.ZipFile(built.bundle.path) as opened:
        for one in manifest.android.models:
            [name] = one.model.files
            told = dict(line.split("=", 1) for line in opened.read(one.properties).decode().splitlines())
            content, table = opened.read(name), opened.read(one.table)
            assert told["model.sha256"] == file_part(content).sha256
            assert told["tokenizer.sha256"] == file_part(table).sha256
            assert told["language.signatures.count"] == str(
                len(one.model.language.signatures if one.model.language else ())
            )
        ids = Tokenizer((checkpoint / "tokenizer.json").read_bytes(), 64, cut=False).ids(PROMPT)
        assert TokenTable(opened.read(manifest.android.models[0].table)).encode(PROMPT) == ids


def test_the_library_answers_on_the_jvm_as_the_bundle_does_here(
    built: BuildReport, android_classes: Classes, litert_jni: str, tmp_path: Path
) -> None:
    """The .aar's own classes.jar opens the .aar's own assets."""
    library = inspect_bundle(built.bundle.path).manifest.android
    assert library is not None
    with zipfile.ZipFile(built.bundle.path) as opened:
        (tmp_path / "library.aar").write_bytes(opened.read(library.library))
    with zipfile.ZipFile(tmp_path / "library.aar") as opened:
        opened.extractall(tmp_path / "aar")
    paths = (android_classes.tests, tmp_path / "aar" / "classes.jar", android_classes.stubs)
    command = ["java", *LIGHT, litert_jni, "-cp", os.pathsep.join(map(str, paths)), "org.edgeslm.Answers"]
    phone = Phone([*command, str(tmp_path / "aar" / "assets"), str(tmp_path / "work")], tmp_path / "errors")
    try:
        answers = {name: (phone.ask("open", name), phone.ask("generate", "max_tokens=12", PROMPT)) for name in SCHEMES}
    finally:
        phone.close()
    with Model.open(built.bundle.path) as model:
        here = model.generate(PROMPT, max_tokens=12)
        told = here.read(), len(here.prompt), len(here.tokens)
    assert here.finish is not None
    assert answers["int8"][0].split("\t")[:2] == ["tiny-llama", "generation"]
    reason, prompt, generated, text = answers["int8"][1].split("\t")
    assert (text, int(prompt), int(generated)) == told
    assert reason.lower() == here.finish.reason
    assert answers["fp32"][1].split("\t")[0] == reason


def test_gates_of_every_scheme_hold(checkpoint: Path, tmp_path: Path) -> None:
    """The second scheme misses what the first one keeps: nothing is left behind."""
    with pytest.raises(FidelityError):
        api.build("android-arm64", str(checkpoint), scheme=("fp32", "int4"), min_fidelity=0.99999, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_takes_schemes_and_litert(
    checkpoint: Path, built: BuildReport, tmp_path: Path, edgeslm: Callable[..., Answer]
) -> None:
    litert = litert_aar(tmp_path / "litert-2.3.0.aar")
    flags = ("--target", "android-arm64", "--model", checkpoint, "--litert-aar", litert)
    done = edgeslm("build", *flags, "-s", "int8", "-s", "fp32", "--allow-below-gate", "-o", tmp_path, "--json")
    assert done.status == 0, done.stderr
    answer = done.json
    assert [other["scheme"] for other in answer["others"]] == ["fp32"]
    assert answer["others"][0]["fidelity"]["perplexity"]["kept"] > 0.9999
    assert answer["digest"] != built.bundle.digest
    shown = edgeslm("inspect", answer["bundle"]).stdout
    assert "in the library: libLiteRt.so, litert-2.3.0.jar" in shown
    assert "opened as" in shown
