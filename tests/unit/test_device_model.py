"""What a bundle answers on the device: each task, on each runtime, from a file and from a folder."""

from __future__ import annotations

import importlib
import json
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeslm.device import Model, TruncationWarning
from edgeslm.device.errors import BundleError, MissingPackageError, UsageError
from tests.unit.device_bundles import LABELS, RUNTIMES, WORDS, TinyModel, members, write_file, write_folder

Bundle = Callable[..., Path]
TEXTS = ["a small model runs here", "well ?", "small", "a a a a a a a a a"]


@pytest.fixture(params=sorted(RUNTIMES))
def runtime(request: pytest.FixtureRequest) -> str:
    pytest.importorskip({"openvino": "openvino", "ai-edge-litert": "ai_edge_litert"}[request.param])
    return str(request.param)


@pytest.fixture
def open_tiny(tmp_path: Path, runtime: str) -> Iterator[Callable[..., Model]]:
    """open_tiny(model, **changes to the manifest) -> the Model of its bundle."""
    opened: list[Model] = []

    def open_it(model: TinyModel, **changes: Any) -> Model:
        opened.append(Model.open(write_file(tmp_path / f"{len(opened)}.edgeslm", members(model, runtime, **changes))))
        return opened[-1]

    yield open_it
    for model in opened:
        model.close()


