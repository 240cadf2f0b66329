"""Measured facts: every combination is there, and what the planner says of them is what they say."""

from __future__ import annotations

import itertools

import pytest

from edgeslm.cost.measured import INSTRUCTIONS, LATENCY_MS, RESIDENT
from edgeslm.cost.memory import MIB, memory_budget, resident_facts
from edgeslm.cost.speed import compare_backends, scheme_cost, speed_warnings
from edgeslm.quantize.schemes import SCHEMES, Scheme
from edgeslm.target import Target, list_targets, load_target

BACKENDS = ("tflite", "openvino")
LINUX = [target for target in list_targets() if not target.is_firmware]
ARM = [target for target in list_targets() if target.cpu.arch == "aarch64"]


def test_every_backend_and_scheme_was_measured_everywhere() -> None:
    assert set(RESIDENT) == set(itertools.product(BACKENDS, ("aarch64", "x86_64"), SCHEMES))
    assert set(INSTRUCTIONS) == set(itertools.product(BACKENDS, ("cortex-a72", "cortex-a76"), SCHEMES))
    assert set(LATENCY_MS) == set(itertools.product(BACKENDS, ("x86_64",), SCHEMES))


@pytest.mark.parametrize("fact", RESIDENT.values())
def test_resident_facts_are_possible(fact: tuple[float, float]) -> None:
    factor, constant_mib = fact
    assert 0.3 < factor < 20
    assert 10 < constant_mib < 400  # Python, numpy and a runtime are never free


@pytest.mark.parametrize("target", LINUX, ids=lambda target: target.name)
@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_target_finds_a_cost(target: Target, scheme: Scheme, backend: str) -> None:
    assert scheme_cost(backend, target, scheme.name) is not None


@pytest.mark.parametrize("target", ARM, ids=lambda target: target.name)
@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_the_choice_on_arm_follows_the_measurements(target: Target, scheme: Scheme) -> None:
    chosen, why = compare_backends(target, scheme)
    other = next(name for name in BACKENDS if name != chosen)
    costs = {name: scheme_cost(name, target, scheme.name) for name in BACKENDS}
    memory = {name: resident_facts(name, "aarch64", scheme.name).factor for name in BACKENDS}
    for name in BACKENDS:
        cost = costs[name]
        assert cost is not None
        assert f"{name} {cost[0]:,.4g}" in why
        assert f"{name} {memory[name]:.1f}" in why
    if "fewer instructions" in why:
        assert costs[chosen] < costs[other]  # type: ignore[operator]  # neither is None: see above
        assert memory[chosen] < 1.5 * memory[other]
    else:
        assert 1.5 * memory[chosen] <= memory[other]


@pytest.mark.parametrize("target", ARM, ids=lambda target: target.name)
def test_integers_belong_to_tflite_on_arm(target: Target) -> None:
    for scheme in ("int8", "int8-static", "int4"):
        assert compare_backends(target, SCHEMES[scheme])[0] == "tflite"


def test_who_gains_nothing_is_told() -> None:
    pi4, pi5 = load_target("rpi4"), load_target("rpi5")
    assert not speed_warnings("tflite", pi4, SCHEMES["int8"])
    assert "slower than fp32" in speed_warnings("tflite", pi4, SCHEMES["int4"])[0]
    assert not speed_warnings("tflite", pi5, SCHEMES["int4"])  # the Cortex-A76 has dot products
    assert "not faster than fp32" in speed_warnings("openvino", pi4, SCHEMES["int8"])[0]


def test_an_unmeasured_combination_is_taken_for_the_backend_s_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    worst = max(value.factor for (name, arch, _), value in RESIDENT.items() if (name, arch) == ("openvino", "aarch64"))
    monkeypatch.delitem(RESIDENT, ("openvino", "aarch64", "int8"))
    budget = memory_budget(load_target("rpi4"), "openvino", "int8", 100 * MIB)
    assert budget.weights + budget.expansion == round(worst * 100 * MIB)
