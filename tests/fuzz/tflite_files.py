"""Reads whatever bytes libFuzzer makes up as a .tflite file, imports it, and runs what could be imported.

    python tests/fuzz/tflite_files.py FOLDER… -max_total_time=1800

Anything but a graph or one of our errors for wrong files is a crash: atheris says which bytes made it. What it found
that goes new ways through the reader is added to the first folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))


def read(raw: bytes) -> None:
    """Raises what nobody may see."""
    import numpy as np

    from edgeslm.errors import CheckpointError, UnsupportedError
    from edgeslm.formats.tflite_file import parse_tflite_file
    from edgeslm.ir.import_tflite import import_tflite
    from edgeslm.ir.interpret_integers import IntegerInterpreter

    try:
        graph = import_tflite(parse_tflite_file(raw, "fuzzed"), "cortexm")
    except (CheckpointError, UnsupportedError) as error:
        if not error.message.isprintable() or not error.hint:
            raise AssertionError(f"an error that cannot be shown as it is: {error!r}") from error
        return
    tensors = [*graph.inputs, *(one.tensor for one in graph.constants), *(node.output for node in graph.nodes)]
    if sum(tensor.elements for tensor in tensors) < 10_000:  # a large shape is no damage, and takes long
        inputs = {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in graph.inputs}
        IntegerInterpreter(graph).run(inputs)


def main() -> None:
    import atheris

    with atheris.instrument_imports(include=["edgeslm.formats", "edgeslm.ir"]):
        import edgeslm.formats.tflite_file
        import edgeslm.ir.import_tflite
        import edgeslm.ir.interpret_integers  # noqa: F401  # imported to be instrumented
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
