"""The host's object of the kernels: made once for each kind of core, and anew when anything it is made of changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgeslm.backends.cortexm import host_kernels as module
from edgeslm.backends.cortexm.host_kernels import host_kernels
from edgeslm.backends.cortexm.packing import Layout
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.errors import ToolFailedError

ROWS = Variant(Layout.ROWS)

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not here (apt install build-essential)")


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two kernels of which one belongs to nets, and a header."""
    folder = tmp_path / "templates/kernels"
    folder.mkdir(parents=True)
    (folder / "size.h").write_text("#define SIZE 3\n")
    (folder / "dot.c").write_text('#include "size.h"\nint dot(void) { return SIZE + EDGESLM_LAYOUT; }\n')
    (folder / "add_s8.c").write_text("int add(void) { return 1; }\n")
    monkeypatch.setattr(module, "template_folder", lambda: folder.parent)
    monkeypatch.setenv("EDGESLM_CACHE", str(tmp_path / "cache"))
    return folder


def test_it_is_compiled_once_for_each_kind(sources: Path) -> None:
    first = host_kernels(ROWS)
    made = first.stat().st_mtime_ns
    assert host_kernels(ROWS) == first
    assert first.stat().st_mtime_ns == made
    others = {host_kernels(Variant(Layout.PAIRS)), host_kernels(Variant(Layout.ROWS, fixed=True))}
    assert len(others | {first, host_kernels(ROWS, is_net=True)}) == 4
    assert b"add" not in first.read_bytes()
    assert b"add" in host_kernels(ROWS, is_net=True).read_bytes()
    # The core's assembly is not the host's.
    assert host_kernels(Variant(Layout.PAIRS, dsp=True)) in others


@pytest.mark.parametrize("name", ["size.h", "dot.c"])
def test_what_changes_is_compiled_anew(sources: Path, name: str) -> None:
    first = host_kernels(ROWS)
    (sources / name).write_text((sources / name).read_text() + "\n")
    assert host_kernels(ROWS) != first


def test_what_does_not_compile_leaves_nothing(sources: Path, tmp_path: Path) -> None:
    (sources / "dot.c").write_text("no C\n")
    with pytest.raises(ToolFailedError, match="no C"):
        host_kernels(ROWS)
    assert list((tmp_path / "cache").iterdir()) == []
