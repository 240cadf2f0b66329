"""The plan carried out on a float .tflite, all its signatures at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeslm.artifacts import CompiledModel, LoweredModel, OnnxModel, QuantPlan, Samples
from edgeslm.backends.tflite.float_operators import float_operators
from edgeslm.backends.tflite.graph import Graph
from edgeslm.backends.tflite.half import halve
from edgeslm.backends.tflite.linear import pad_inner
from edgeslm.backends.tflite.lowering import FILE, signature_names
from edgeslm.backends.tflite.merge import share_buffers
from edgeslm.backends.tflite.observe import Counted, observe_once
from edgeslm.backends.tflite.recipe import run_recipe
from edgeslm.backends.tflite.seen import Seen
from edgeslm.backends.tflite.stored import find_stored, require_as_planned
from edgeslm.backends.tflite.treatment import FEWEST_ELEMENTS, Treatment, treat
from edgeslm.cache import cache_folder
from edgeslm.digest import files_digest
from edgeslm.errors import InternalError
from edgeslm.formats.quiet import quiet_output
from edgeslm.formats.samples import read_samples
from edgeslm.formats.tflite import pack_tflite, parse_tflite, read_tflite, write_tflite
from edgeslm.quantize.sample_weights import sample_weights
from edgeslm.quantize.schemes import plan_scheme


def quantize(
    lowered: LoweredModel, plan: QuantPlan, model: OnnxModel, calibration: Samples | None, out: Path
) -> CompiledModel:
    """Raises InternalError where a weight is not stored as planned."""
    scheme = plan_scheme(plan)
    if scheme.activations == "static" and calibration is None:
        raise InternalError(f"{scheme.name} needs calibration samples")
    samples = read_samples(calibration.path) if calibration else []
    weights = sample_weights(samples, calibration, model) if calibration else []
    written = calibration.count if calibration else 0
    counted = [
        Counted(sample, weight, number < written)
        for number, (sample, weight) in enumerate(zip(samples, weights, strict=True))
    ]
    floats = read_tflite(lowered.root / lowered.files[0])
    tensors = dict(lowered.tensors)
    shapes = _shapes(floats, tensors)
    signatures = signature_names(model.lengths)
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # the package has no types

    # On one thread sums end the same on every machine, and OpenBLAS' threads do not wait for each other on a busy one.
    with quiet_output(cache_folder() / "logs" / "tflite-quantize.log"), threadpool_limits(1, user_api="blas"):
        seen = Seen(None)
        if calibration is not None and samples:
            key = (lowered.digest, calibration.digest)
            seen = Seen.of(floats, lambda: observe_once(key, floats, signatures, counted), treat(floats, plan, tensors))
        tensors |= seen.smooth(floats, tensors, treat(floats, plan, tensors), scheme)
        tensors |= seen.even(floats, tensors, treat(floats, plan, tensors))
        treatments = treat(floats, plan, tensors)
        notes = {treatment.parameter: treatment.note for treatment in treatments if treatment.parameter}
        notes |= _pad(floats, treatments, tensors)
        share_buffers(floats)
        treatments, ranges = seen.ranges(floats, treatments)
        notes |= {
            one.parameter: one.note for one in treatments if one.parameter and one.activations != scheme.activations
        }
        quantized = parse_tflite(run_recipe(pack_tflite(floats), treatments, ranges), "quantized model")
        seen.round_again(quantized, floats)
    notes |= _halve(quantized, plan, tensors)
    share_buffers(quantized)
    write_tflite(quantized, out / FILE)
    stored = find_stored(quantized, tensors, notes, model.parameter_of.values())
    require_as_planned(stored, plan.choices, shapes)
    return CompiledModel(
        root=out,
        digest=files_digest(out, [FILE]),
        parent=lowered.digest,
        backend="tflite",
        scheme=scheme.name,
        runtime="ai-edge-litert",
        files=(FILE,),
        lengths=model.lengths,
        stored=tuple(stored),
        kept_float=float_operators(quantized, scheme),
        signatures=signature_names(model.lengths) if model.lengths else {},
    )


def _shapes(model: Any, tensors: dict[str, str]) -> dict[str, tuple[int, ...]]:
    """Checkpoint parameter -> shape of its values in the float graph."""
    graph = Graph(model)
    constants = [(graph.name(index), graph.shape(index)) for index in range(len(graph.subgraph.tensors))]
    return {tensors[name]: shape for name, shape in constants if name in tensors}


def _pad(model: Any, treatments: list[Treatment], tensors: dict[str, str]) -> dict[str, str]:
    """Zero-pad what is stored in blocks to whole blocks; the padded tensors join `tensors`. Returns notes."""
    groups = {treatment.tensor: treatment.group for treatment in treatments if treatment.group}
    notes: dict[str, str] = {}
    for position in range(len(model.subgraphs)):
        graph = Graph(model, position)
        for group in sorted({group for group in groups.values() if group}):
            layers = {
                tensor for tensor in range(len(graph.subgraph.tensors)) if groups.get(graph.name(tensor)) == group
            }
            for tensor, columns in pad_inner(graph, group, layers).items():
                parameter = tensors.get(graph.name(tensor).removesuffix("/padded"))
                if parameter:
                    tensors[graph.name(tensor)] = parameter
                    notes[parameter] = f"{columns} columns of zeros added: blocks are {group} wide"
        graph.drop_unused()
    return notes


def _halve(model: Any, plan: QuantPlan, tensors: dict[str, str]) -> dict[str, str]:
    """float16 for the parameters that the plan wants so. Returns notes on those that stay float32."""
    notes: dict[str, str] = {}
    for position in range(len(model.subgraphs)):
        graph = Graph(model, position)
        names = set()
        for tensor in range(len(graph.subgraph.tensors)):
            parameter = tensors.get(graph.name(tensor))
            choice = plan.choices.get(parameter) if parameter else None
            if parameter is None or choice is None or choice.precision != "fp16" or graph.dtype(tensor) != "FLOAT32":
                continue
            values = graph.constant(tensor)
            if values is None:
                continue
            if values.ndim < 2 or values.size < FEWEST_ELEMENTS:
                notes[parameter] = "stays float32: small, and halves would cost an operator"
            else:
                names.add(graph.name(tensor))
        halve(graph, names)
    return notes
