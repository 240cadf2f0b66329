"""What an Android app's runtime spends outside of the graphs, on this machine's JVM: the ways to write a step's rows.

LiteRT's Kotlin interface writes whole tensor buffers. The shim of the tests copies as its JNI library does, so that the
ways can be compared here; a phone's times are others.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgeslm.backends.tflite.language_windows import cache_segments
from scripts.bench_models import SHAPES, Shape, android_model
from tests.android.jvm import compiled_classes
from tests.android.litert_library import litert_folder

CONTEXT = 2048
SHAPE = {"260K": Shape("260K", 64, 5, 8, 172), **SHAPES}
COLUMNS = ("rows read", "step", "read, choose", "write_1", "whole segments", "segments of 16")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", default="260K,15M")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "edgeslm-bench")
    arguments = parser.parse_args()
    classes, library = compiled_classes(arguments.cache), litert_folder(arguments.cache)
    print("microseconds a token, the fastest of 200\n")
    for name in arguments.shapes.split(","):
        shape = SHAPE[name]
        folder = android_model(arguments.cache, shape, "int8", CONTEXT)
        numbers = [shape.layers, shape.heads, shape.width // shape.heads]
        segments = ",".join(map(str, cache_segments(CONTEXT)))
        command = ["java", f"-Djava.library.path={library}", "-cp", classes.path, "org.edgeslm.CacheFigures"]
        told = _run([*command, folder / "model.tflite", *numbers, segments, arguments.threads])
        print(f"{name} int8, segments {segments}\n| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS))
        for line in told.splitlines():
            step, _, *times = line.split("\t")
            print("| " + " | ".join([step.removeprefix("step_"), *times]) + " |")
        print()
    return 0


def _run(command: Sequence[object]) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
