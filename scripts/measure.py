"""Measure what the planner rests on: resident memory, instructions on arm64 cores, latency on x86-64.

Each result is put into build/measurements.json as it comes; at the end edgeslm/cost/measured.py and the tables of
docs/measurements.md are written from that file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts import bench, measure_report
from tests.arm64 import userland
from tests.decoders import write_tokenizer

ROOT = Path(__file__).resolve().parent.parent
EDGESLM = str(Path(sys.executable).with_name("edgeslm"))
OUT = ROOT / "build" / "measure"
RESULTS = ROOT / "build" / "measurements.json"
BACKENDS = ("tflite", "openvino")
SCHEMES = ("fp32", "fp16", "int8", "int8-weight-only", "int8-static", "int4")
CORES = ("cortex-a72", "cortex-a76")
TARGETS = {"aarch64": "rpi4", "x86_64": "linux-x86_64"}
MODELS = ("demo", "larger")
KINDS = ("resident", "instructions", "decode", "latency")
DECODE_SCHEMES = ("fp32", "int8", "int4")
DECODE_DEPTH = 128  # tokens before the one that is counted
ROUNDS = 30
TOKENS = 64
MIB = 1 << 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="what to measure; everything if not given")
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="only this one")
    parser.add_argument("--scheme", choices=SCHEMES, action="append", help="only this one")
    arguments = parser.parse_args()
    backends, schemes = arguments.backend or BACKENDS, arguments.scheme or SCHEMES
    absent = userland.problem()
    if absent:
        print(absent, file=sys.stderr)
        return 5
    keep("machine", "here", machine())
    for kind in arguments.kinds or KINDS:
        {
            "resident": measure_resident,
            "instructions": count_instructions,
            "decode": count_decode,
            "latency": measure_latency,
        }[kind](backends, schemes)
    measure_report.write(json.loads(RESULTS.read_text()), ROOT)
    return 0


def measure_resident(backends: Sequence[str], schemes: Sequence[str]) -> None:
    """Memory of a process with the model loaded and a text of every length bucket run."""
    for backend in backends:
        for scheme in schemes:
            for model in MODELS:
                for arch in TARGETS:
                    bundle = built(model, backend, scheme, arch)
                    if bundle is None:
                        continue
                    memory = probe(bundle, ["--via", "qemu"] if arch == "aarch64" else [])["memory"]
                    found = {"after": round(memory["rss"] * MIB), "peak": round(memory["peak_rss"] * MIB)}
                    keep(
                        "resident", f"{backend} {arch} {scheme} {model}", {**found, "model_bytes": model_bytes(bundle)}
                    )


def count_instructions(backends: Sequence[str], schemes: Sequence[str]) -> None:
    """Guest instructions of one inference of 64 tokens in one thread, counted by the emulator's plugin."""
    for backend in backends:
        for scheme in schemes:
            bundle = built("demo", backend, scheme, "aarch64")
            if bundle is None:
                continue
            for core in CORES:
                found = probe(bundle, ["--via", "qemu", "--core", core, "--length", str(TOKENS)])
                keep("instructions", f"{backend} {core} {scheme}", {"runs": [found["instructions"]["per_inference"]]})


def count_decode(backends: Sequence[str], schemes: Sequence[str]) -> None:
    """Guest instructions of a token that a language model writes behind 128 others, in one thread; tflite alone."""
    for scheme in [one for one in DECODE_SCHEMES if one in schemes and "tflite" in backends]:
        bundle = built("decoder", "tflite", scheme, "aarch64")
        if bundle is None:
            continue
        for core in CORES:
            depths = probe(bundle, ["--via", "qemu", "--core", core])["language"]["decode"]
            found = next(one for one in depths if one["tokens"] == DECODE_DEPTH)["instructions"]
            keep("decode", f"tflite {core} {scheme}", {"runs": [found["per_inference"]]})


