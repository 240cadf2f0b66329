"""Encoders in the Java runtime beside the device package in Python, and what the runtime does when things go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeslm import api
from edgeslm.device.model import Model
from edgeslm.export.checkpoint import open_checkpoint
from tests.android.assets import bundle_assets, language_assets
from tests.android.jvm import Classes
from tests.android.phone import Phone
from tests.conftest import ROOT
from tests.tiny_language import build_language

STORIES = ROOT.parent / "shared" / "models" / "stories260k"
TEXTS = ("A cat runs.", "How do I reset my password?", "Zwölf Boxkämpfer 🙂", "The house by the river was sold. " * 9)
LONG = "word " * 600
TOLERANCE = 1e-4
CASES = (
    "assetMissing",
    "assetTampered",
    "blockingIsRefusedOnTheMainThread",
    "callbackThatThrows",
    "callbacksComeOnTheExecutor",
    "callbacksComeOnTheMainThread",
    "cancelEndsBetweenTokens",
    "cancelWhileWaiting",
    "chatWithoutTemplate",
    "closeEndsAnswers",
    "copiesOfEarlierModelsGo",
    "copyThatRottedIsMadeAnew",
    "descriptionIncompleteOrNewer",
    "executorThatIsGone",
    "halfACharacter",
    "nothingWorksAfterClose",
    "openedThroughAContextNothingOfItIsKept",
    "promptTooLong",
    "rotationLeaksNothing",
    "twoAnswersComeInTurn",
    "wrongTask",
)


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("assets")


@pytest.fixture(scope="module")
def phone(
    android_classes: Classes, litert_jni: str, assets: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Phone]:
    work = tmp_path_factory.mktemp("work")
    opened = Phone(android_classes.command("org.edgeslm.Answers", assets, work, options=[litert_jni]), work / "errors")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def classifier(assets: Path, checkpoint_of: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a small classifier, which is among the assets as well."""
    folder = checkpoint_of("bert", "BertForSequenceClassification")
    out = tmp_path_factory.mktemp("classifier")
    bundle = api.build("rpi4", str(folder), scheme="fp32", backend="tflite", out=out).bundle.path
    bundle_assets(assets, "classifier", bundle)
    return bundle


@pytest.fixture(scope="module")
def cases(
    android_classes: Classes,
    litert_jni: str,
    run_java: Callable[..., str],
    classifier: Path,
    assets: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """How each case went: see tests/android/java/org/edgeslm/Cases.java."""
    if not STORIES.is_dir():
        pytest.skip(f"stories260k is not at {STORIES}")
    work = tmp_path_factory.mktemp("cases")
    compiled = build_language(STORIES, "int8", 512, work / "stages", cache_writers=True)
    language_assets(assets, "stories", open_checkpoint(str(STORIES)), compiled, None)
    told = run_java("org.edgeslm.Cases", assets, work, "stories", "classifier", options=[litert_jni])
    return dict(line.split("\t", 1) for line in told.splitlines())


def test_probabilities_are_pythons(phone: Phone, classifier: Path) -> None:
    assert phone.ask("open", "classifier").split("\t")[1] == "classification"
    with Model.open(classifier, threads=1) as opened:
        expected = opened.classify(list(TEXTS[:3]))
    for text, labels in zip(TEXTS, expected, strict=False):
        found = [word.rsplit(" ", 1) for word in phone.ask("classify", text).strip("[]").split(", ")]
        assert [name for name, _ in found] == [name for name, _ in labels]
        np.testing.assert_allclose([float(x) for _, x in found], [x for _, x in labels], atol=TOLERANCE)


@pytest.mark.parametrize("case", CASES)
def test_case(cases: dict[str, str], case: str) -> None:
    assert cases[case] == "ok"


def test_no_case_is_forgotten(cases: dict[str, str]) -> None:
    assert tuple(sorted(cases)) == CASES


def test_minilm_has_pythons_embeddings(phone: Phone, assets: Path, tmp_path: Path) -> None:
    """The same file in int8, in several length buckets; a text that is too long is cut at the same token."""
    bundle = api.build("rpi4", "demo", scheme="int8", backend="tflite", out=tmp_path).bundle.path
    bundle_assets(assets, "minilm", bundle)
    assert phone.ask("open", "minilm").split("\t")[1] == "embedding"
    with Model.open(bundle, threads=1) as opened, pytest.warns(UserWarning, match="longer than"):
        expected = opened.embed([*TEXTS, LONG])
    for text, vector in zip((*TEXTS, LONG), expected, strict=True):
        np.testing.assert_allclose(phone.numbers("embed", text), vector, atol=TOLERANCE, rtol=0)