def softmax(logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    exponents = np.exp(logits - logits.max())
    probabilities: np.ndarray[Any, Any] = exponents / exponents.sum()
    return probabilities


def test_embed_gives_a_row_per_text_in_order(open_tiny: Callable[..., Model]) -> None:
    tiny = TinyModel("embedding")
    model = open_tiny(tiny)
    expected = np.stack([tiny.expected(model.encode(text).ids) for text in TEXTS])
    vectors = model.embed(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    np.testing.assert_allclose(model.embed(TEXTS[1]), expected[1:2], atol=1e-5)
    assert model.embed([]).shape == (0, 16)


def test_every_length_gives_what_the_unpadded_text_gives(open_tiny: Callable[..., Model]) -> None:
    tiny = TinyModel("token-classification")
    model = open_tiny(tiny)
    for count in range(1, 15):
        encoding = model.encode(" ".join(WORDS[5 + i % 7] for i in range(count)))
        inputs = {name: array for name, array in encoding.inputs().items() if name != "token_type_ids"}
        logits = model.run(inputs)["logits"]
        assert logits.shape == (1, count + 2, len(LABELS))
        np.testing.assert_allclose(logits[0], tiny.expected(encoding.ids), atol=1e-4)


def test_classify_ranks_labels_by_probability(open_tiny: Callable[..., Model]) -> None:
    tiny = TinyModel("classification")
    model = open_tiny(tiny)
    for text, ranked in zip(TEXTS, model.classify(TEXTS), strict=True):
        expected = softmax(tiny.expected(model.encode(text).ids))
        assert [label for label, _ in ranked] == [LABELS[i] for i in np.argsort(-expected)]
        np.testing.assert_allclose([score for _, score in ranked], sorted(expected, reverse=True), atol=1e-5)


def test_several_labels_at_once_have_probabilities_of_their_own(open_tiny: Callable[..., Model]) -> None:
    tiny = TinyModel("classification")
    model = open_tiny(tiny, multi_label=True)
    logits = tiny.expected(model.encode(TEXTS[0]).ids)
    scores = dict(model.classify(TEXTS[0])[0])
    np.testing.assert_allclose([scores[label] for label in LABELS], 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_a_single_label_keeps_its_plain_score(open_tiny: Callable[..., Model]) -> None:
    tiny = TinyModel("classification", labels=1)
    model = open_tiny(tiny, labels=["similarity"])
    [[(label, score)]] = model.classify(TEXTS[0])
    assert label == "similarity"
    assert score == pytest.approx(float(tiny.expected(model.encode(TEXTS[0]).ids)[0]), abs=1e-5)


def test_labels_that_do_not_fit_the_scores_are_a_broken_bundle(open_tiny: Callable[..., Model]) -> None:
    with pytest.raises(BundleError, match=r"3 scores.*2 labels"):
        open_tiny(TinyModel("classification"), labels=["one", "two"]).classify("a")


def test_classify_tokens_names_each_words_place(open_tiny: Callable[..., Model]) -> None:
    tiny = TinyModel("token-classification")
    model = open_tiny(tiny)
    text = "a  small unknown model"
    [labelled] = model.classify_tokens(text)
    assert [token[:3] for token in labelled] == [("a", 0, 1), ("small", 3, 8), ("unknown", 9, 16), ("model", 17, 22)]
    expected = tiny.expected(model.encode(text).ids)[1:-1]
    assert [token[3] for token in labelled] == [LABELS[i] for i in expected.argmax(axis=1)]
    np.testing.assert_allclose([token[4] for token in labelled], [softmax(row).max() for row in expected], atol=1e-5)


@pytest.mark.parametrize("mask", ["<mask>", "[MASK]"])
def test_fill_mask_gives_the_likeliest_words(open_tiny: Callable[..., Model], mask: str) -> None:
    tiny = TinyModel("fill-mask")
    model = open_tiny(tiny)
    [fills] = model.fill_mask(f"a {mask} model", top=99)
    expected = softmax(tiny.expected(model.encode("a <mask> model").ids)[2])
    known = [i for i in np.argsort(-expected) if i < len(WORDS)]
    assert [word for word, _ in fills] == [WORDS[i] for i in known]
    np.testing.assert_allclose([score for _, score in fills], expected[known], atol=1e-5)
    assert model.fill_mask(f"a {mask} model", top=3) == [fills[:3]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a small model", "no mask token"),
        ("<mask> and <mask>", "2 mask tokens"),
        ("a " * 20 + "<mask>", "behind the model's limit"),
    ],
)
def test_a_text_without_one_mask_is_named(open_tiny: Callable[..., Model], text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        open_tiny(TinyModel("fill-mask")).fill_mask(["a <mask>", text])
    assert text[:20] in caught.value.message


def test_truncation_is_told(open_tiny: Callable[..., Model]) -> None:
    tiny = TinyModel("embedding")
    model = open_tiny(tiny)
    long = "a " * 13 + "small model"
    with pytest.warns(TruncationWarning, match=r"1 texts \(number 2\) longer than 16 tokens") as caught:
        vectors = model.embed(["a", long])
    assert caught[0].filename == __file__
    encoding = model.encode(long)
    assert encoding.truncated
    assert len(encoding.ids) == 16
    assert encoding.ids[-1] == 3
    np.testing.assert_allclose(vectors[1], tiny.expected(encoding.ids), atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.embed("a " * 14)  # 16 tokens: all of them


def test_another_task_is_refused_with_the_method_to_use(open_tiny: Callable[..., Model]) -> None:
    model = open_tiny(TinyModel("classification"))
    with pytest.raises(UsageError, match="tiny does classification, not embedding") as caught:
        model.embed("a")
    assert "classify(" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="str, not int"):
        model.classify([1])  # type: ignore[list-item]  # the mistake under test


def test_a_folder_answers_as_the_file_does(tmp_path: Path, runtime: str) -> None:
    files = members(TinyModel("embedding"), runtime)
    with (
        Model.open(write_file(tmp_path / "a.edgeslm", files)) as one,
        Model.open(write_folder(tmp_path / "a", files), threads=1) as other,
    ):
        np.testing.assert_array_equal(one.embed(TEXTS), other.embed(TEXTS))


def test_threads_may_share_a_model(open_tiny: Callable[..., Model]) -> None:
    model = open_tiny(TinyModel("embedding"))
    expected = [model.embed(text) for text in TEXTS]
    wrong: list[str] = []

    def work(number: int) -> None:
        same = [np.array_equal(model.embed(TEXTS[number]), expected[number]) for _ in range(50)]
        if not all(same):
            wrong.append(TEXTS[number])

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(TEXTS))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_the_caller_keeps_what_it_was_given(open_tiny: Callable[..., Model]) -> None:
    """Outputs are no views of memory that the next run writes into."""
    model = open_tiny(TinyModel("classification"))
    inputs = [{k: v for k, v in model.encode(t).inputs().items() if k != "token_type_ids"} for t in TEXTS]
    first = model.run(inputs[0])["logits"]
    copy = first.copy()
    for other in inputs[1:]:
        model.run(other)
    np.testing.assert_array_equal(first, copy)


@pytest.mark.parametrize("package", ["openvino", "ai-edge-litert", "tokenizers"])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str) -> None:
    runtime = "openvino" if package == "tokenizers" else package
    pytest.importorskip(runtime.replace("-", "_"))
    path = write_file(tmp_path / "a.edgeslm", members(TinyModel("embedding"), runtime))
    for name in [package.replace("-", "_"), "tflite_runtime"]:
        for loaded in [name, *(module for module in sys.modules if module.startswith(f"{name}."))]:
            monkeypatch.setitem(sys.modules, loaded, None)  # how Python is told that a module cannot be imported
    with pytest.raises(MissingPackageError, match=package) as caught:
        Model.open(path)
    assert f"pip install {package}" in (caught.value.hint or "")
    assert caught.value.exit_code == 5


def test_the_interpreter_gives_what_the_compiled_model_gives(tmp_path: Path) -> None:
    """Older devices have only an interpreter: same signatures, same results."""
    pytest.importorskip("ai_edge_litert")
    tflite = importlib.import_module("edgeslm.device.tflite")
    from edgeslm.device.files import FolderFiles
    from edgeslm.device.runner import Runner

    tiny = TinyModel("token-classification")
    folder = write_folder(tmp_path / "a", members(tiny, "ai-edge-litert"))
    with Model.open(folder) as model:
        described = model.manifest["model"]
        plain = Runner(described, tflite.InterpreterEngine(described, FolderFiles(folder, None), 2))
        for text in TEXTS:
            encoding = model.encode(text)
            inputs = {name: encoding.inputs()[name] for name in model.runner.input_names}
            np.testing.assert_allclose(plain.run(inputs)["logits"], model.run(inputs)["logits"], atol=1e-5)
            np.testing.assert_allclose(plain.run(inputs)["logits"][0], tiny.expected(encoding.ids), atol=1e-4)
        plain.close()


def test_the_frozen_runtime_is_not_trusted_with_what_it_gets_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tflite_runtime 2.14 opens dynamic int8 models and gives wrong vectors."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    tiny = TinyModel("embedding")
    files = members(tiny, "ai-edge-litert")
    for name in [name for name in sys.modules if name.split(".")[0] == "ai_edge_litert"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", type(sys)("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", interpreter)
    with Model.open(write_folder(tmp_path / "fp32", files)) as model:
        assert model.runner.engine.name == "tflite_runtime"
        np.testing.assert_allclose(model.embed("a"), [tiny.expected([2, 5, 3])], atol=1e-5)
    manifest = json.loads(files["manifest.json"])
    manifest["model"]["scheme"] = "int8"
    with pytest.raises(BundleError, match="tflite_runtime gives wrong results for a model of scheme int8") as caught:
        Model.open(write_folder(tmp_path / "int8", {**files, "manifest.json": json.dumps(manifest).encode()}))
    assert "ai-edge-litert" in (caught.value.hint or "")


def test_repacked_weights_of_another_model_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteRT accepts a weight cache of any model with the same shapes and then gives that model's results."""
    pytest.importorskip("ai_edge_litert")
    monkeypatch.setenv("EDGESLM_DEVICE_CACHE", str(tmp_path / "cache"))
    for seed in (1, 2, 1):
        tiny = TinyModel("classification", seed)
        folder = write_folder(tmp_path / str(seed), members(tiny, "ai-edge-litert"))
        with Model.open(folder) as model:
            ids = model.encode(TEXTS[0]).ids
            scores = dict(model.classify(TEXTS[0])[0])
            np.testing.assert_allclose([scores[x] for x in LABELS], softmax(tiny.expected(ids)), atol=1e-5)
    packed = list((tmp_path / "cache").iterdir())
    assert len(packed) == 2
    # How far rows are padded depends on the CPU: 888 bytes with AVX2, more with AVX-512.
    assert all(path.suffix == ".xnnpack" and path.stat().st_size > tiny.head.nbytes for path in packed)
