"""The tflite backend: onnx2tf lowers, ai-edge-quantizer quantizes, LiteRT runs."""

from __future__ import annotations

from edgeslm.backends.tflite import environment

__all__ = ["environment"]