def measure_latency(backends: Sequence[str], schemes: Sequence[str]) -> None:
    """Medians on this machine, the bundles taking turns in one process."""
    import numpy as np

    ids = np.random.default_rng(0).integers(1000, 29000, (1, 64), dtype=np.int64)
    bundles = {
        f"{backend} x86_64 {scheme}": built("demo", backend, scheme, "x86_64")
        for backend in backends
        for scheme in schemes
    }
    contenders = {name: bench.bundle_contender(path, threads=2) for name, path in bundles.items() if path}
    for name, median in bench.measure(contenders, [ids], ROUNDS).items():
        keep("latency", name, {"ms": median, "load": os.getloadavg()[0]})


def probe(bundle: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """The report of `edgeslm probe`."""
    command = [EDGESLM, "probe", str(bundle), *arguments, "--runs", "1", "--time-limit", "3600", "--json"]
    command += ["-o", str(OUT / "probe.json")]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, Any] = json.loads(output)
    return found


def built(model: str, backend: str, scheme: str, arch: str) -> Path | None:
    """The unpacked bundle, or None where the backend refuses the scheme (which is said)."""
    folder = OUT / f"{model}-{backend}-{scheme}-{arch}"
    if folder.is_dir():
        return folder
    source = {"demo": lambda: "demo", "larger": larger_checkpoint, "decoder": decoder_checkpoint}[model]()
    command = [EDGESLM, "build", "--target", TARGETS[arch], "--model", str(source), "--backend", backend]
    command += ["--scheme", scheme, "--allow-below-gate", "--force", "-o", str(OUT), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        print(f"{model} {backend} {scheme} {arch}: not built\n{done.stdout}", file=sys.stderr)
        return None
    packed = Path(json.loads(done.stdout)["bundle"])
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    packed.unlink()
    return folder


def larger_checkpoint() -> Path:
    """A BERT of 6 layers × 768 (66 M parameters, DistilBERT's size) with random weights."""
    folder = OUT / "larger"
    if not folder.is_dir():
        import torch
        import transformers

        from edgeslm.export.checkpoint import open_checkpoint

        demo = open_checkpoint("demo")
        assert demo.root is not None
        torch.manual_seed(0)
        config = transformers.BertConfig(num_hidden_layers=6)
        transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
            if (demo.root / name).exists():
                shutil.copy(demo.root / name, folder)
    return folder


def decoder_checkpoint() -> Path:
    """A Llama of 15 million parameters (288 wide, 6 layers, vocabulary 32,000, tied) with random weights."""
    folder = OUT / "decoder"
    if not folder.is_dir():
        import torch
        import transformers

        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            vocab_size=32_000,
            hidden_size=288,
            intermediate_size=768,
            num_hidden_layers=6,
            num_attention_heads=6,
            max_position_embeddings=256,
            tie_word_embeddings=True,
        )
        transformers.LlamaForCausalLM(config).save_pretrained(folder)
        write_tokenizer(folder, config.vocab_size)
    return folder


def machine() -> dict[str, Any]:
    """What the figures depend on here: processor and versions, nothing that names the machine."""
    qemu = subprocess.run(["qemu-aarch64", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    features = Path("/proc/cpuinfo").read_text().split()
    return {
        "cpu": bench.cpu_name(),
        "features": [name for name in ("avx2", "avx512_vnni", "avx512_bf16", "amx_int8") if name in features],
        "processors": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "qemu": qemu.splitlines()[0].split("(")[0].removeprefix("qemu-aarch64 version").strip(),
        "packages": list(userland.SITES["litert"][2:3] + userland.SITES["openvino"][2:3]),
    }


def model_bytes(bundle: Path) -> int:
    return sum(file.stat().st_size for file in (bundle / "model").iterdir())


def keep(kind: str, name: str, found: dict[str, Any]) -> None:
    """Put a result into the file of results, beside what other runs have found."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results.setdefault(kind, {})[name] = {**found, "date": time.strftime("%Y-%m-%d")}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True))
    print(f"{kind}: {name}: {found}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
