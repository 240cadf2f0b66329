"""A backend's functions stay what they are, whatever is imported after them."""

from __future__ import annotations

import importlib

import pytest

from edgeslm.backends import MODULES, load_backend


@pytest.mark.parametrize("name", MODULES)
def test_a_room_does_not_take_the_place_of_its_function(name: str) -> None:
    """An import of a package `lower` sets that name in the package around it."""
    backend = load_backend(name)
    importlib.import_module(f"{MODULES[name]}.lower")
    assert callable(backend.lower)
