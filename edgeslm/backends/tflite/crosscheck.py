"""A second opinion on a .tflite: the same inputs through LiteRT and through TensorFlow's own interpreter.

TensorFlow wants an environment of its own: `edgeslm doctor --install tensorflow`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeslm.backends.tflite.environment import python_of
from edgeslm.cache import cache_folder
from edgeslm.toolchain import run_tool

Arrays = Mapping[str, NDArray[Any]]
SCRIPT = Path(__file__).parent / "tensorflow_script.py"


def crosscheck(model: Path, inputs: Mapping[str, Arrays]) -> dict[str, float]:
    """Largest difference of each output, by "signature/tensor"; `inputs` are by signature and tensor.

    Raises MissingToolError without the environment, ToolFailedError where TensorFlow cannot run the model.
    """
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]  # the package has no types

    python = python_of("tensorflow")
    with tempfile.TemporaryDirectory(prefix="crosscheck-") as work:
        given, made = Path(work) / "inputs.npz", Path(work) / "outputs.npz"
        arrays: dict[str, Any] = {
            f"{signature}/{name}": values for signature, call in inputs.items() for name, values in call.items()
        }
        np.savez(given, **arrays)
        run_tool(
            [str(python), "-I", "-B", str(SCRIPT), str(model), str(given), str(made)],
            cache_folder() / "logs" / "crosscheck.log",
            env={"TF_CPP_MIN_LOG_LEVEL": "2"},
        )
        with np.load(made) as results:
            theirs = {name: results[name] for name in results.files}
    interpreter = Interpreter(model_path=str(model), num_threads=1)
    differences: dict[str, float] = {}
    for signature, call in inputs.items():
        for name, values in interpreter.get_signature_runner(signature)(**call).items():
            key = f"{signature}/{name}"
            differences[key] = float(np.abs(values.astype(np.float64) - theirs[key]).max(initial=0.0))
    return differences
