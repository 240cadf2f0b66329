"""The main job, end to end: build the demo model for a Raspberry Pi 4, check it, run it here once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EDGESLM = str(Path(sys.executable).with_name("edgeslm"))
OUT = "build/demo"
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
    print("\nNext, with your own checkpoint:\n  .venv/bin/edgeslm build --target rpi4 --model PATH/TO/CHECKPOINT")
    print(f"Look inside:\n  .venv/bin/edgeslm inspect {built['bundle']}\nOther devices:\n  .venv/bin/edgeslm targets")
    return 0


def run_json(command: list[str]) -> dict[str, Any]:
    """The one JSON document that an edgeslm command prints; its progress goes to our stderr."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


if __name__ == "__main__":
    sys.exit(main())
