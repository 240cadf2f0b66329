"""A plan as a file: TOML, a line for each tensor, made to be read, edited by hand and given back.

    scheme = "mixed"
    backend = "tflite"
    ...
    [tensors]
    "encoder.layer.0.attention.self.query.weight" = "int4-g32"    # why

What a tensor is stored as is a precision, with "-gN" where there is a scale for every N columns.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgeslm.artifacts import Checkpoint, QuantPlan, TensorChoice
from edgeslm.errors import ConfigError, UnsupportedSchemeError
from edgeslm.quantize.choices import DECODERS, ENCODERS, Choice, allowed_choices, notation, stored_together
from edgeslm.quantize.plan import TensorPlan, choose_precisions
from edgeslm.quantize.schemes import MIXED, find_scheme
from edgeslm.target import Target

SCHEMA = 1
MOST_BYTES = 16 << 20
MOST_LISTED = 20
"""Mistakes that a message shows; it says how many more there are."""
KEYS: dict[str, type | tuple[type, ...]] = {
    "schema": int,
    "model": str,
    "checkpoint": str,
    "target": str,
    "backend": str,
    "scheme": str,
    "min_fidelity": (int, float),
    "tensors": dict,
}
OPTIONAL = {"min_fidelity"}
HEADER = """\
# What edgeslm stores each tensor as. Edit it and give it back: edgeslm build --target {target} --plan FILE
# With other choices than its scheme's own, scheme is "{mixed}". This backend takes: {choices}.
"""


def plan_text(checkpoint: Checkpoint, plan: QuantPlan, min_fidelity: float | None = None) -> str:
    """The plan as TOML. `min_fidelity`: the limit that builds from it must keep, if it is not the scheme's own."""
    of_matrices = (ENCODERS if checkpoint.decoder is None else DECODERS)[plan.backend].matrices
    known = ", ".join(notation(choice) for choice in of_matrices)
    lines = [
        HEADER.format(target=plan.target, mixed=MIXED, choices=known),
        f"schema = {SCHEMA}",
        f"model = {_string(checkpoint.name)}",
        f"checkpoint = {_string(checkpoint.digest)}",
        f"target = {_string(plan.target)}",
        f"backend = {_string(plan.backend)}",
        f"scheme = {_string(plan.scheme)}",
    ]
    if min_fidelity is not None:
        lines.append(f"min_fidelity = {min_fidelity}")
    lines += ["", "[tensors]"]
    widest = max((len(_string(parameter.name)) for parameter in checkpoint.parameters), default=0)
    for parameter in checkpoint.parameters:
        choice = plan.choices[parameter.name]
        stored = _string(notation((choice.precision, choice.group)))
        reason = "".join(letter if letter.isprintable() else " " for letter in choice.reason)
        lines.append(
            f"{_string(parameter.name):<{widest}} = {stored:<11} # {'×'.join(map(str, parameter.shape))}: {reason}"
        )
    return "\n".join([*lines, ""])


def read_plan(path: Path, target: Target, checkpoint: Checkpoint) -> TensorPlan:
    """The plan in this file, held to the checkpoint and to what its backend can do.

    Raises ConfigError with every mistake at once.
    """
    document = _document(path)
    mistakes = list(_shape_mistakes(document))
    if not mistakes:
        mistakes = list(_mistakes(document, target, checkpoint))
    if mistakes:
        shown = "".join(f"\n         {mistake}" for mistake in mistakes[:MOST_LISTED])
        more = len(mistakes) - MOST_LISTED
        shown += f"\n         … and {more} more" if more > 0 else ""
        raise ConfigError(
            f"the plan {path} cannot be used:{shown}",
            f"edgeslm plan --target {target.name} --model … --save FILE writes one that can",
        )
    choices = {
        name: TensorChoice(precision, f"as {path.name} has it", group)
        for name, (precision, group) in _choices(document).items()
    }
    ordered = {parameter.name: choices[parameter.name] for parameter in checkpoint.parameters}
    return TensorPlan(
        document["scheme"], document["backend"], ordered, f"as {path.name} has it", document.get("min_fidelity")
    )


def _document(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"the plan {path} has more than {MOST_BYTES >> 20} MiB", "is it a plan?")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the plan {path} cannot be read: {error.strerror}", "--plan FILE names a plan file"
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the plan {path} is no TOML: {error}", 'a line of it is NAME = "int8"') from None


