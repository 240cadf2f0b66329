"""Every decoder family's step as a fused graph, step by step with its cache, against transformers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir
import pytest
from numpy.typing import NDArray

from edgeslm.artifacts import Parameter, TensorChoice
from edgeslm.decoder import Decoder
from edgeslm.export.decoder_graph import Window, build_graph
from edgeslm.ir import nodes
from edgeslm.ir.graph import Constant, Graph, Storage
from edgeslm.ir.import_onnx import import_onnx
from edgeslm.ir.interpret import Interpreter
from edgeslm.ir.passes import fuse
from edgeslm.quantize.constants import plan_constants, stored_values
from edgeslm.quantize.plan import choose_precisions
from edgeslm.quantize.schemes import find_scheme
from edgeslm.quantize.symmetric import round_matrix
from tests.decoders import CASES, STORIES, Made, headers_of, kept_in, pytorch_logits, read
from tests.unit.decoder_reference import run

CONTEXT = 24
TOLERANCE = 1e-4
FUSED = (
    nodes.Embedding, nodes.Linear, nodes.RmsNorm, nodes.LayerNorm, nodes.Rotary, nodes.CachedAttention, nodes.Gated,
    nodes.Unary, nodes.Binary, nodes.Scale, nodes.SoftCap, nodes.Reshape, nodes.Slice,
)  # fmt: skip
Array = NDArray[Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return kept_in(tmp_path_factory.mktemp("decoders"))


def exported(folder: Path, context: int = CONTEXT, *, plain: bool = True) -> onnx_ir.Model:
    from safetensors.numpy import load_file

    weights = load_file(folder / "model.safetensors")
    return build_graph(read(folder), Window(1, (context,), context, plain=plain), weights.__getitem__)


def step_graph(folder: Path, context: int = CONTEXT, *, plain: bool = True) -> Graph:
    return fuse(import_onnx(exported(folder, context, plain=plain).graph, "cortexm"))


def logits_of(graph: Graph, tokens: list[int], values: Callable[[Constant], Array] | None = None) -> Array:
    """[T, V], a step each."""
    interpreter = Interpreter(graph, values) if values else Interpreter(graph)
    steps = [
        interpreter.run({"tokens": np.array([token], np.int32), "position": np.array([place], np.int32)})["logits"]
        for place, token in enumerate(tokens)
    ]
    return np.concatenate(steps)


def some_tokens(decoder: Decoder) -> list[int]:
    return [int(token) for token in np.random.default_rng(0).integers(0, decoder.vocabulary, CONTEXT)]


def of_kind(graph: Graph, kind: type[nodes.Kind]) -> list[Any]:
    return [node.kind for node in graph.nodes if isinstance(node.kind, kind)]


@pytest.mark.parametrize("case", CASES)
def test_every_family_step_by_step(case: str, made: Made) -> None:
    decoder, graph = read(made(case)), step_graph(made(case))
    tokens = some_tokens(decoder)
    np.testing.assert_allclose(logits_of(graph, tokens), pytorch_logits(made(case), tokens), rtol=0, atol=TOLERANCE)
    assert {type(node.kind) for node in graph.nodes} <= set(FUSED)
    assert_described(graph, decoder)


def assert_described(graph: Graph, decoder: Decoder) -> None:
    """What was recognised is what the description says, and no output is left but the logits."""
    found = of_kind(graph, nodes.CachedAttention)
    assert len(found) == len(decoder.layers)
    for kind, layer in zip(found, decoder.layers, strict=True):
        heads = decoder.heads, decoder.kv_heads, decoder.head_dim
        assert (kind.heads, kind.kv_heads, kind.head_dim, kind.cap) == (*heads, decoder.score_cap)
        assert kind.window == (layer.window if layer.window is not None and layer.window < CONTEXT else None)
        assert kind.scale == pytest.approx(decoder.attention_scale, rel=1e-6)
    for kind in of_kind(graph, nodes.Rotary):
        (rotary,) = {layer.rotary for layer in decoder.layers if layer.rotary and close(layer.rotary.frequencies, kind)}
        assert kind.scale == pytest.approx(rotary.scale, rel=1e-6)
    assert ([one.name for one in graph.inputs], graph.outputs) == (["position", "tokens"], ("logits",))
    states = [name for kind in found for name in kind.states]
    assert [one.name for one in graph.states] == states
    assert {one.shape for one in graph.states} == {(decoder.kv_heads, CONTEXT, decoder.head_dim)}
    (table,) = [node.inputs[0] for node in graph.nodes if isinstance(node.kind, nodes.Embedding)][:1]
    head = graph.nodes[-1] if isinstance(graph.nodes[-1].kind, nodes.Linear) else graph.nodes[-2]
    assert (head.inputs[1] == table) == decoder.tied


def close(frequencies: tuple[float, ...], kind: nodes.Rotary) -> bool:
    """So that no angle of the context is off by more than a float32's last place."""
    wanted = np.array(frequencies)
    return len(wanted) == len(kind.frequencies) and bool(
        np.all(np.abs(wanted - kind.frequencies) * CONTEXT < 4e-7 * np.maximum(wanted * CONTEXT, 1))
    )


