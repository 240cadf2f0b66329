"""Train the demo assistant: a teacher, a student distilled from it, and the folder that `build --demo assistant` takes.

    scripts/train_demo                    one teacher and one student, about an hour of one core
    scripts/train_demo --table            every loss over three seeds, int8 and int4: the table of docs/assistant.md
    scripts/train_demo --seed 2 --install and put the student of seed 2 where edgeslm has its demos

A run that was stopped goes on where it was. The data are SNIPS (CC0), looked for in ../shared/data/snips.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edgeslm.export.checkpoint import open_checkpoint  # noqa: E402  # after the path
from scripts import assistant_folder, snips  # noqa: E402
from scripts.assistant import (  # noqa: E402
    VOCABULARY,
    Batch,
    Batches,
    Learner,
    Terms,
    answers,
    batch_losses,
    create_model,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

    from edgeslm.distill.train import Training

SEEDS = (0, 1, 2)
EPOCHS = (8, 6)
"""Of the teacher and of each student."""
LEARNING_RATE = {"teacher": 1.2e-3, "student": 2e-3}
COMPARED: tuple[Terms, ...] = ("none", "logits", "hidden", "relations")
CHOSEN: Terms = "relations"
"""The loss of the student that is shipped: the best of the table."""
SCHEMES = ("int8", "int4")
TOLD = 100
"""Steps between two lines of progress: seeds learn side by side, so a bar each would not do."""
COLOURS = {
    "teacher": "tab:gray",
    "none": "tab:blue",
    "logits": "tab:orange",
    "hidden": "tab:green",
    "relations": "tab:red",
}
TITLES = {
    "teacher": "teacher",
    "none": "student, data alone",
    "logits": "student, logits (Hinton)",
    "hidden": "student, logits and hidden states (Patient-KD, TinyBERT)",
    "relations": "student, logits and relations (MiniLMv2)",
}


Part = tuple[int, str]
"""A seed, and a model of it: "teacher" or a student's terms."""
TEACHER: Part = (0, "teacher")


def main() -> int:
    options = _options()
    data = snips.read_utterances(options.data / "train.jsonl"), snips.read_utterances(options.data / "validate.jsonl")
    tokenizer = _tokenizer(options.out, data[0])
    if options.only is not None:
        seed, *terms = options.only.split("-")
        _train_together(int(seed), terms, options, tokenizer, *data)
        return 0
    seeds = SEEDS if options.table else (options.seed,)
    # Those without a teacher first, side by side with the teachers. All students learn from that of seed 0; the others
    # tell how much teachers differ.
    alone = [TEACHER]
    if options.table:
        alone += [(seed, "teacher") for seed in seeds if seed != TEACHER[0]] + [(seed, "none") for seed in seeds]
    _all([(seed, [kind]) for seed, kind in alone], options)
    taught = [terms for terms in COMPARED if terms != "none"] if options.table else [CHOSEN]
    _all([(seed, taught) for seed in seeds], options)
    for seed in seeds:
        for scheme in SCHEMES:
            _score_built((seed, CHOSEN), scheme, options.out, data[1])
    table = _table(seeds, COMPARED if options.table else (CHOSEN,), options.out)
    print(table)
    (options.out / "table.md").write_text(table, encoding="utf-8")
    _draw_curves(seeds, options.out)
    if options.install:
        assistant_folder.install(_model(options.out, (options.seed, CHOSEN)), table, options.seed)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0], epilog="See docs/assistant.md.")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "snips", metavar="DIR")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "assistant", metavar="DIR")
    parser.add_argument("--seed", type=int, choices=SEEDS, default=0)
    parser.add_argument("--epochs", type=int, nargs=2, default=EPOCHS, metavar=("TEACHER", "STUDENT"))
    parser.add_argument("--table", action="store_true", help="every loss over three seeds")
    parser.add_argument("--install", action="store_true", help="put the student where edgeslm has its demos")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="trainings at once (default: 2)")
    parser.add_argument("--only", metavar="SEED-KIND…", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not (options.data / "train.jsonl").is_file():
        parser.error(f"{options.data} has no train.jsonl; --data DIR says where SNIPS lies")
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def _all(trainings: Sequence[tuple[int, Sequence[str]]], options: argparse.Namespace) -> None:
    """Each training is a process of its own: a seed, and what learns from the same batches in it."""
    workers = min(options.workers, len(trainings))
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    epochs = ["--epochs", *map(str, options.epochs)]
    command = [sys.executable, __file__, "--data", str(options.data), "--out", str(options.out), *epochs, "--only"]

    def start(training: tuple[int, Sequence[str]]) -> None:
        named = "-".join([str(training[0]), *training[1]])
        subprocess.run([*command, named], env={**os.environ, "OMP_NUM_THREADS": threads}, check=True)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(start, trainings))


def _tokenizer(out: Path, utterances: Sequence[snips.Utterance]) -> Tokenizer:
    from tokenizers import Tokenizer

    from scripts.assistant_tokenizer import train_tokenizer

    path = out / "tokenizer.json"
    if not path.is_file():
        train_tokenizer(utterances, VOCABULARY).save(str(path))
    loaded: Tokenizer = Tokenizer.from_file(str(path))
    return loaded


