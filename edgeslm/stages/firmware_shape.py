"""A model for a microcontroller before it is built, as a cost model sees it: calls of kernels, and bytes in flash.

Both come from programs laid out for each way to store its matrices; no weight is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgeslm.artifacts import Checkpoint, OnnxModel, QuantPlan, TensorChoice
from edgeslm.backends.cortexm.encoder import program_encoder
from edgeslm.backends.cortexm.program import Program
from edgeslm.backends.cortexm.program_calls import step_program_calls, text_program_calls
from edgeslm.backends.cortexm.quantize import GROUPS
from edgeslm.backends.cortexm.schedule import write_program
from edgeslm.backends.cortexm.variant import choose_variant
from edgeslm.cost.kernels import KernelCall
from edgeslm.cost.sizes import Layouts, ModelShape, StoredMatrix
from edgeslm.errors import UnsupportedOpError
from edgeslm.quantize.choices import Choice, allowed_choices
from edgeslm.quantize.constants import plan_constants
from edgeslm.quantize.plan import TensorPlan
from edgeslm.quantize.schemes import MIXED
from edgeslm.stages.firmware_encoder_plan import encoder_graph
from edgeslm.stages.firmware_graph import BACKEND
from edgeslm.stages.firmware_plan import FirmwareSizes
from edgeslm.target import Target

RUN = "run"
"""The one signature: a step, or a text."""
CHOICES: tuple[Choice, ...] = (("int8", None), ("fp32", None), *(("int4", group) for group in GROUPS))
"""The first is what other tensors are laid out beside."""

Choices = Mapping[str, TensorChoice]
ProgramOf = Callable[[Choices], Program]
CallsOf = Callable[[Program], list[KernelCall]]


def step_shape(target: Target, checkpoint: Checkpoint, plan: QuantPlan, tokens: int) -> ModelShape:
    """Of a language model's step that makes the last of `tokens` tokens."""
    sizes, variant = FirmwareSizes(checkpoint, plan.lengths[0]), choose_variant(target.cpu.isa)
    graph, decoder = sizes.graph, sizes.decoder

    def program_of(choices: Choices) -> Program:
        return write_program(plan_constants(graph, choices), variant, _no_moments)

    def calls_of(program: Program) -> list[KernelCall]:
        return step_program_calls(program, tokens - 1, plan.kv_cache, decoder.vocabulary)

    return _shape(checkpoint, plan.choices, program_of, calls_of)


def text_shape(target: Target, checkpoint: Checkpoint, plan: QuantPlan, onnx: OnnxModel, tokens: int) -> ModelShape:
    """Of an encoder's text of `tokens` tokens."""
    text, variant = encoder_graph(onnx), choose_variant(target.cpu.isa)

    def program_of(choices: Choices) -> Program:
        tables = TensorPlan(MIXED, BACKEND, choices, "").found_scheme.embedding
        return program_encoder(text, choices, tables, variant).program

    def calls_of(program: Program) -> list[KernelCall]:
        return text_program_calls(program, tokens, by_token=text.by_token)

    return _shape(checkpoint, plan.choices, program_of, calls_of)


def _no_moments(parameter: str) -> None:
    return None


def _shape(checkpoint: Checkpoint, planned: Choices, program_of: ProgramOf, calls_of: CallsOf) -> ModelShape:
    """`planned`: an int8 plan's choices. What leaves no choice takes what it takes in that plan."""
    language = checkpoint.decoder is not None
    free = [one.name for one in checkpoint.parameters if len(allowed_choices(one, BACKEND, language=language)) > 1]

    def stored(choice: Choice) -> dict[str, TensorChoice]:
        return {**planned, **dict.fromkeys(free, TensorChoice(choice[0], "", choice[1]))}

    programs: dict[Choice, Program] = {}
    for choice in CHOICES:
        try:
            programs[choice] = program_of(stored(choice))
        except UnsupportedOpError:
            if choice == CHOICES[0]:
                raise
    first = programs[CHOICES[0]]
    layouts: Layouts = {}
    for choice, made in programs.items():
        for array in made.arrays:
            if set(array.parameters) & set(free):
                layouts.setdefault(array.parameters, {})[choice] = array.bytes
    counted = [array for array in first.arrays if array.parameters]
    others = sum(array.bytes for array in counted if array.parameters not in layouts)
    matrices = tuple(StoredMatrix(parameters, 1, 1, frozenset({"linear"}), 1) for parameters in layouts)
    calls = tuple(calls_of(first))
    return ModelShape(
        calls={RUN: calls},
        matrices=matrices,
        other_bytes=others,
        block_bytes=0,
        activation_bytes={RUN: 0},
        layouts=layouts,
        calls_of=lambda choices: tuple(calls_of(program_of(choices))),
    )
