"""What libraries put into the tests' environment neither reaches a command nor keeps it from being forked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import forked_commands
from tests.forked_commands import Commands, command_environment


def test_a_command_has_a_user_s_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(forked_commands, "_AT_FIRST", frozenset())
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    commands = Commands(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("EDGESLM_CACHE", "/elsewhere")
    environment = command_environment({})
    assert environment["EDGESLM_CACHE"] == "/elsewhere"
    assert "HF_HUB_OFFLINE" not in environment
    assert commands.can_run(environment)
    given = command_environment({"HF_HUB_OFFLINE": "0"})
    assert given["HF_HUB_OFFLINE"] == "0"
    assert not commands.can_run(given)
