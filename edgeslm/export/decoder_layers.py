"""What every layer of a decoder is made of, written into a graph: linear layers, norms, the feed-forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgeslm.decoder import Activation, Decoder, Layer, Matrix, Norm
from edgeslm.export.decoder_weights import JOIN, Weights, joined, joined_names, module_of, padded, scaled, stacked
from edgeslm.export.graph_writer import GraphWriter, extents

BLOCK = 32
"""LiteRT's smallest block of integers that share a scale."""


class LayerWriter:
    """Values are [T, …]. Weights are read by who asks for an initializer's values."""

    def __init__(self, decoder: Decoder, graph: GraphWriter, weights: Weights, *, plain: bool = False) -> None:
        self.plain = plain  # see Window
        self.decoder = decoder
        self.graph = graph
        self.read = weights

    def linear(
        self,
        matrices: Sequence[Matrix],
        x: ir.Value,
        rows: int | None = None,
        columns: int | None = None,
        first_rows: tuple[int, float] | None = None,
    ) -> ir.Value:
        """x · Wᵀ + b of matrices side by side. Each is padded with zeros to so many rows and columns; the first rows of
        W and b may be scaled (what follows is linear in them)."""
        graph, read = self.graph, self.read
        rows, columns = rows or matrices[0].rows, columns or matrices[0].columns
        total = rows * len(matrices)

        def weight() -> NDArray[Any]:
            pieces = [padded(stacked(matrix.parts, read), rows, columns) for matrix in matrices]
            return scaled(joined(pieces), first_rows)

        def bias() -> NDArray[Any]:
            pieces = [
                padded(stacked(matrix.bias, read), rows) if matrix.bias else np.zeros(rows, np.float32)
                for matrix in matrices
            ]
            return scaled(joined(pieces), first_rows)

        name = joined_names(part for matrix in matrices for part in matrix.parts)
        inputs: list[ir.Value | None] = [x, graph.weight(name, [total, columns], weight)]
        biases = [part for matrix in matrices for part in matrix.bias]
        if biases:
            inputs.append(graph.weight(joined_names(biases), [total], bias))
        return graph.add("Gemm", inputs, [extents(x)[0], total], transB=1)

    def table(self, matrix: Matrix) -> ir.Value:
        shape = [matrix.rows, matrix.columns]
        return self.graph.weight(joined_names(matrix.parts), shape, lambda: stacked(matrix.parts, self.read))

    def norm(self, norm: Norm, x: ir.Value) -> ir.Value:
        graph = self.graph
        graph.layer = norm.weight.rpartition(".")[0]
        width = extents(x)[-1]
        weight = graph.weight(norm.weight, [width], lambda: self.read(norm.weight) + np.float32(norm.offset))
        if norm.kind == "layer":
            inputs = [x, weight]
            if norm.bias is not None:
                bias = norm.bias
                inputs.append(graph.weight(bias, [width], lambda: self.read(bias)))
            return graph.add("LayerNormalization", inputs, extents(x), axis=-1, epsilon=norm.epsilon)
        return graph.binary("Mul", self.unit(x, norm.epsilon), weight)

    def unit(self, x: ir.Value, epsilon: float) -> ir.Value:
        """x / rms(x) over the last axis (Zhang and Sennrich 2019)."""
        graph, shape = self.graph, (*extents(x)[:-1], 1)
        axes = graph.constant("integers [-1]", np.array([-1], dtype=np.int64))
        mean = graph.add("ReduceMean", [graph.binary("Mul", x, x), axes], shape, keepdims=1)
        root = graph.add("Sqrt", [graph.binary("Add", mean, graph.number(epsilon))], shape)
        return graph.binary("Mul", x, graph.add("Reciprocal", [root], shape))

    def head_norms(self, query: Norm, key: Norm, x: ir.Value) -> ir.Value:
        """Norms over each head of [T, H + G, E]; the scores' scale goes into the queries'."""
        graph, decoder = self.graph, self.decoder
        graph.layer = query.weight.rpartition(".")[0]
        dim, scale = decoder.head_dim, np.float32(decoder.attention_scale)
        shape = (decoder.heads + decoder.kv_heads, dim)

        def rows(of_query: NDArray[Any], of_key: NDArray[Any]) -> NDArray[Any]:
            first, second = np.tile(of_query * scale, (decoder.heads, 1)), np.tile(of_key, (decoder.kv_heads, 1))
            return np.concatenate([first, second]).astype(np.float32)

        def weights() -> NDArray[Any]:
            first, second = (self.read(norm.weight) + np.float32(norm.offset) for norm in (query, key))
            return rows(first, second)

        if query.kind == "rms":
            unit = self.unit(x, query.epsilon)
        else:
            ones = graph.constant(f"ones {dim}", np.ones(dim, np.float32))
            unit = graph.add("LayerNormalization", [x, ones], extents(x), axis=-1, epsilon=query.epsilon)
        normed = graph.binary("Mul", unit, graph.weight(f"{query.weight}{JOIN}{key.weight}", shape, weights))
        if query.bias is None or key.bias is None:
            return normed
        names = query.bias, key.bias
        biases = graph.weight(JOIN.join(names), shape, lambda: rows(self.read(names[0]), self.read(names[1])))
        return graph.binary("Add", normed, biases)

    def feed(self, layer: Layer, x: ir.Value) -> ir.Value:
        """down(act(gate(x)) · up(x)), F padded with zeros to a multiple of BLOCK: integers of 4 bits come in blocks."""
        graph = self.graph
        rows = layer.up.rows if self.plain else -(-layer.up.rows // BLOCK) * BLOCK
        if layer.gate is None:
            graph.layer = module_of(layer.up)
            fed = self._activated(self.linear([layer.up], x, rows))
        else:
            graph.layer = module_of(layer.gate, layer.up)
            made = self.linear([layer.gate, layer.up], x, rows)
            gate = self._activated(graph.slice(made, 1, 0, rows))
            fed = graph.binary("Mul", gate, graph.slice(made, 1, rows, 2 * rows))
        graph.layer = module_of(layer.down)
        return self.linear([layer.down], fed, columns=rows)

    def _activated(self, x: ir.Value) -> ir.Value:
        kind: Activation = self.decoder.activation
        if kind == "silu":
            return self.graph.binary("Mul", x, self.graph.add("Sigmoid", [x], extents(x)))
        if kind == "relu":
            return self.graph.add("Relu", [x], extents(x))
        return self.graph.add("Gelu", [x], extents(x), approximate="tanh" if kind == "gelu_tanh" else "none")

    def capped(self, x: ir.Value, cap: float | None) -> ir.Value:
        """cap · tanh(x / cap), Gemma 2."""
        if cap is None:
            return x
        graph = self.graph
        squashed = graph.add("Tanh", [graph.binary("Mul", x, graph.number(1 / cap))], extents(x))
        return graph.binary("Mul", squashed, graph.number(cap))