def _train_together(
    seed: int,
    kinds: Sequence[str],
    options: argparse.Namespace,
    tokenizer: Tokenizer,
    utterances: Sequence[snips.Utterance],
    validation: Sequence[snips.Utterance],
) -> None:
    """Models that learn from the same batches, side by side. What is done already is not done again."""
    from edgeslm.distill.train import Recipe, Training

    out: Path = options.out
    if all((_folder(out, (seed, kind)) / "scores.json").is_file() for kind in kinds):
        return
    started = time.process_time()
    size: Literal["teacher", "student"] = "teacher" if "teacher" in kinds else "student"
    taught: list[Terms] = [one for one in COMPARED if one in kinds and one != "none"]
    teacher = Learner(_load(_model(out, TEACHER))) if taught else None
    learners = [Learner(create_model(size, seed), one, teacher) for one in taught] or [
        Learner(create_model(size, seed))
    ]
    folder = out / "-".join(["training", str(seed), *kinds])
    recipe = Recipe(options.epochs[size == "student"], LEARNING_RATE[size])
    training = Training(learners, batch_losses(learners, teacher), Batches(utterances, tokenizer, seed), recipe, folder)
    _train(training, folder.name)
    seconds = round(time.process_time() - started)
    curves = json.loads((folder / "curve.json").read_text(encoding="utf-8"))
    for learner, kind, curve in zip(learners, kinds, curves, strict=True):
        part = seed, kind
        assistant_folder.save(learner.model, tokenizer, _model(out, part), utterances, validation)
        _write(_folder(out, part) / "curve.json", curve)
        # What is scored is what was written, in half precision.
        scores = snips.score(validation, answers(_load(_model(out, part)), tokenizer, validation))
        _write(_folder(out, part) / "scores.json", {"scores": scores.all, "cpu_seconds_together": seconds})


def _train(training: Training[Batch], name: str) -> None:
    started, first = time.monotonic(), None
    for step, steps, values in training.run():
        first = step if first is None else first
        if step % TOLD == 0 or step == steps:
            left = (time.monotonic() - started) / (step - first + 1) * (steps - step) / 60
            shown = " ".join(f"{value:.3f}" for value in values.tolist())
            print(f"{name}: step {step} of {steps}, loss {shown}, {left:.0f} min left", flush=True)


def _folder(out: Path, part: Part) -> Path:
    return out / f"{part[1]}-{part[0]}"


def _model(out: Path, part: Part) -> Path:
    return _folder(out, part) / "model"


def _load(folder: Path) -> LlamaForCausalLM:
    import torch
    from transformers import LlamaForCausalLM

    loaded: LlamaForCausalLM = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return loaded


def _score_built(part: Part, scheme: str, out: Path, validation: Sequence[snips.Utterance]) -> None:
    """Build the student as a bundle, and let the bundle answer."""
    import edgeslm
    from edgeslm.device.model import Model

    kept = _folder(out, part) / f"{scheme}.json"
    if kept.is_file():
        return
    folder = _model(out, part)
    report = edgeslm.build(
        "rpi4",
        str(folder),
        scheme=scheme,
        calibration=folder / assistant_folder.CALIBRATION,
        eval=folder / assistant_folder.EVALUATION,
        allow_below_gate=True,
        force=True,
        out=_folder(out, part),
    )
    with Model.open(report.bundle.path) as model:
        said = [
            model.generate([{"role": "user", "content": utterance.text}], max_tokens=160).read()
            for utterance in validation
        ]
    scores = snips.score(validation, said)
    assert report.fidelity.perplexity is not None
    _write(kept, {"scores": scores.all, "bytes": report.compiled.bytes, "kept": report.fidelity.perplexity.kept})


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _table(seeds: Sequence[int], terms: Sequence[Terms], out: Path) -> str:
    """Mean and standard deviation over the seeds that were trained, in percent."""
    rows = [
        "| model | seeds | parameters | size | intent accuracy | slot F1 | exact match |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]

    def read(part: Part, file: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((_folder(out, part) / file).read_text(encoding="utf-8"))
        return content

    def row(title: str, parts: Sequence[Part], file: str = "scores.json") -> None:
        done = [part for part in parts if (_folder(out, part) / file).is_file()]
        if not done:
            return
        found = [read(part, file) for part in done]
        columns = zip(*(one["scores"] for one in found), strict=True)
        shown = " | ".join(_spread([100 * score for score in column]) for column in columns)
        model = _model(out, done[0])
        millions = open_checkpoint(str(model)).elements / 1e6
        size = found[0].get("bytes", (model / "model.safetensors").stat().st_size) / 1e6
        rows.append(f"| {title} | {len(done)} | {millions:.2f} M | {size:.2f} MB | {shown} |")

    row(TITLES["teacher"], [(seed, "teacher") for seed in sorted({TEACHER[0], *seeds})])
    for one in terms:
        row(TITLES[one], [(seed, one) for seed in seeds])
    for scheme in SCHEMES:
        row(f"{TITLES[CHOSEN]}, {scheme}", [(seed, CHOSEN) for seed in seeds], f"{scheme}.json")
    return "\n".join(rows) + "\n"


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.mean(values):.1f} %"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.1f}"


def _draw_curves(seeds: Sequence[int], out: Path) -> None:
    """The loss of every training, as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for kind in ("teacher", *COMPARED):
        for seed in sorted({TEACHER[0], *seeds}):
            path = _folder(out, (seed, kind)) / "curve.json"
            if not path.is_file():
                continue
            steps, values = zip(*json.loads(path.read_text(encoding="utf-8")), strict=True)
            axis = axes[int(kind not in ("teacher", "none"))]
            axis.plot(
                steps,
                values,
                linewidth=0.7,
                color=COLOURS[kind],
                label=kind if not axis.lines or axis.lines[-1].get_color() != COLOURS[kind] else None,
            )
    for axis, title in zip(axes, ("learning from the data", "learning from the teacher as well"), strict=True):
        axis.set(title=title, xlabel="step", ylabel="loss", yscale="log")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(out / "loss.png", dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
