"""int8 with ranges found on calibration text, by nncf."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from edgeslm.artifacts import TensorChoice
from edgeslm.backends.openvino.compress import WEIGHT_PORT
from edgeslm.backends.openvino.installed import import_nncf
from edgeslm.backends.openvino.ir import constants, values_of
from edgeslm.backends.openvino.moments import input_moments
from edgeslm.backends.openvino.static_layers import improve_static
from edgeslm.backends.openvino.static_losses import pick_samples
from edgeslm.errors import InternalError

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

Use = tuple[str, int]
"""An operation's name and the number of its input."""


def calibrate(
    model: openvino.Model,
    parameter_of: Mapping[str, str],
    choices: Mapping[str, TensorChoice],
    samples: Sequence[Mapping[str, NDArray[Any]]],
    written: int,
    counts: Sequence[float],
) -> tuple[openvino.Model, dict[str, str], dict[str, str]]:
    """A model whose matrix products and tables are int8, activations included.

    `written` of the samples, the first, are real texts, the others were made of words; `counts`: how much each
    sample's rows count (see sample_weights). Also returns the name of the operation that now gives each weight ->
    checkpoint parameter, and notes, parameter -> why its layer's activations have no fixed scale.
    """
    nncf = import_nncf()
    uses = _uses(model, parameter_of)
    seen = input_moments(model, parameter_of, samples, counts)
    weights = {name: one for name, one in _products(model, uses).items() if one.get_friendly_name() in seen}
    ignored = sorted(
        {name for (name, _), parameter in uses.items() if choices[parameter].precision in {"fp32", "fp16"}}
    )
    # Its progress bars go to sys.stdout, which in a notebook is no file descriptor that could be redirected.
    with contextlib.redirect_stdout(io.StringIO()):
        quantized = nncf.quantize(
            model,
            nncf.Dataset(samples[:written]),
            # Activations with a zero point, weights without: the default keeps activations symmetric as well.
            preset=nncf.QuantizationPreset.MIXED,
            # Without it attention is quantized too, and MiniLM's worst cosine falls to 0.487.
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=written,
            # Both belong to weights and ranges that do not stay.
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                disable_bias_correction=True, smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1)
            ),
            ignored_scope=nncf.IgnoredScope(names=ignored) if ignored else None,
        )
    named = _name_sources(quantized, uses)
    notes = improve_static(
        quantized,
        {name: (values_of(constant), seen[constant.get_friendly_name()]) for name, constant in weights.items()},
        pick_samples(samples, written),
    )
    return quantized, named, {uses[name, WEIGHT_PORT]: note for name, note in notes.items()}


def _products(model: openvino.Model, uses: Mapping[Use, str]) -> dict[str, openvino.Node]:
    """MatMul's name -> the constant that it has as its weight."""
    return {
        operation.get_friendly_name(): operation.input_value(WEIGHT_PORT).get_node()
        for operation in model.get_ordered_ops()
        if operation.get_type_name() == "MatMul" and (operation.get_friendly_name(), WEIGHT_PORT) in uses
    }


def _uses(model: openvino.Model, parameter_of: Mapping[str, str]) -> dict[Use, str]:
    """Where each weight of two or more dimensions is read -> its parameter. nncf keeps the readers' names and gives
    the weights others. Vectors are no concern of its: it never quantizes a bias."""
    return {
        (target.get_node().get_friendly_name(), target.get_index()): parameter_of[constant.get_friendly_name()]
        for constant in constants(model)
        if constant.get_friendly_name() in parameter_of and sum(side > 1 for side in constant.get_output_shape(0)) > 1
        for target in constant.output(0).get_target_inputs()
    }


def _name_sources(model: openvino.Model, uses: Mapping[Use, str]) -> dict[str, str]:
    """Name the operation that gives a weight after its parameter (a number added where it is read from several)."""
    reader_of = {operation.get_friendly_name(): operation for operation in model.get_ordered_ops()}
    parameter_of: dict[str, str] = {}
    named: set[openvino.Node] = set()
    for (reader, port), parameter in uses.items():
        if reader not in reader_of:
            raise InternalError(f"nncf renamed {reader}, which reads {parameter}")
        source = reader_of[reader].input_value(port).get_node()
        if source in named:
            continue
        name, copy = parameter, 1
        while name in parameter_of:
            copy += 1
            name = f"{parameter}#{copy}"
        source.set_friendly_name(name)
        named.add(source)
        parameter_of[name] = parameter
    return parameter_of