def test_every_norm_and_weight_belongs_to_its_layer(made: Made) -> None:
    graph = step_graph(made("gemma2"))
    parameters = [name for one in graph.constants for name in one.parameters]
    assert sorted(parameters) == sorted(header.name for header in headers_of(made("gemma2")) if header.floating)
    for node in graph.nodes:
        for name in node.inputs:
            constant = graph.constant(name)
            modules = [one.rpartition(".")[0] for one in constant.parameters] if constant else []
            assert not modules or node.layer == "+".join(dict.fromkeys(modules))


@pytest.mark.parametrize("case", ["llama", "gemma3", "phi-norms", "gpt2"])
def test_the_form_for_other_runtimes_is_recognised_too(case: str, made: Made) -> None:
    """With padded feed-forwards, scales in weights, norms of queries and keys in one."""
    decoder, graph = read(made(case)), step_graph(made(case), plain=False)
    tokens = some_tokens(decoder)
    np.testing.assert_allclose(logits_of(graph, tokens), pytorch_logits(made(case), tokens), rtol=0, atol=TOLERANCE)
    assert len(of_kind(graph, nodes.CachedAttention)) == len(decoder.layers)


def test_no_weight_is_read_before_somebody_asks(made: Made) -> None:
    def read_early(name: str) -> Array:
        raise AssertionError(f"{name} was read")

    model = build_graph(read(made("gemma3")), Window(1, (CONTEXT,), CONTEXT, plain=True), read_early)
    graph = fuse(import_onnx(model.graph, "cortexm"))
    with pytest.raises(AssertionError, match="was read"):
        Interpreter(graph)


def test_a_cache_of_any_rows_gives_the_same(made: Made) -> None:
    decoder = read(made("mistral"))
    tokens = some_tokens(decoder)
    short, long = (logits_of(step_graph(made("mistral"), context), tokens) for context in (CONTEXT, 61))
    np.testing.assert_allclose(short, long, atol=1e-5)


def changed(model: onnx_ir.Model, name: str, change: Callable[[Array], Array]) -> Graph:
    """The fused graph with another value for one of its constants."""
    initializer = model.graph.initializers[name]
    assert initializer.const_value is not None
    initializer.const_value = onnx_ir.tensor(change(initializer.const_value.numpy()), name=name)
    return fuse(import_onnx(model.graph, "cortexm"))


def test_a_mask_that_hides_something_else_is_not_taken_for_a_cache(made: Made) -> None:
    """The form is that of a cache's attention, the numbers are not: row 3 is never seen."""

    def hide(places: Array) -> Array:
        return np.where(np.arange(len(places)) == 3, 1e6, places).astype(np.float32)

    model = exported(made("llama"))
    assert of_kind(changed(exported(made("llama")), f"places 0 {CONTEXT}", np.array), nodes.CachedAttention)
    assert not of_kind(changed(model, f"places 0 {CONTEXT}", hide), nodes.CachedAttention)


def test_a_table_that_is_no_rotation_is_not_taken_for_one(made: Made) -> None:
    def bend(table: Array) -> Array:
        table = table.copy()
        table[-1, 0] += 0.1
        return table

    assert not of_kind(changed(exported(made("llama")), "rotary 0", bend), nodes.Rotary)


