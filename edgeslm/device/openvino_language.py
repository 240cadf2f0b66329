"""A language model in OpenVINO, which keeps the KV cache itself: rows are added behind those that are there."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import BundleError, DeviceError, UsageError
from .files import Files
from .openvino import compile_graph, first_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNKS = (256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Tokens that are entered at once. OpenVINO makes kernels for each number of them and keeps them (measured: 0.8 MB for
each), so they are few; a prompt of 127 in seven pieces takes 14 % longer than in one. On AVX2 it packs int8 weights
once more for 8 to 64 tokens (110M: 82 MB); without those chunks, a prompt of 60 would take twice as long."""
UNKNOWN = -1


class OpenVinoLanguage:
    """An engine as device/language.py wants it. `model` is the manifest's `model` object with its `language` part.

    The graph is backends/openvino/language_graph.py's. The cache can be emptied for nothing; going back to anywhere
    else copies it, twice.
    """

    name = "openvino"

    def __init__(self, model: Mapping[str, Any], files: Files, threads: int) -> None:
        described = model["language"]
        self.context: int = described["context"]
        self.vocabulary: int = described["vocabulary"]
        # Without the setting OpenVINO takes int8, whatever precision it computes in.
        settings = {"KV_CACHE_PRECISION": "u8" if described["kv_cache"] == "int8" else "f32"}
        compiled, self._weights = compile_graph(model, files, threads, settings)
        openvino: Any = importlib.import_module("openvino")
        self._tensor: Any = openvino.Tensor
        self._request: Any = compiled.create_infer_request()
        self._logits = np.zeros(self.vocabulary, np.float32)
        self._chunks = {count: _Chunk(count, self._tensor) for count in CHUNKS if count <= self.context}
        self._one = self._chunks[1]
        self._entered: _Chunk | None = None
        self._rows = 0  # of the cache; UNKNOWN where a run was interrupted
        try:
            self._request.set_tensor("logits", self._tensor(self._logits.reshape(1, 1, -1), shared_memory=True))
            if any("order" in port.get_names() for port in compiled.inputs):
                self._request.set_tensor("order", self._tensor(np.zeros(1, np.int32)))
            self._states: list[Any] = list(self._request.query_state())
            self._reserve(described["kv_heads"], described["head_dim"])
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"the model is not what its manifest describes: {first_line(error)}") from None

    def prefill(self, tokens: NDArray[np.int32], position: int) -> NDArray[np.float32]:
        """See LanguageEngine."""
        entered, end = 0, len(tokens)
        while entered < end:
            chunk = next(chunk for count, chunk in self._chunks.items() if count <= end - entered)
            chunk.tokens[0] = tokens[entered : entered + chunk.count]
            chunk.places[:] = np.arange(position + entered, position + entered + chunk.count)
            self._run(chunk, position + entered)
            entered += chunk.count
        return self._logits

    def step(self, token: int, position: int) -> NDArray[np.float32]:
        """See LanguageEngine."""
        one = self._one
        one.tokens[0, 0] = token
        one.places[0] = position
        self._run(one, position)
        return self._logits

    def close(self) -> None:
        """Free the model's memory."""
        self._entered, self._states, self._request, self._weights = None, [], None, None

    def _run(self, chunk: _Chunk, position: int) -> None:
        request = self._request
        try:
            if position != self._rows:
                self._go_to(position)
            if chunk is not self._entered:
                request.set_tensor("tokens", chunk.tokens_tensor)
                request.set_tensor("places", chunk.places_tensor)
                self._entered = chunk
            self._rows = UNKNOWN
            request.infer()
        except RuntimeError as error:
            raise DeviceError(f"OpenVINO failed: {first_line(error)}") from None
        self._rows = position + chunk.count

    def _reserve(self, groups: int, dim: int) -> None:
        """Memory for the whole context at once: what is kept grows to twice its size, with a copy, when it is full."""
        rows = self._tensor(np.zeros((1, self.context, groups, dim), np.float32), shared_memory=True)
        for state in self._states:
            state.state = rows
        self._request.reset_state()

    def _go_to(self, position: int) -> None:
        """Keep the first rows alone."""
        if position == 0:
            self._request.reset_state()
            return
        for state in self._states:
            rows = state.state.data
            if rows.shape[1] < position:
                raise UsageError(f"the cache holds {rows.shape[1]} tokens, so none can be entered at {position}")
            if rows.shape[1] > position:
                state.state = self._tensor(rows[:, :position])


class _Chunk:
    """The inputs for `count` tokens."""

    def __init__(self, count: int, tensor: Any) -> None:
        self.count = count
        self.tokens = np.zeros((1, count), np.int32)
        self.places = np.zeros(count, np.int32)
        self.tokens_tensor: Any = tensor(self.tokens, shared_memory=True)
        self.places_tensor: Any = tensor(self.places, shared_memory=True)
