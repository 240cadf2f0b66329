"""Runs inside the onnx2tf environment, by path: converts ONNX graphs.

    python onnx2tf_script.py JOB.json

JOB is {"graphs": [[graph, folder], …], "keep": [input, …], "simplify": false, "at_once": 2}. Each folder receives
onnx2tf's files. Of edgeslm and its packages nothing is here.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
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


def convert_or_simplify(graph: str, folder: str, keep: list[str], *, simplify: bool) -> None:
    """edgeslm's passes have folded what onnx-simplifier would, in a quarter of the time: it is the second try."""
    try:
        convert_graph(graph, folder, keep, simplify=simplify)
    except Exception:
        if simplify:
            raise
        print(f"{graph}: once more, with onnx-simplifier, after:", flush=True)  # noqa: T201  # into the log
        traceback.print_exc()
        convert_graph(graph, folder, keep, simplify=True)


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    # Forked after onnx2tf's slow import, which the children share.
    with ProcessPoolExecutor(job["at_once"], multiprocessing.get_context("fork")) as pool:
        running = [
            pool.submit(convert_or_simplify, graph, folder, job["keep"], simplify=job["simplify"])
            for graph, folder in job["graphs"]
        ]
        for conversion in running:
            conversion.result()


if __name__ == "__main__":
    main()