def test_frequencies_are_read_back_to_their_last_place(made: Made) -> None:
    """No angle of a long context is off by more than a cosine's rounding, and the frequency's own."""
    layer = read(made("llama-llama3")).layers[0]
    assert layer.rotary is not None
    wanted, context = np.array(layer.rotary.frequencies), 2048
    for kind in of_kind(step_graph(made("llama-llama3"), context), nodes.Rotary):
        off = np.abs(np.array(kind.frequencies) - wanted)
        assert np.all(off * context <= 2.0**-23 + wanted * context * 2.0**-24)


# ---- As planned ----


def planned(folder: Path, scheme: str, group: int | None = None) -> Graph:
    """With groups of `group` where that is given."""
    chosen = find_scheme(scheme)
    parameters = [
        Parameter(
            header.name,
            header.shape,
            "other" if len(header.shape) < 2 else "embedding" if "embed" in header.name else "linear",
        )
        for header in headers_of(folder)
    ]
    scheme_of = dataclasses.replace(chosen, group=group or chosen.group)
    return plan_constants(step_graph(folder), choose_precisions(parameters, scheme_of))


def rounded(values: Array, scheme: str, group: int) -> Array:
    """A matrix as its scheme keeps it, written out again."""
    if values.ndim < 2:
        return values
    if scheme == "fp16":
        return values.astype(np.float16).astype(np.float32)
    if scheme == "int8":
        step = np.abs(values).max(axis=1, keepdims=True) / np.float32(127)
        whole: Array = np.rint(values / step) * step
        return whole
    columns = -(-values.shape[1] // group) * group
    blocks = np.pad(values, ((0, 0), (0, columns - values.shape[1])))
    made = round_matrix(blocks, 4, group)
    written_out: Array = made.codes * np.repeat(made.scales, group, axis=1)
    return written_out[:, : values.shape[1]]


@pytest.mark.parametrize(("scheme", "group"), [("int8", None), ("int4", 16), ("int4", 32), ("fp16", None)])
def test_a_plan_says_how_matrices_are_stored(scheme: str, group: int | None, made: Made) -> None:
    """And a graph with the values that are left computes what the decoder computes with them."""
    from safetensors.numpy import load_file

    folder = made("llama-tied")
    graph = planned(folder, scheme, group)
    chosen = find_scheme(scheme)
    for constant in graph.constants:
        is_table = "embed" in constant.name
        matrix = Storage(chosen.embedding if is_table else chosen.linear, None if is_table else group)
        assert constant.storage == (None if "norm" in constant.name else matrix)
    tensors = load_file(folder / "model.safetensors")
    left = {
        name: rounded(values, chosen.embedding if "embed" in name else scheme, group or 0)
        for name, values in tensors.items()
    }
    decoder = read(folder)
    tokens = some_tokens(decoder)
    expected = run(decoder, left.__getitem__, tokens)
    np.testing.assert_allclose(logits_of(graph, tokens, stored_values), expected, rtol=0, atol=TOLERANCE)
    assert np.abs(logits_of(graph, tokens) - expected).max() > 10 * TOLERANCE


def test_of_matrices_side_by_side_the_finest_wins(made: Made) -> None:
    graph = step_graph(made("llama"))
    name = "model.layers.0.self_attn.{}_proj.weight"
    choices = {name.format(part): TensorChoice("int4", "small", 16) for part in "qk"}
    assert plan_constants(graph, choices) == graph  # nothing is said of the third
    choices[name.format("v")] = TensorChoice("int8", "sensitive")
    (planned,) = [one for one in plan_constants(graph, choices).constants if one.storage is not None]
    assert planned.storage == Storage("int8")
    assert planned.parameters == tuple(name.format(part) for part in "qkv")


def test_stored_values_are_within_half_a_step(made: Made) -> None:
    for constant in planned(made("llama"), "int8").constants:
        if constant.storage is not None:
            values = constant.read()
            step = np.abs(values).max(axis=1, keepdims=True) / 127
            assert np.all(np.abs(stored_values(constant) - values) <= step * 0.5001)


@pytest.mark.skipif(not STORIES.is_dir(), reason="stories260k is not on this machine")
def test_stories_are_told_as_they_were() -> None:
    golden = json.loads((STORIES / "golden_ids.json").read_text())[:40]
    interpreter = Interpreter(step_graph(STORIES, 64))
    told = golden[:1]
    while len(told) < len(golden):
        inputs = {"tokens": np.array(told[-1:], np.int32), "position": np.array([len(told) - 1], np.int32)}
        told.append(int(interpreter.run(inputs)["logits"].argmax()))
    assert told == golden
