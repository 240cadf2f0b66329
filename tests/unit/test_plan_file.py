"""Plan files: written, edited by hand, given back, and refused with every mistake."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeslm.artifacts import Checkpoint, Parameter, QuantPlan, TensorChoice
from edgeslm.errors import ConfigError, UnsupportedSchemeError
from edgeslm.planning import decide
from edgeslm.quantize.choices import allowed_choices, notation
from edgeslm.quantize.plan_file import plan_text, read_plan
from edgeslm.quantize.schemes import SCHEMES, find_scheme, mixed_scheme
from edgeslm.target import load_target

TARGET = load_target("rpi4")
HERE: dict[str, str | None] = {"tflite": None, "openvino": None}
PARAMETERS = (
    Parameter("words.weight", (1000, 64), "embedding"),
    Parameter("layer.query.weight", (64, 64), "linear"),
    Parameter("layer.query.bias", (64,), "other"),
)
CHECKPOINT = Checkpoint("tiny", "tiny", "ab" * 32, "embedding", "bert", PARAMETERS)


def decided(scheme: str, **asked: object) -> QuantPlan:
    return decide(TARGET, CHECKPOINT, (16,), HERE, scheme, **asked)  # type: ignore[arg-type]


def saved(folder: Path, plan: QuantPlan, change: Callable[[str], str] = str) -> Path:
    path = folder / "plan.toml"
    path.write_text(change(plan_text(CHECKPOINT, plan)), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_an_unchanged_plan_builds_the_same(scheme: str, tmp_path: Path) -> None:
    plan = decided(scheme)
    back = read_plan(saved(tmp_path, plan), TARGET, CHECKPOINT)
    again = decide(TARGET, CHECKPOINT, (16,), HERE, given=back)
    assert (again.digest, again.scheme, again.backend) == (plan.digest, plan.scheme, plan.backend)


@given(st.data())
def test_every_choice_there_is_comes_back(data: st.DataObject) -> None:
    drawn = {one.name: data.draw(st.sampled_from(allowed_choices(one, "tflite"))) for one in PARAMETERS}
    choices = {name: TensorChoice(precision, "drawn", group) for name, (precision, group) in drawn.items()}
    plan = dataclasses.replace(decided("int8"), scheme="mixed", choices=choices)
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        back = read_plan(saved(Path(folder), plan), TARGET, CHECKPOINT)
    assert {name: (one.precision, one.group) for name, one in back.choices.items()} == drawn
    assert all(notation(drawn[name]) in plan_text(CHECKPOINT, plan) for name in drawn)
    assert back.found_scheme.name == "mixed"


def test_an_edited_plan_is_mixed_and_says_where_it_is_from(tmp_path: Path) -> None:
    def edit(text: str) -> str:
        return text.replace('scheme = "int4"', 'scheme = "mixed"').replace('"int4-g32"', '"int4-g64"')

    back = read_plan(saved(tmp_path, decided("int4"), edit), TARGET, CHECKPOINT)
    plan = decide(TARGET, CHECKPOINT, (16,), HERE, given=back)
    assert plan.scheme == "mixed"
    assert plan.choices["layer.query.weight"] == TensorChoice("int4", "as plan.toml has it", 64)
    assert plan.digest != decided("int4").digest
    assert plan.reasons[0] == "scheme mixed (precision by tensor): as plan.toml has it"
    assert decided("int4").warnings
    assert not plan.warnings  # of a mixed plan's speed nothing is known without a profile


def test_an_edit_that_keeps_the_schemes_name_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, decided("int8"), lambda text: text.replace('weight" = "int8"', 'weight" = "int4-g32"'))
    path.write_text(path.read_text().replace('weight"       = "int8"', 'weight"       = "int4-g32"'))
    with pytest.raises(ConfigError, match=r'scheme: is "int8", but .* write "mixed"'):
        read_plan(path, TARGET, CHECKPOINT)


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    def spoil(text: str) -> str:
        text = text.replace("ab" * 32, "cd" * 32).replace('target = "rpi4"', 'target = "rpi5"')
        text = text.replace('scheme = "int8"', 'scheme = "mixed"').replace("layer.query.bias", "layer.query.bios")
        lines = [line for line in text.splitlines() if "words.weight" not in line]
        return "\n".join(line.replace('"int8"', '"int3"') if "query.weight" in line else line for line in lines)

    with pytest.raises(ConfigError) as caught:
        read_plan(saved(tmp_path, decided("int8"), spoil), TARGET, CHECKPOINT)
    told = caught.value.message
    for part in (
        "another model",
        'target: is "rpi5", and the build is for rpi4',
        '"layer.query.bios" is not in the checkpoint; did you mean "layer.query.bias"?',
        '"layer.query.bias" of the checkpoint is missing',
        '"words.weight" of the checkpoint is missing',
        '"layer.query.weight" cannot be "int3" with tflite; it takes fp32, fp16, int8, int4-g32',
    ):
        assert part in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "tensors = 3", "schema: is missing"),
        (lambda text: text.replace("schema = 1", "schema = 7"), "schema: is 7, and this edgeslm reads 1"),
        (lambda text: text.replace("backend =", "backand ="), 'backand: no such key; did you mean "backend"'),
        (lambda text: text.replace('backend = "tflite"', 'backend = "cortexm"'), "is none of rpi4's"),
        (lambda text: text.replace('scheme = "int8"', 'scheme = "int5"'), "scheme: no scheme is named 'int5'"),
        (lambda text: text + "\n[[", "is no TOML"),
        (lambda text: text.replace('= "int8"', "= 8"), "is 8, and no string"),
        (lambda text: text.replace("\n[tensors]", "min_fidelity = 1.5\n[tensors]"), "1.5 is not between 0 and 1"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(change: Callable[[str], str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plan(saved(tmp_path, decided("int8"), change), TARGET, CHECKPOINT)
    assert message in caught.value.message


def test_a_plan_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_plan(tmp_path / "none.toml", TARGET, CHECKPOINT)


def test_a_mixed_plan_promises_what_its_coarsest_tensor_does() -> None:
    four, eight = TensorChoice("int4", "", 64), TensorChoice("int8", "")
    assert mixed_scheme({"a": eight, "b": four}).cosine_gate == SCHEMES["int4"].cosine_gate
    assert mixed_scheme({"a": eight}).cosine_gate == SCHEMES["int8"].cosine_gate
    assert mixed_scheme({"a": TensorChoice("fp32", "")}).activations == "float"
    with pytest.raises(UnsupportedSchemeError, match="no scheme says"):
        find_scheme("mixed")
