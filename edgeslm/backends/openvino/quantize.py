"""The plan carried out on the IR."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from edgeslm.artifacts import CompiledModel, LoweredModel, OnnxModel, QuantPlan, Samples
from edgeslm.backends.openvino.calibrated import calibrate
from edgeslm.backends.openvino.compress import compress_weights
from edgeslm.backends.openvino.float_operators import float_operators
from edgeslm.backends.openvino.ir import FILES, constants, read_ir, save_ir
from edgeslm.backends.openvino.moments import Moments, input_moments
from edgeslm.backends.openvino.stored import find_stored, require_as_planned
from edgeslm.cache import cache_folder
from edgeslm.digest import files_digest
from edgeslm.errors import InternalError
from edgeslm.formats.quiet import quiet_output
from edgeslm.formats.samples import read_samples
from edgeslm.quantize.sample_weights import sample_weights
from edgeslm.quantize.schemes import Scheme, plan_scheme

DYNAMIC_GROUP = "32"
"""Activations to a scale where the runtime quantizes them: OpenVINO's own default, and the last one that is safely
above int8's gate. MiniLM, worst cosine and ms for 64 tokens: 32 0.9981 8.3, 64 0.9972 7.4, 128 0.9939 7.1."""


def runtime_options(scheme: Scheme) -> dict[str, str]:
    """What the runtime reads from the file. 0: activations stay float, even where it could quantize them."""
    return {"DYNAMIC_QUANTIZATION_GROUP_SIZE": DYNAMIC_GROUP if scheme.activations == "dynamic" else "0"}


def quantize(
    lowered: LoweredModel, plan: QuantPlan, model: OnnxModel, calibration: Samples | None, out: Path
) -> CompiledModel:
    """Raises InternalError where a weight is not stored as planned."""
    scheme = plan_scheme(plan)
    if scheme.activations == "static" and calibration is None:
        raise InternalError(f"{scheme.name} needs calibration text")
    with quiet_output(cache_folder() / "logs" / "openvino-quantize.log"):
        graph = read_ir(lowered.root)
        parameter_of = dict(lowered.tensors)
        shapes = {
            parameter_of[constant.get_friendly_name()]: tuple(constant.get_output_shape(0))
            for constant in constants(graph)
            if constant.get_friendly_name() in parameter_of
        }
        moments: dict[str, Moments] = {}
        by_row: dict[str, str] = {}
        if calibration is not None:
            samples = read_samples(calibration.path)
            counts = sample_weights(samples, calibration, model)
            if scheme.activations == "static":
                graph, named, by_row = calibrate(graph, parameter_of, plan.choices, samples, calibration.count, counts)
                parameter_of |= named
            else:
                seen = input_moments(graph, parameter_of, samples, counts)
                moments = {name: one.moments for name, one in seen.items()}
        notes = compress_weights(graph, parameter_of, plan.choices, moments)
        save_ir(graph, out, runtime_options(scheme))
        saved = read_ir(out)
        stored = find_stored(saved, parameter_of, notes)
        require_as_planned(stored, plan.choices, shapes)
        stored = [dataclasses.replace(one, note=one.note or by_row.get(one.parameter, "")) for one in stored]
        kept_float = float_operators(saved, scheme)
    return CompiledModel(
        root=out,
        digest=files_digest(out, FILES),
        parent=lowered.digest,
        backend="openvino",
        scheme=scheme.name,
        runtime="openvino",
        files=FILES,
        lengths=model.lengths,
        stored=tuple(stored),
        kept_float=kept_float,
        # A graph of one fixed length: the runner pads to it. No name is needed, there is nothing to choose from.
        signatures={model.lengths[0]: ""} if model.is_fixed else {},
    )
