"""Runs inside the tensorflow environment, by path: one .tflite through TensorFlow's own interpreter.

    python tensorflow_script.py MODEL.tflite INPUTS.npz OUTPUTS.npz

Arrays are named "signature/tensor". Of edgeslm and its packages nothing is here.
"""

from __future__ import annotations

import sys

import numpy as np
import tensorflow  # type: ignore[import-untyped]  # lives in the other environment


def main() -> None:
    model, inputs, outputs = sys.argv[1:]
    interpreter = tensorflow.lite.Interpreter(model_path=model, num_threads=1)
    calls: dict[str, dict[str, object]] = {}
    with np.load(inputs) as arrays:
        for name in arrays.files:
            signature, _, tensor = name.partition("/")
            calls.setdefault(signature, {})[tensor] = arrays[name]
    results = {}
    for signature, given in calls.items():
        for tensor, values in interpreter.get_signature_runner(signature)(**given).items():
            results[f"{signature}/{tensor}"] = values
    np.savez(outputs, **results)


if __name__ == "__main__":
    main()
