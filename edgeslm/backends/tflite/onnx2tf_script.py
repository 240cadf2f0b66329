"""Runs inside the onnx2tf environment, by path: converts ONNX graphs, all in one process.

    python onnx2tf_script.py JOB.json

JOB is {"graphs": [[graph, folder], …], "keep": [input, …], "simplify": false}. Each folder receives onnx2tf's files. Of
edgeslm and its packages nothing is here.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

from onnx2tf.onnx2tf import convert  # type: ignore[import-not-found]  # lives in the other environment


def convert_graph(graph: str, folder: str, keep: list[str], *, simplify: bool) -> None:
    """onnx2tf may end the whole process; that is an error like others here."""
    try:
        convert(
            input_onnx_file_path=graph,
            output_folder_path=folder,
            keep_shape_absolutely_input_names=keep,
            copy_onnx_input_output_names_to_tflite=True,
            not_use_onnxsim=not simplify,
            not_use_opname_auto_generate=True,
            non_verbose=True,
            verbosity="error",
        )
    except SystemExit as ended:
        raise RuntimeError(f"onnx2tf ended itself with status {ended.code}") from ended


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    for graph, folder in job["graphs"]:
        try:
            convert_graph(graph, folder, job["keep"], simplify=job["simplify"])
        except Exception:
            if job["simplify"]:
                raise
            print(f"{graph}: once more, with onnx-simplifier, after:", flush=True)  # noqa: T201  # into the log
            traceback.print_exc()
            convert_graph(graph, folder, job["keep"], simplify=True)


if __name__ == "__main__":
    main()
