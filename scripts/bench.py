"""MiniLM side by side: PyTorch, ONNX Runtime and our bundles, interleaved in one run; medians and ratios.

Every contender is given the same token ids at their own length: what pads them is its own affair and its own cost.
Wall-clock figures move with the load of the machine; the ratios of one run are what can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Contender = Callable[[Ids], object]

ROOT = Path(__file__).resolve().parent.parent
EDGESLM = str(Path(sys.executable).with_name("edgeslm"))
SNIPS = ROOT.parent / "shared" / "data" / "snips" / "validate.jsonl"
LENGTHS = (12, 64, 256)
SCHEMES = ("fp32", "fp16", "int8", "int8-weight-only", "int8-static", "int4")
PEER = "onnxruntime int8"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="interleaved rounds per length")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        builds = {
            f"edgeslm {backend} {scheme}": build(Path(folder), backend, scheme)
            for backend in ("tflite", "openvino")
            for scheme in SCHEMES
        }
        contenders = peers(Path(folder), arguments.threads)
        for name, built in builds.items():
            contenders[name] = bundle_contender(Path(built["bundle"]), arguments.threads)
        work = workloads(np.random.default_rng(0))
        medians = {name: measure(contenders, texts, arguments.rounds) for name, texts in work.items()}
    document = {
        "machine": platform.processor() or platform.machine(),
        "cpu": cpu_name(),
        "threads": arguments.threads,
        "load": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
        "milliseconds": medians,
        "builds": {name: {k: built[k] for k in ("model_bytes", "stages")} for name, built in builds.items()},
    }
    if arguments.json:
        print(json.dumps(document, indent=2))
    else:
        print_tables(document)
    return 0


def build(folder: Path, backend: str, scheme: str) -> dict[str, Any]:
    command = [EDGESLM, "build", "--target", "linux-x86_64", "--backend", backend, "--scheme", scheme]
    command += ["-o", str(folder / backend), "--allow-below-gate", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def workloads(random: np.random.Generator) -> dict[str, list[Ids]]:
    """Name -> token ids of shape (1, tokens), one per text of a round."""

    def ids(length: int) -> Ids:
        return random.integers(1000, 29000, (1, length), dtype=np.int64)

    # Several texts a turn: the first of a turn pays for caches that the contender before it has filled.
    work = {f"{length} tokens": [ids(length) for _ in range(max(3, 256 // length))] for length in LENGTHS}
    if SNIPS.exists():
        words = [len(json.loads(line)["text"].split()) for line in SNIPS.read_text().splitlines()]
        # A WordPiece text of n words has about 1.2 n pieces and two special tokens.
        work["SNIPS mix"] = [ids(min(256, round(1.2 * count) + 2)) for count in words[:64]]
    return work


def measure(contenders: dict[str, Contender], texts: list[Ids], rounds: int) -> dict[str, float]:
    """Median milliseconds per text, the contenders taking turns in each round."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 3):
        for name, run in contenders.items():
            started = time.perf_counter()
            for text in texts:
                run(text)
            if number >= 3:  # the first rounds warm caches and make each length's kernels
                times[name].append((time.perf_counter() - started) / len(texts) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def peers(folder: Path, threads: int) -> dict[str, Contender]:
    """PyTorch and ONNX Runtime (float32 and dynamic int8), none of them padding."""
    import onnxruntime
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from edgeslm.export.checkpoint import open_checkpoint
    from edgeslm.export.load import load_module
    from edgeslm.export.onnx_export import export_onnx

    torch.set_num_threads(threads)
    checkpoint = open_checkpoint("demo")
    module = load_module(checkpoint)
    onnx = export_onnx(checkpoint, (256,), folder)
    names = [spec.name for spec in onnx.inputs]
    quantize_dynamic(onnx.path(0), folder / "dynamic.onnx", weight_type=QuantType.QInt8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    floats = onnxruntime.InferenceSession(onnx.path(0), options, providers=["CPUExecutionProvider"])
    integers = onnxruntime.InferenceSession(folder / "dynamic.onnx", options, providers=["CPUExecutionProvider"])

    def run_torch(ids: Ids) -> object:
        with torch.inference_mode():
            feed = inputs(names, ids)
            return module(*(torch.from_numpy(feed[name]) for name in names))

    return {
        "torch": run_torch,
        "onnxruntime fp32": lambda ids: floats.run(None, inputs(names, ids)),
        PEER: lambda ids: integers.run(None, inputs(names, ids)),
    }


def bundle_contender(path: Path, threads: int) -> Contender:
    from edgeslm.device import Model

    model = Model.open(path, threads=threads)
    names = [spec["name"] for spec in model.manifest["model"]["inputs"]]
    return lambda ids: model.run(inputs(names, ids))


def inputs(names: list[str], ids: Ids) -> dict[str, NDArray[np.int32]]:
    """The inputs of one text without padding, each (1, tokens) int32."""
    values = {
        "input_ids": ids.astype(np.int32),
        "attention_mask": np.ones(ids.shape, np.int32),
        "token_type_ids": np.zeros(ids.shape, np.int32),
    }
    return {name: values[name] for name in names}


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def print_tables(document: dict[str, Any]) -> None:
    work = list(document["milliseconds"])
    print(f"{document['date']}, {document['cpu']}, {document['threads']} threads, load {document['load']:.2f}")
    print(f"ms per text (× speed of {PEER} in the same run)\n")
    print(f"| | {' | '.join(work)} |\n|---|{'---|' * len(work)}")
    for name in document["milliseconds"][work[0]]:
        cells = [f"{times[name]:.2f} ({times[PEER] / times[name]:.2f}×)" for times in document["milliseconds"].values()]
        print(f"| {name} | {' | '.join(cells)} |")
    print("\n| build | model MB | stages: seconds / peak MiB |\n|---|---|---|")
    for name, built in document["builds"].items():
        stages = ", ".join(
            f"{s['name']} cached" if s["cached"] else f"{s['name']} {s['seconds']:.1f} / {s['peak_rss_mib']:.0f}"
            for s in built["stages"]
        )
        print(f"| {name} | {built['model_bytes'] / 1e6:.1f} | {stages} |")


if __name__ == "__main__":
    sys.exit(main())
