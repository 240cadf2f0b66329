"""What the device makes of a runtime's profile, and of one that is none."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeslm.device.container import open_container
from edgeslm.device.probe import profile_litert
from edgeslm.device.probe.profile import NoProfile, Profile, profile_operators
from edgeslm.device.probe.profile_litert import BUILT_IN, XNNPACK, Event, operators_of
from tests.unit.device_bundles import TinyModel, members, write_file

INPUTS = {"input_ids": np.array([[2, 5, 6, 3]], np.int32), "attention_mask": np.ones((1, 4), np.int32)}


def events_of(*told: tuple[bytes, int, int, int]) -> list[Event]:
    """Events of (tag, type, index, microseconds); the tags' memory lives as long as the test."""
    events = []
    for tag, kind, index, elapsed in told:
        text = ctypes.create_string_buffer(tag)
        event = Event(tag=ctypes.addressof(text), type=kind, index=index, elapsed_us=elapsed)
        event.text = text  # keeps it
        events.append(event)
    return events


def test_an_event_has_the_size_that_litert_writes() -> None:
    assert ctypes.sizeof(Event) == 104


def test_events_of_the_run_as_a_whole_are_no_operators() -> None:
    events = events_of(
        (b"Invoke", 1, 0, 900), (b"CAST", BUILT_IN, 7, 3), (b"Softmax (NC, F32)", XNNPACK, 0, 5), (b"Invoke", 32, 0, 1)
    )  # fmt: skip
    found = [(one.kind, one.source, one.index, one.microseconds) for one in operators_of(events)]
    assert found == [("CAST", "tflite", 7, (3.0,)), ("Softmax (NC, F32)", "xnnpack", 0, (5.0,))]


def test_xnnpack_counts_anew_in_each_part_of_the_graph() -> None:
    events = events_of(
        (b"A", XNNPACK, 0, 1), (b"B", XNNPACK, 1, 1), (b"SLICE", BUILT_IN, 4, 1), (b"C", XNNPACK, 0, 1)
    )  # fmt: skip
    assert [one.index for one in operators_of(events)] == [0, 1, 4, 0]


@pytest.mark.parametrize(
    "told",
    [
        [],
        [(b"Invoke", 1, 0, 900)],
        [(b"A", XNNPACK, 0, 1), (b"B", XNNPACK, 5, 1)],
        [(b"A", XNNPACK, 1, 1)],
        [(b"CAST", BUILT_IN, 7, 1), (b"CAST", BUILT_IN, 7, 1)],
        [(b"CAST", BUILT_IN, 7, 1 << 60)],
        [(b"\xff\xfe\x01", BUILT_IN, 7, 1)],
        [(b"", BUILT_IN, 7, 1)],
    ],
)
def test_what_does_not_look_like_a_profile_is_not_believed(told: list[tuple[bytes, int, int, int]]) -> None:
    with pytest.raises(NoProfile, match="no profile"):
        operators_of(events_of(*told))


def test_an_address_that_is_none_is_not_followed() -> None:
    with pytest.raises(NoProfile):
        operators_of([Event(tag=None, type=BUILT_IN, index=0, elapsed_us=1)])


def profile(folder: Path, runtime: str, **choices: Any) -> tuple[Profile, list[str]]:
    """A tiny bundle's profile, and the marks set meanwhile."""
    marks: list[str] = []
    container = open_container(write_file(folder / "tiny.edgeslm", members(TinyModel("embedding"), runtime)))
    model = container.manifest["model"]
    found = profile_operators(
        {**model, **choices}, container.files, 2, INPUTS, model["signatures"].get("4"), 3, lambda: marks.append("m")
    )
    return found, marks


@pytest.mark.parametrize("runtime", ["ai-edge-litert", "openvino"])
def test_a_mark_stands_before_and_after_each_run(tmp_path: Path, runtime: str) -> None:
    found, marks = profile(tmp_path, runtime)
    assert len(marks) == 6
    assert found.operators or found.why_not == "no profile: no operator takes OpenVINO a whole microsecond"
    assert found.event().keys() == {"operators", "why_not"}


def test_an_unknown_litert_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ai_edge_litert  # type: ignore[import-untyped]  # the package has no types

    monkeypatch.setattr(ai_edge_litert, "__version__", "9.9.9")
    found, marks = profile(tmp_path, "ai-edge-litert")
    assert (found.operators, marks) == ((), [])
    assert "9.9.9" in (found.why_not or "")


def test_the_interpreter_has_no_profile(tmp_path: Path) -> None:
    described = [{"name": "input_ids", "dtype": "int64", "shape": [1, -1]}]
    found, _ = profile(tmp_path, "ai-edge-litert", inputs=described)
    assert "interpreter" in (found.why_not or "")


class _Counted:
    """libLiteRt.so, with a note of every call that makes or frees something."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("LiteRtCreate", "LiteRtDestroy")):
            self.calls.append(name.removesuffix("FromFile").removesuffix("FromHostMemory"))
        return getattr(self.library, name)


def test_every_native_handle_is_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = profile_litert._load
    counted: list[_Counted] = []

    def load_counted(model: Any) -> Any:
        counted.append(_Counted(load(model)))
        return counted[-1]

    monkeypatch.setattr(profile_litert, "_load", load_counted)
    profile(tmp_path, "ai-edge-litert")
    made = [name.removeprefix("LiteRtCreate") for name in counted[0].calls if name.startswith("LiteRtCreate")]
    freed = [name.removeprefix("LiteRtDestroy") for name in counted[0].calls if name.startswith("LiteRtDestroy")]
    owned = [name for name in made if name != "OpaqueOptions"]  # the options free those that are added to them
    assert sorted(freed) == sorted(owned)
    assert {"Environment", "Model", "Options", "CompiledModel", "TensorBuffer"} == set(owned)
