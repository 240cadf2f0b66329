"""An Android bundle's members: the library and the project, the same bytes for the same inputs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeslm.bundle.android.assets import tell_model
from edgeslm.bundle.android.library import CLASSES
from edgeslm.bundle.android.litert import VERSION
from edgeslm.bundle.android.project import TEMPLATE, artifact_name
from edgeslm.bundle.android.properties import write_properties
from edgeslm.bundle.inspect import inspect_bundle
from edgeslm.deploy import deploy
from edgeslm.device.container import open_container
from edgeslm.errors import BundleError, UnsupportedError
from edgeslm.flash.image import read_image
from edgeslm.remote.login import Login
from edgeslm.target import LEAST_SDK
from tests.unit.android_files import TABLE, android_bundle, android_models, litert_aar, missed

ROOT = Path(__file__).parents[2]
ASSETS = "android/edgeslm/src/main/assets/edgeslm"
MAVEN = "maven/org/edgeslm/edgeslm-tiny-encoder-v1/0.1.0/edgeslm-tiny-encoder-v1-0.1.0"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("android")
    return android_bundle(folder / "build", folder).path


@pytest.fixture(scope="module")
def library(bundle: Path) -> Path:
    path = bundle.parent / "library.aar"
    with zipfile.ZipFile(bundle) as opened:
        path.write_bytes(opened.read(f"{MAVEN}.aar"))
    return path


def read(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as opened:
        return opened.read(name)


def properties(content: bytes) -> dict[str, str]:
    """As java.util.Properties.load describes its format, of the part that is written: an entry a line."""
    entries = {}
    for line in content.decode("ascii").splitlines():
        match = re.fullmatch(r"((?:\\.|[^\\=])*)=(.*)", line)
        assert match, line
        key, value = match.groups()
        entries[_unescaped(key)] = _unescaped(value.lstrip(" \t\f"))
    return entries


def _unescaped(text: str) -> str:
    units = re.sub(r"\\u([0-9a-f]{4})|\\(.)", lambda one: chr(int(one[1], 16)) if one[1] else one[2], text)
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def test_a_bundle_holds_library_project_and_what_people_read(bundle: Path) -> None:
    assert bundle.name == "Tiny-Encoder-v1-android-arm64-int8+fp32.edgeslm"
    inspection = inspect_bundle(bundle)
    models = {f"{ASSETS}/{one}/{file}" for one in ("int8", "fp32") for file in
              ("model.properties", "model.tflite", "tokenizer.edgetok")}  # fmt: skip
    template = {f"android/{path.relative_to(TEMPLATE)}" for path in TEMPLATE.rglob("*") if path.is_file()}
    assert set(inspection.files) == models | template | {
        "manifest.json", "LICENSE", "MODEL_CARD.md", "README.md", "tokenizer/tokenizer.json",
        f"{MAVEN}.aar", f"{MAVEN}.pom", f"{ASSETS}/LICENSE", f"{ASSETS}/models.properties",
    }  # fmt: skip
    assert {"android/settings.gradle", "android/edgeslm/build.gradle"} <= template


def test_the_manifest_tells_of_every_model(bundle: Path) -> None:
    manifest = inspect_bundle(bundle).manifest
    assert (manifest.schema_version, manifest.scheme, manifest.backend) == (5, "int8", "tflite")
    android = manifest.android
    assert android is not None
    assert [one.id for one in android.models] == ["int8", "fp32"]
    assert android.models[0].model == manifest.model
    assert android.models[1].model.files == (f"{ASSETS}/fp32/model.tflite",)
    assert android.models[0].parents.plan != android.models[1].parents.plan
    assert android.coordinate == "org.edgeslm:edgeslm-tiny-encoder-v1:0.1.0"
    assert (android.litert, android.merged) == (f"com.google.ai.edge.litert:litert:{VERSION}", {})
    assert android.library == f"{MAVEN}.aar"


def test_the_library_has_what_an_aar_has(library: Path) -> None:
    with zipfile.ZipFile(library) as opened:
        assert opened.testzip() is None
        names = opened.namelist()
        root = ElementTree.fromstring(opened.read("AndroidManifest.xml"))
        metadata = properties(opened.read("META-INF/com/android/build/gradle/aar-metadata.properties"))
        assert opened.read("classes.jar") == CLASSES.read_bytes()
        assert opened.read("R.txt") == b""
        assert b"com.google.ai.edge.litert" in opened.read("proguard.txt")
        assert opened.read("assets/edgeslm/int8/tokenizer.edgetok") == TABLE
    assert not [name for name in names if name.startswith(("jni/", "libs/"))]
    assert root.get("package") == "org.edgeslm"
    [uses] = root
    assert uses.attrib == {"{http://schemas.android.com/apk/res/android}minSdkVersion": str(LEAST_SDK)}
    assert metadata["aarFormatVersion"] == "1.0"


def test_assets_are_stored_where_pages_of_memory_begin(library: Path) -> None:
    with zipfile.ZipFile(library) as opened, library.open("rb") as source:
        for member in opened.infolist():
            assert member.compress_type == zipfile.ZIP_STORED
            source.seek(member.header_offset + 26)
            lengths = int.from_bytes(source.read(2), "little") + int.from_bytes(source.read(2), "little")
            start = member.header_offset + 30 + lengths
            assert start % (4096 if member.filename.startswith("assets/") else 4) == 0
            source.seek(start)
            assert source.read(member.file_size) == opened.read(member)


def test_a_model_lies_twice_in_a_bundle(bundle: Path, library: Path) -> None:
    model = read(bundle, f"{ASSETS}/int8/model.tflite")
    assert read(library, "assets/edgeslm/int8/model.tflite") == model
    assert bundle.read_bytes().count(model) == 4  # both schemes of this test have the same bytes


def test_an_app_is_told_what_the_manifest_tells(bundle: Path, library: Path) -> None:
    told = properties(read(library, "assets/edgeslm/int8/model.properties"))
    assert read(bundle, f"{ASSETS}/int8/model.properties") == read(library, "assets/edgeslm/int8/model.properties")
    assert told["model.sha256"] == hashlib.sha256(read(library, "assets/edgeslm/int8/model.tflite")).hexdigest()
    assert told["tokenizer.sha256"] == hashlib.sha256(TABLE).hexdigest()
    assert (told["task"], told["scheme"], told["lengths"]) == ("embedding", "int8", "16,32")
    assert (told["signatures.16"], told["inputs.0.name"], told["inputs.0.shape"]) == ("tokens_16", "input_ids", "1,-1")
    assert (told["outputs.count"], told["outputs.0.dtype"]) == ("1", "float32")
    assert (told["chat.before"], told["chat.after"]) == ("<user> ", "\n<assistant>")
    assert (told["fidelity.cosine_min"], told["fidelity.passed"]) == ("0.998123", "true")
    index = properties(read(library, "assets/edgeslm/models.properties"))
    assert index == {"default": "int8", "models": "int8,fp32"}


def test_maven_is_told_of_litert_and_of_nothing_else(bundle: Path) -> None:
    pom = ElementTree.fromstring(read(bundle, f"{MAVEN}.pom"))
    space = "{http://maven.apache.org/POM/4.0.0}"
    assert pom.findtext(f"{space}packaging") == "aar"
    [dependency] = pom.iter(f"{space}dependency")
    assert [part.text for part in dependency] == ["com.google.ai.edge.litert", "litert", VERSION, "aar", "runtime"]


def test_the_readme_has_both_ways_into_an_app_and_its_honesty(bundle: Path) -> None:
    text = read(bundle, "README.md").decode()
    assert "implementation 'org.edgeslm:edgeslm-tiny-encoder-v1:0.1.0'" in text
    assert f"implementation 'com.google.ai.edge.litert:litert:{VERSION}'" in text
    assert "Nothing of this was run on a phone" in text
    assert 'model.embed("Some text")' in text
    assert "int8: Cosine similarity to PyTorch: at least 0.9981" in text


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path, bundle: Path) -> None:
    again = android_bundle(tmp_path / "elsewhere", tmp_path / "out")
    assert again.path.read_bytes() == bundle.read_bytes()


def test_litert_s_files_go_into_library_and_project(tmp_path: Path) -> None:
    given = litert_aar(tmp_path / "litert-2.3.0.aar")
    made = android_bundle(tmp_path / "build", tmp_path / "out", ("int8",), [given]).path
    manifest = inspect_bundle(made).manifest
    assert manifest.android is not None
    assert manifest.android.litert is None
    assert set(manifest.android.merged) == {"litert-2.3.0.jar", "libLiteRt.so"}
    project = "android/edgeslm/src/main/jniLibs/arm64-v8a/libLiteRt.so"
    assert {"android/edgeslm/libs/litert-2.3.0.jar", project} <= set(manifest.files)
    assert b"<dependency>" not in read(made, f"{MAVEN}.pom")
    assert "com.google.ai.edge.litert:litert" not in read(made, "README.md").decode()
    (tmp_path / "library.aar").write_bytes(read(made, f"{MAVEN}.aar"))
    with zipfile.ZipFile(tmp_path / "library.aar") as opened:
        member = opened.getinfo("jni/arm64-v8a/libLiteRt.so")
        start = member.header_offset + 30 + len(member.filename) + len(member.extra)
        assert start % 16384 == 0
        assert opened.read(member) == read(made, project)
        assert "libs/litert-2.3.0.jar" in opened.namelist()
        assert opened.read("proguard.txt").endswith(b"-keep class a.B\n")


def test_a_missed_gate_is_told_in_every_place(tmp_path: Path) -> None:
    tiny, models = android_models(tmp_path)
    below = dataclasses.replace(models[1], fidelity=missed(models[1].fidelity))
    assert tell_model(tiny.checkpoint, below, "").below_gate
    assert not tell_model(tiny.checkpoint, models[0], "").below_gate


def test_a_manifest_that_speaks_of_a_missing_library_is_refused(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(bundle) as opened:
        opened.extractall(folder)
    document = json.loads((folder / "manifest.json").read_text())
    document["android"]["models"][1]["table"] = "android/elsewhere"
    (folder / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(BundleError, match="speaks of android/elsewhere"):
        inspect_bundle(folder)
    shutil.rmtree(folder)


def test_the_device_package_opens_it_and_boards_and_deploy_do_not(bundle: Path) -> None:
    assert open_container(bundle).manifest["schema_version"] == 5
    with pytest.raises(UnsupportedError, match="an Android library, and no firmware"):
        read_image(bundle)
    with pytest.raises(UnsupportedError, match="an app brings it onto the phone") as caught:
        deploy(bundle, inspect_bundle(bundle), [], login=Login(), announce=lambda *_: None)
    assert f"{MAVEN}.aar" in (caught.value.hint or "")


def test_litert_is_the_version_that_scores_the_model() -> None:
    pinned = re.search(r"ai-edge-litert==([0-9.]+)", (ROOT / "pyproject.toml").read_text())
    assert pinned is not None
    assert pinned[1] == VERSION
    build = (TEMPLATE / "edgeslm" / "build.gradle").read_text()
    assert f"'com.google.ai.edge.litert:litert:{VERSION}'" in build
    assert f"minSdk {LEAST_SDK}\n" in build


@pytest.mark.parametrize(
    ("name", "artifact"),
    [("Tiny Encoder/v1", "edgeslm-tiny-encoder-v1"), ("日本", "edgeslm-model"), ("..", "edgeslm-model")],
)
def test_maven_s_names_are_of_plain_letters(name: str, artifact: str) -> None:
    assert artifact_name(name) == artifact


@example(entries={"a b": "  two spaces, \\ and = : # !", "#c": "\t😀\n", " ": " "})
@given(entries=st.dictionaries(st.text(min_size=1, max_size=12), st.text(max_size=40), max_size=6))
def test_any_text_can_be_told(entries: dict[str, str]) -> None:
    written = write_properties(entries)
    assert properties(written) == entries
    assert not [line for line in written.splitlines() if re.match(rb"[ \t#!]", line)]
