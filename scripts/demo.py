"""The main job, end to end: build the demo model for a Raspberry Pi 4, check it, run it once, probe it; then two
language models, one that turns a request into a call and one that talks.

The probe's table is of this machine, in milliseconds, and of an emulated Raspberry Pi 4, in instructions. The one that
talks is stories260k, which is no part of this repository: without it the demo says how to build one's own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EDGESLM = str(Path(sys.executable).with_name("edgeslm"))
OUT = "build/demo"
STORIES = ROOT.parent / "shared" / "models" / "stories260k"
UTTERANCE = "Will it rain in Boston tomorrow?"
TEXTS = ("How do I reset my password?", "I forgot my login and cannot sign in.", "The soup needs more salt.")


def main() -> int:
    started = time.monotonic()
    command = [EDGESLM, "build", "--target", "rpi4", "-o", OUT, "--force", "--json"]
    print("$ edgeslm", *command[1:-1], flush=True)
    built = run_json(command)
    seconds = time.monotonic() - started
    texts = [argument for text in TEXTS for argument in ("--text", text)]
    answer = run_json([EDGESLM, "run", built["bundle"], *texts, "--json"])
    vectors = [result["embedding"] for result in answer["results"]]
    near, far = (sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:])

    fidelity = built["fidelity"]
    gates = ", ".join(
        f"{gate['name']} {gate['value']:.4g} (limit {gate['threshold']:.4g})" for gate in fidelity["gates"]
    )
    rows = [
        ("model", f"{built['model']} for a Raspberry Pi 4: {built['backend']}, {built['scheme']}"),
        ("bundle", f"{built['bundle']}, {built['bundle_bytes'] / 1e6:.1f} MB"),
        (
            "still the model?",
            f"cosine to PyTorch at least {fidelity['cosine_min']:.4f} on {fidelity['samples']} texts",
        ),
        ("gates", gates),
        (
            "built in",
            f"{seconds:.1f} s{' (from cache)' if all(s['cached'] for s in built['stages']) else ''}",
        ),
        ("first run", f"“{TEXTS[0]}” is {near:.2f} like “{TEXTS[1]}”"),
        ("", f"and {far:.2f} like “{TEXTS[2]}”"),
    ]
    print()
    for name, value in rows:
        print(f"  {name:<17} {value}")
    sys.stdout.flush()
    status = probe(built["bundle"]) or assist() or talk()
    print("\nNext, with your own checkpoint:\n  .venv/bin/edgeslm build --target rpi4 --model PATH/TO/CHECKPOINT")
    print(f"Look inside:\n  .venv/bin/edgeslm inspect {built['bundle']}\nOther devices:\n  .venv/bin/edgeslm targets")
    print(f"On a board:\n  .venv/bin/edgeslm probe {built['bundle']} --via ssh://pi@raspberrypi")
    return status


def probe(bundle: str) -> int:
    """The probe's table, here and emulated: one short length, as an emulator takes its time."""
    ways = ["--via", "local"]
    if shutil.which("qemu-aarch64") and shutil.which("mmdebstrap") and shutil.which("cc"):
        ways += ["--via", "qemu"]
    else:
        print("\n(no emulated Raspberry Pi without qemu-user, mmdebstrap and a C compiler: edgeslm doctor)")
    command = [EDGESLM, "probe", bundle, *ways, "--runs", "30", "--length", "16"]
    print("\n$ edgeslm", *command[1:], flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def assist() -> int:
    """The assistant that comes with edgeslm, asked for something."""
    command = [EDGESLM, "build", "--target", "rpi4", "--demo", "assistant", "-o", OUT, "--force", "--json"]
    print("\n$ edgeslm build --target rpi4 --demo assistant", flush=True)
    built = run_json(command)
    perplexity = built["fidelity"]["perplexity"]
    print(
        f"  {built['model_bytes'] / 1e6:.2f} MB, perplexity {perplexity['compiled']:.4f}, "
        f"PyTorch's {perplexity['reference']:.4f}"
    )
    print(f'\n$ edgeslm run {built["bundle"]} --chat --prompt "{UTTERANCE}"', flush=True)
    return subprocess.run(
        [EDGESLM, "run", built["bundle"], "--chat", "--prompt", UTTERANCE], cwd=ROOT, check=False
    ).returncode


def talk() -> int:
    """A language model of 260,000 parameters, built and asked to go on with a text."""
    if not STORIES.is_dir():
        print("\nA language model:\n  .venv/bin/edgeslm build --target rpi4 --model PATH/TO/LLAMA_QWEN_PHI_OR_GEMMA")
        return 0
    command = [EDGESLM, "build", "--target", "rpi4", "--model", str(STORIES), "-o", OUT, "--force", "--json"]
    print("\n$ edgeslm build --target rpi4 --model", STORIES.name, flush=True)
    built = run_json(command)
    perplexity = built["fidelity"]["perplexity"]
    print(f"  perplexity {perplexity['compiled']:.4f}, PyTorch's {perplexity['reference']:.4f}")
    ask = ["run", built["bundle"], "--prompt", "Once upon a time", "--max-tokens", "80", "--temperature", "0.5"]
    print("\n$ edgeslm", *(f"'{part}'" if " " in part else part for part in ask), flush=True)
    return subprocess.run([EDGESLM, *ask], cwd=ROOT, check=False).returncode


def run_json(command: list[str]) -> dict[str, Any]:
    """The one JSON document that an edgeslm command prints; its progress goes to our stderr."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


if __name__ == "__main__":
    sys.exit(main())
