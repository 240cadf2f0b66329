"""Decide, as data: backend, scheme per tensor, memory fit, expected size, and why. Nothing is carried out here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import get_args

from edgeslm.artifacts import Checkpoint, Converter, QuantPlan
from edgeslm.cost.fastest import fastest_scheme
from edgeslm.cost.memory import Budget, memory_budget, mixed_budget, require_fit
from edgeslm.cost.speed import compare_backends, speed_warnings
from edgeslm.digest import json_digest
from edgeslm.errors import ConfigError, MissingToolError, UnsupportedError
from edgeslm.quantize.plan import TensorPlan, bytes_by_scheme, choose_precisions, stored_bytes
from edgeslm.quantize.schemes import MIXED, SCHEMES, Scheme, find_scheme
from edgeslm.target import Target, list_targets

DEFAULT_SCHEME = "int8"
BACKENDS = ("tflite", "openvino")
ANDROID_BACKEND = "tflite"
CONVERTERS: tuple[Converter, ...] = get_args(Converter)
DEFAULT_CONVERTER: Converter = "edgeslm"
WHAT_FITS_MIXED = "store more of its tensors in fewer bits: limits such as --max-size find such a plan"
WHY_CONVERTER = (
    "as fast and as small as with onnx2tf, lowered in a fifth of its time and a third of its memory (measured)"
)


def decide(
    target: Target,
    checkpoint: Checkpoint,
    lengths: tuple[int, ...],
    missing: Mapping[str, str | None],
    scheme: str | None = None,
    backend: str | None = None,
    converter: Converter | None = None,
    given: TensorPlan | None = None,
) -> QuantPlan:
    """The plan for this checkpoint on this target.

    `missing` says for each backend what keeps it from being used here, with the converter asked for, None where
    nothing does. `given` takes the place of `scheme` and `backend`.

    Raises ConfigError, UnsupportedError, UnsupportedSchemeError, MissingToolError, DoesNotFitError.
    """
    chosen_scheme, why_scheme = choose_scheme(target, scheme, tuple(SCHEMES), given=given)
    reasons = [f"scheme {chosen_scheme.name} ({chosen_scheme.title}): {why_scheme}"]
    backend = backend if given is None else given.backend
    if converter and backend not in (None, "tflite"):
        raise ConfigError(f"--converter {converter} is the tflite backend's", f"leave it out with --backend {backend}")
    judged = SCHEMES[chosen_scheme.linear] if chosen_scheme.name == MIXED else chosen_scheme
    chosen_backend, why, warnings = _choose_backend(target, judged, missing, "tflite" if converter else backend)
    reasons += why
    chosen_converter = (converter or DEFAULT_CONVERTER) if chosen_backend == "tflite" else None
    if chosen_converter:
        reasons.append(f"converter {chosen_converter}: {'as asked' if converter else WHY_CONVERTER}")
    choices = choose_precisions(checkpoint.parameters, chosen_scheme) if given is None else dict(given.choices)
    weight_bytes = sum(stored_bytes(p, choices[p.name]) for p in checkpoint.parameters)
    if chosen_scheme.name == MIXED:
        budget = mixed_budget(target, chosen_backend, bytes_by_scheme(checkpoint.parameters, choices))
    else:
        budget = memory_budget(target, chosen_backend, chosen_scheme.name, weight_bytes)
    smaller = (
        WHAT_FITS_MIXED
        if chosen_scheme.name == MIXED
        else _what_would_fit(checkpoint, target, chosen_backend, chosen_scheme)
    )
    require_fit(checkpoint.name, target, budget, smaller)
    reasons.append(
        f"memory: {_mb(budget.resident)} resident of {_mb(budget.available)} free on {target.title} "
        f"({'from what was ' if chosen_scheme.name == MIXED else ''}measured for {chosen_backend} "
        f"{'by precision' if chosen_scheme.name == MIXED else chosen_scheme.name} on {target.cpu.arch})"
    )
    plan = QuantPlan(
        target=target.name,
        backend=chosen_backend,
        scheme=chosen_scheme.name,
        choices=choices,
        reasons=tuple(reasons),
        warnings=(*warnings, *speed_warnings(chosen_backend, target, chosen_scheme)),
        lengths=lengths,
        weight_bytes=weight_bytes,
        resident_bytes=budget.resident,
        converter=chosen_converter,
    )
    return with_digest(plan)


def choose_scheme(
    target: Target, asked: str | None, names: Sequence[str], *, decodes: bool = False, given: TensorPlan | None = None
) -> tuple[Scheme, str]:
    """The scheme, and why. In an app the CPU that runs it fastest decides; `names` are those there are, and `decodes`
    is for language models. `given` takes the place of what is asked for."""
    if given is not None:
        return given.found_scheme, given.origin
    if asked is not None:
        return find_scheme(asked), "as asked"
    if target.is_android:
        found = fastest_scheme(ANDROID_BACKEND, target, names, decodes=decodes)
        if found is not None:
            return find_scheme(found[0]), f"what LiteRT's CPU kernels (XNNPACK) run fastest: {found[1]}"
        return find_scheme(DEFAULT_SCHEME), f"the default; its kin were not measured for {target.cpu.core}"
    return find_scheme(DEFAULT_SCHEME), f"the default for {target.title}"


def android_backend(target: Target, missing: Mapping[str, str | None], asked: str | None) -> tuple[str, str]:
    """The one backend of apps, and why. Raises UnsupportedError where another is asked for, MissingToolError."""
    if asked not in (None, *BACKENDS):
        raise UnsupportedError(f"no backend is named {asked!r}", f"known: {ANDROID_BACKEND} for {target.name}")
    if asked not in (None, ANDROID_BACKEND):
        raise UnsupportedError(
            f"an app on {target.title} runs its model by LiteRT: for {asked} there is no Android library that it could "
            "depend on",
            f"leave out --backend, or --backend {ANDROID_BACKEND}",
        )
    if missing[ANDROID_BACKEND]:
        raise MissingToolError(f"the {ANDROID_BACKEND} backend cannot be used here: {missing[ANDROID_BACKEND]}")
    return ANDROID_BACKEND, "LiteRT is the runtime that an Android app can depend on"


def same_kind(target: Target) -> list[Target]:
    """Built-in targets that a bundle for `target` could have been for, the smallest first."""
    found = [one for one in list_targets() if (one.cpu.arch, one.packaging) == (target.cpu.arch, target.packaging)]
    return sorted(found, key=lambda one: one.memory.ram_kib)


def find_converter(name: str | None) -> Converter | None:
    """The converter of that name. Raises UnsupportedError where there is none."""
    if name is not None and name not in CONVERTERS:
        raise UnsupportedError(f"no converter is named {name!r}", f"known: {', '.join(CONVERTERS)}")
    return name


def why_scheme(target: Target, asked: str | None, given: TensorPlan | None) -> str:
    if given is not None:
        return given.origin
    return "as asked" if asked else f"the default for {target.title}"


def plan_budget(target: Target, checkpoint: Checkpoint, plan: QuantPlan) -> Budget:
    if plan.scheme == MIXED:
        parts = bytes_by_scheme(checkpoint.parameters, plan.choices)
        return mixed_budget(target, plan.backend, parts, plan.cache_bytes)
    return memory_budget(target, plan.backend, plan.scheme, plan.weight_bytes, plan.cache_bytes)


def with_digest(plan: QuantPlan) -> QuantPlan:
    """The digest is of what the plan makes happen: reasons and warnings may be reworded without a rebuild."""
    digest = json_digest(
        {
            "target": plan.target,
            "backend": plan.backend,
            "scheme": plan.scheme,
            "choices": {name: [c.precision, c.group] for name, c in plan.choices.items()},
            "lengths": plan.lengths,
            "converter": plan.converter,
            "kv_cache": plan.kv_cache,
            **({"cache_writers": True} if plan.cache_writers else {}),
        }
    )
    return dataclasses.replace(plan, digest=digest)


def _choose_backend(
    target: Target, scheme: Scheme, missing: Mapping[str, str | None], asked: str | None
) -> tuple[str, list[str], list[str]]:
    """Backend, reasons, warnings."""
    if target.is_android:
        chosen, reason = android_backend(target, missing, asked)
        return chosen, [f"backend {chosen}: {reason}"], []
    best, why = compare_backends(target, scheme)
    if asked is not None:
        if asked not in BACKENDS:
            raise UnsupportedError(f"no backend is named {asked!r}", f"known: {', '.join(BACKENDS)}")
        if missing[asked]:
            raise MissingToolError(f"the {asked} backend cannot be used here: {missing[asked]}")
        if asked == best:
            return asked, [f"backend {asked}: as asked; {why}"], []
        return asked, [f"backend {asked}: as asked"], [f"{best} would be chosen for {target.name}: {why}"]
    usable = [name for name in BACKENDS if not missing[name]]
    if not usable:
        raise MissingToolError(
            "no backend can be used here:\n" + "\n".join(f"         {name}: {missing[name]}" for name in BACKENDS),
            "edgeslm doctor lists what is missing and installs it",
        )
    if best in usable:
        return best, [f"backend {best}: {why}"], []
    other = usable[0]
    return (
        other,
        [f"backend {other}: {best} cannot be used here ({missing[best]})"],
        [f"{best} would be better on {target.name}: {why}"],
    )


def _what_would_fit(checkpoint: Checkpoint, target: Target, backend: str, scheme: Scheme) -> str:
    """Schemes under which this model would fit this target, or the smallest target that takes it as it is."""

    def needs(on: Target, name: str) -> Budget:
        choices = choose_precisions(checkpoint.parameters, SCHEMES[name])
        size = sum(stored_bytes(p, choices[p.name]) for p in checkpoint.parameters)
        return memory_budget(on, backend, name, size)

    fitting = [name for name in SCHEMES if name != scheme.name and needs(target, name).fits]
    if fitting:
        return f"it would fit with --scheme {' or '.join(fitting)}"
    larger = [one for one in same_kind(target) if needs(one, scheme.name).fits]
    if larger:
        return f"the smallest target that takes it: {larger[0].name}"
    return "no built-in target takes it: a smaller checkpoint is needed"


def _mb(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
