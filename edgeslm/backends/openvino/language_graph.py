"""A decoder as a stateful OpenVINO graph: tokens in, the last one's logits out, keys and values kept by the runtime.

Inputs                             Output
  tokens  [1, T] int32               logits  [1, 1, V] float32, of the last token
  places  [T]    int32, in the text
  order   [1]    int32, always 0

OpenVINO's CPU plugin has one operation for "add these rows to the cache and attend to all of it", with room for rows to
come: what is kept (ReadValue), put in the order of beams (Gather), longer by the new rows (Concat), goes into
ScaledDotProductAttention and is kept again (Assign). A graph is written in just that form, beams included, of which
there is one. Any other form copies the cache at every step: 110M int8 with room for 2048, one thread with AVX2, a step
after 64 tokens took 25 ms in this form and 83 with ScatterUpdate into a cache of fixed shape; after 1000, 35 and 121.
Only where scores are capped (Gemma 2), which that operation does not know, the cache is concatenated and copied.

Shapes as in edgeslm/decoder.py; R = H / G query heads read one key/value head, L tokens are in the cache.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.openvino.installed import import_openvino
from edgeslm.backends.openvino.language_weights import SEPARATOR, LanguageWeights
from edgeslm.decoder import Decoder, Layer, Matrix, Norm, Rotary

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

HIDDEN = np.float32(-1e9)
"""What is added to the score of a token that must not be seen."""
TOKENS, PLACES, ORDER, LOGITS = "tokens", "places", "order", "logits"


def build_graph(decoder: Decoder, weights: LanguageWeights, context: int) -> openvino.Model:
    """The graph for texts of up to `context` tokens."""
    return _Builder(decoder, weights, context).build()


class _Builder:
    def __init__(self, decoder: Decoder, weights: LanguageWeights, context: int) -> None:
        self.decoder = decoder
        self.weights = weights
        self.context = context
        self.openvino: Any = import_openvino()
        self.ops: Any = self.openvino.opset13
        self.tokens = self.ops.parameter([1, -1], np.int32, name=TOKENS)
        self.places = self.ops.parameter([-1], np.int32, name=PLACES)
        self.order = self.ops.parameter([1], np.int32, name=ORDER)
        self.kept: list[openvino.Node] = []
        self._masks: dict[int | None, openvino.Node] = {}
        self._rotations: dict[Rotary, tuple[openvino.Node, openvino.Node]] = {}

    def build(self) -> openvino.Model:
        ops, decoder = self.ops, self.decoder
        table = self.weights.matrix(decoder.embedding, looked_up=True)
        x = ops.gather(table, self.tokens, self._integers(0))
        if decoder.embedding_scale != 1:
            x = ops.multiply(x, np.float32(decoder.embedding_scale))
        if decoder.learned_positions is not None:
            positions = self.weights.matrix(decoder.learned_positions, looked_up=True)
            x = ops.add(x, ops.gather(positions, self.places, self._integers(0)))
        for number, layer in enumerate(decoder.layers):
            x = self._block(number, layer, x)
        last = ops.slice(x, *(self._integers([value]) for value in (-1, np.iinfo(np.int64).max, 1, 1)))
        logits = self._linear(decoder.head, self._norm(decoder.norm, last))
        result = ops.result(self._capped(logits, decoder.logit_cap))
        result.get_output_tensor(0).set_names({LOGITS})
        inputs = [self.tokens, self.places, *([self.order] if decoder.score_cap is None else [])]
        return self.openvino.Model([result], self.kept, inputs, "model")

    def _block(self, number: int, layer: Layer, x: openvino.Node) -> openvino.Node:
        """[1, T, D]"""
        ops = self.ops
        normed = self._norm(layer.norm_attention, x)
        attended = self._attention(number, layer, normed)
        if layer.after_attention is not None:
            attended = self._norm(layer.after_attention, attended)
        if layer.norm_feed is None:
            return ops.add(ops.add(x, attended), self._feed(layer, normed))
        x = ops.add(x, attended)
        fed = self._feed(layer, self._norm(layer.norm_feed, x))
        if layer.after_feed is not None:
            fed = self._norm(layer.after_feed, fed)
        return ops.add(x, fed)

    def _attention(self, number: int, layer: Layer, x: openvino.Node) -> openvino.Node:
        ops, decoder = self.ops, self.decoder
        heads, groups, dim = decoder.heads, decoder.kv_heads, decoder.head_dim
        # What the attention itself multiplies scores with is 1/sqrt(E); the rest goes into whatever makes the queries.
        scale = decoder.attention_scale * math.sqrt(dim)
        first_rows = (heads * dim, 1.0 if layer.query_norm else scale)
        made = self._linear(layer.query_key_value, x, first_rows)
        parts = ops.reshape(made, self._integers([0, 0, heads + 2 * groups, dim]), True)
        turned, value = self._split(parts, 2, [heads + groups, groups])
        if layer.query_norm is not None and layer.key_norm is not None:
            turned = self._head_norms(layer.query_norm, layer.key_norm, turned, scale)
        if layer.rotary is not None:
            turned = self._rotate(layer.rotary, turned)
        query, key = self._split(turned, 2, [heads, groups])
        window = layer.window if layer.window is not None and layer.window < self.context else None
        keys, values = self._longer(f"key.{number}", key), self._longer(f"value.{number}", value)
        mix = self._mix if decoder.score_cap is None else self._mix_capped
        mixed = ops.reshape(mix(query, keys, values, window), self._integers([0, 0, heads * dim]), True)
        return self._linear(layer.output, mixed)

    def _longer(self, name: str, rows: openvino.Node) -> openvino.Node:
        """What was kept, and the new rows behind it: [1, L, G, E], which is kept."""
        ops, shape = self.ops, [1, -1, self.decoder.kv_heads, self.decoder.head_dim]
        nothing = ops.constant(np.zeros([0 if extent < 0 else extent for extent in shape], np.float32))
        kept = ops.read_value(nothing, name, np.float32, shape)
        if self.decoder.score_cap is None:
            kept = ops.gather(kept, self.order, self._integers(0))
        longer = ops.concat([kept, rows], 1)
        self.kept.append(ops.assign(longer, name))
        return longer

    def _mix(
        self, query: openvino.Node, keys: openvino.Node, values: openvino.Node, window: int | None
    ) -> openvino.Node:
        """softmax(q kᵀ / sqrt(E) + mask) v: [1, T, H, E]"""
        turned = [self._transposed(one, [0, 2, 1, 3]) for one in (query, self._repeated(keys), self._repeated(values))]
        if window is None:
            mixed = self.ops.scaled_dot_product_attention(*turned, causal=True)
        else:
            mixed = self.ops.scaled_dot_product_attention(*turned, attention_mask=self._mask(window))
        return self._transposed(mixed, [0, 2, 1, 3])

    def _repeated(self, rows: openvino.Node) -> openvino.Node:
        """[1, L, G, E] -> [1, L, H, E], in the form in which the plugin sees that it need not be carried out."""
        ops, decoder = self.ops, self.decoder
        if decoder.heads == decoder.kv_heads:
            return rows
        ones = np.ones((1, 1, 1, decoder.heads // decoder.kv_heads, 1), np.float32)
        many = ops.multiply(ops.unsqueeze(rows, self._integers([3])), ones)
        return ops.reshape(many, self._integers([0, 0, decoder.heads, decoder.head_dim]), True)

    def _mix_capped(
        self, query: openvino.Node, keys: openvino.Node, values: openvino.Node, window: int | None
    ) -> openvino.Node:
        """The same with cap · tanh(scores / cap) before the mask: [1, T, G, R, E]"""
        ops, decoder = self.ops, self.decoder
        groups, dim = decoder.kv_heads, decoder.head_dim
        split = ops.reshape(query, self._integers([0, 0, groups, decoder.heads // groups, dim]), True)
        queries = self._transposed(split, [0, 2, 3, 1, 4])
        turned = [ops.unsqueeze(self._transposed(one, [0, 2, 1, 3]), self._integers([2])) for one in (keys, values)]
        scores = ops.multiply(ops.matmul(queries, turned[0], False, True), np.float32(1 / math.sqrt(dim)))
        scores = ops.add(self._capped(scores, decoder.score_cap), self._mask(window))
        return self._transposed(ops.matmul(ops.softmax(scores, -1), turned[1], False, False), [0, 3, 1, 2, 4])

    def _mask(self, window: int | None) -> openvino.Node:
        """[1, 1, T, L]: 0 where a token sees another, far below otherwise."""
        if window not in self._masks:
            ops = self.ops
            mine = ops.unsqueeze(self.places, self._integers([1]))
            length = ops.add(ops.gather(self.places, self._integers([-1]), self._integers(0)), np.int32(1))
            places = ops.constant(np.arange(self.context, dtype=np.int32)[None])
            theirs = ops.slice(
                places,
                *(ops.constant(np.array([0], np.int32)), length),
                *(ops.constant(np.array([1], np.int32)) for _ in range(2)),
            )
            seen = ops.less_equal(theirs, mine)
            if window is not None:
                seen = ops.logical_and(seen, ops.greater(theirs, ops.subtract(mine, np.int32(window))))
            mask = ops.select(seen, np.float32(0), HIDDEN)
            self._masks[window] = ops.unsqueeze(mask, self._integers([0, 1]))
        return self._masks[window]

    def _rotate(self, rotary: Rotary, x: openvino.Node) -> openvino.Node:
        """x · cos + turned(x) · sin, where the halves of what is rotated change places. [1, T, heads, E]"""
        ops = self.ops
        if rotary not in self._rotations:
            tables = rotary_tables(rotary, self.context, self.decoder.head_dim)
            found = [ops.gather(ops.constant(table), self.places, self._integers(0)) for table in tables]
            cos, sin = (ops.unsqueeze(one, self._integers([0, 2])) for one in found)
            self._rotations[rotary] = cos, sin
        cos, sin = self._rotations[rotary]
        half, dim = len(rotary.frequencies), self.decoder.head_dim
        order = np.r_[half : 2 * half, :half, 2 * half : dim]
        turned = ops.gather(x, self._integers(order), self._integers(3))
        return ops.add(ops.multiply(x, cos), ops.multiply(turned, sin))

    def _feed(self, layer: Layer, x: openvino.Node) -> openvino.Node:
        if layer.gate is None:
            return self._linear(layer.down, self._activated(self._linear(layer.up, x)))
        both = Matrix((*layer.gate.parts, *layer.up.parts), layer.up.columns, (*layer.gate.bias, *layer.up.bias))
        gate, up = self._split(self._linear(both, x), 2, [layer.gate.rows, layer.up.rows])
        return self._linear(layer.down, self.ops.multiply(self._activated(gate), up))

    def _activated(self, x: openvino.Node) -> openvino.Node:
        kind = self.decoder.activation
        if kind == "silu":
            return self.ops.swish(x)
        if kind == "relu":
            return self.ops.relu(x)
        return self.ops.gelu(x, "tanh" if kind == "gelu_tanh" else "erf")

    def _linear(self, matrix: Matrix, x: openvino.Node, first_rows: tuple[int, float] = (0, 1)) -> openvino.Node:
        """x · Wᵀ + b. The first rows of W and b may be scaled."""
        product = self.ops.matmul(x, self.weights.matrix(matrix, first_rows=first_rows), False, True)
        modules = dict.fromkeys(part.parameter.rpartition(".")[0] for part in matrix.parts)
        product.set_friendly_name(SEPARATOR.join(modules))
        if not matrix.bias:
            return product
        bias = self.weights.bias(matrix.bias)
        bias[: first_rows[0]] *= np.float32(first_rows[1])
        return self.ops.add(product, self.ops.constant(bias[None, None]))

    def _norm(self, norm: Norm, x: openvino.Node) -> openvino.Node:
        weight = self.weights.vector(norm.weight) + np.float32(norm.offset)
        scaled = self.ops.multiply(self._unit(norm, x), self.ops.constant(weight))
        return scaled if norm.bias is None else self.ops.add(scaled, self.ops.constant(self.weights.vector(norm.bias)))

    def _head_norms(self, query: Norm, key: Norm, x: openvino.Node, scale: float) -> openvino.Node:
        """Norms over each head of [1, T, H + G, E], queries and keys at once."""
        counts, factors = (self.decoder.heads, self.decoder.kv_heads), (np.float32(scale), np.float32(1))
        rows, biases = [], []
        for norm, count, factor in zip((query, key), counts, factors, strict=True):
            rows += [(self.weights.vector(norm.weight) + np.float32(norm.offset)) * factor] * count
            biases += [self.weights.vector(norm.bias) * factor] * count if norm.bias else []
        scaled = self.ops.multiply(self._unit(query, x), self.ops.constant(np.stack(rows)))
        return self.ops.add(scaled, self.ops.constant(np.stack(biases))) if biases else scaled

    def _unit(self, norm: Norm, x: openvino.Node) -> openvino.Node:
        """x / rms(x) over the last axis, or (x - mean) / sqrt(variance + epsilon)."""
        ops, last = self.ops, self._integers([-1])
        if norm.kind == "layer":
            return ops.mvn(x, last, True, norm.epsilon, "INSIDE_SQRT")
        mean = ops.reduce_mean(ops.power(x, np.float32(2)), last, True)
        return ops.multiply(x, ops.divide(np.float32(1), ops.sqrt(ops.add(mean, np.float32(norm.epsilon)))))

    def _capped(self, x: openvino.Node, cap: float | None) -> openvino.Node:
        """cap · tanh(x / cap), Gemma 2."""
        if cap is None:
            return x
        return self.ops.multiply(self.ops.tanh(self.ops.multiply(x, np.float32(1 / cap))), np.float32(cap))

    def _split(self, x: openvino.Node, axis: int, extents: list[int]) -> list[Any]:
        outputs: list[Any] = self.ops.variadic_split(x, self._integers(axis), self._integers(extents)).outputs()
        return outputs

    def _transposed(self, x: openvino.Node, order: list[int]) -> openvino.Node:
        return self.ops.transpose(x, self._integers(order))

    def _integers(self, values: Any) -> openvino.Node:
        return self.ops.constant(np.array(values, dtype=np.int64))


def rotary_tables(rotary: Rotary, context: int, head_dim: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """cos and sin [context, E] by place: sin is minus in the first half of what is rotated; 1 and 0 in the rest."""
    angles = np.arange(context, dtype=np.float32)[:, None] * np.array(rotary.frequencies, dtype=np.float32)
    turns, scale = 2 * angles.shape[1], np.float32(rotary.scale)
    cos, sin = np.ones((context, head_dim), np.float32), np.zeros((context, head_dim), np.float32)
    cos[:, :turns] = np.tile(np.cos(angles) * scale, 2)
    sin[:, :turns] = np.concatenate([-np.sin(angles), np.sin(angles)], axis=1) * scale
    return cos, sin