def _shape_mistakes(document: Mapping[str, Any]) -> Iterator[str]:
    for key in document:
        if key not in KEYS:
            yield f"{key}: no such key{_nearest(key, KEYS)}"
    for key, kind in KEYS.items():
        if key not in document:
            if key not in OPTIONAL:
                yield f"{key}: is missing"
        elif not isinstance(document[key], kind) or isinstance(document[key], bool):
            yield f"{key}: {document[key]!r} is no {_kind_name(key)}"
    if document.get("schema", SCHEMA) != SCHEMA and isinstance(document["schema"], int):
        yield f"schema: is {document['schema']}, and this edgeslm reads {SCHEMA}"
    tensors = document.get("tensors")
    for name, stored in tensors.items() if isinstance(tensors, dict) else ():
        if not isinstance(stored, str):
            yield f'tensors: {_string(name)} is {stored!r}, and no string such as "int8"'


def _kind_name(key: str) -> str:
    return {"schema": "whole number", "min_fidelity": "number", "tensors": "table"}.get(key, "string")


def _mistakes(document: Mapping[str, Any], target: Target, checkpoint: Checkpoint) -> Iterator[str]:
    if document["checkpoint"] != checkpoint.digest:
        given, model = document["checkpoint"][:12], _string(document["model"])
        yield f"checkpoint: is {given}… of {model}; {checkpoint.name} is {checkpoint.digest[:12]}…: another model"
    if document["target"] != target.name:
        yield f"target: is {_string(document['target'])}, and the build is for {target.name}"
    least = document.get("min_fidelity")
    if least is not None and not 0 <= least <= 1:
        yield f"min_fidelity: {least} is not between 0 and 1"
    names = {parameter.name for parameter in checkpoint.parameters}
    for name in document["tensors"]:
        if name not in names:
            yield f"tensors: {_string(name)} is not in the checkpoint{_nearest(name, names)}"
    for parameter in checkpoint.parameters:
        if parameter.name not in document["tensors"]:
            yield f"tensors: {_string(parameter.name)} of the checkpoint is missing"
    known_backends = ["cortexm"] if target.is_firmware else ["tflite", "openvino"]
    if document["backend"] not in known_backends:
        yield f"backend: {_string(document['backend'])} is none of {target.name}'s: {', '.join(known_backends)}"
        return
    yield from _choice_mistakes(document, checkpoint)


def _choice_mistakes(document: Mapping[str, Any], checkpoint: Checkpoint) -> Iterator[str]:
    found, backend, scheme = _choices(document), document["backend"], document["scheme"]
    if scheme != MIXED:
        try:
            own = _own_choices(document, checkpoint)
        except UnsupportedSchemeError as error:
            yield f"scheme: {error.message}; {error.hint}"
            return
        changed = [name for name in document["tensors"] if name in own and found.get(name) != own[name]]
        if changed:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            differing = f"{_string(changed[0])}{more} differ from it"
            yield f"scheme: is {_string(scheme)}, but {differing}: write {_string(MIXED)}"
        return
    for parameter in checkpoint.parameters:
        if parameter.name not in document["tensors"]:
            continue
        allowed = allowed_choices(parameter, backend, language=checkpoint.decoder is not None)
        if found.get(parameter.name) not in allowed:
            stored = _string(document["tensors"][parameter.name])
            takes = ", ".join(notation(one) for one in allowed)
            yield f"tensors: {_string(parameter.name)} cannot be {stored} with {backend}; it takes {takes}"
    for together in stored_together(checkpoint.parameters, checkpoint.decoder):
        stored_as = {name: document["tensors"][name] for name in together if name in document["tensors"]}
        if len(set(stored_as.values())) > 1:
            listed = ", ".join(f"{_string(name)} is {stored}" for name, stored in stored_as.items())
            yield f"tensors: one matrix with one choice, but {listed}"


def _own_choices(document: Mapping[str, Any], checkpoint: Checkpoint) -> dict[str, Choice]:
    """The scheme's, in the smallest blocks that the backend has. Raises UnsupportedSchemeError."""
    scheme = find_scheme(document["scheme"])
    group = min(choice[1] for choice in DECODERS[document["backend"]].matrices if choice[1])
    own = choose_precisions(checkpoint.parameters, scheme)
    return {name: (one.precision, one.group and group) for name, one in own.items()}


def _choices(document: Mapping[str, Any]) -> dict[str, Choice]:
    """Those that are written as a choice is; what is none of any backend's is left out."""
    known = {notation(choice): choice for kinds in DECODERS.values() for choice in kinds.matrices}
    return {name: known[stored] for name, stored in document["tensors"].items() if stored in known}


def _string(text: str) -> str:
    """As TOML writes it: JSON's escapes are among TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _nearest(name: str, known: Any) -> str:
    found = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {_string(found[0])}?" if found else ""
