"""Language models side by side with llama.cpp: decode, prefill, and what the loop around the runtime costs.

Models of 15M and 110M parameters' shape with random weights. Every contender is opened in a process of its own and
they take turns, so that one is idle while the other runs; each round gives a ratio, and the median of them counts.
Wall-clock figures move with the load of the machine. The processor time of one thread moves least.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scripts.bench import cpu_name
from scripts.bench_models import ROOT, SHAPES, VOCABULARY, Scheme, edgeslm_model, gguf_model

CONTEXT, SHORT_CONTEXT = 2048, 256
DECODED = 64
PROMPT = 16
POSITION = 100
PREFILLS = (128, 512)
PAUSE_S = 0.02
"""Between turns: threads that wait for more work stop spinning."""
LONGEST_S = 120
"""A figure takes no more rounds than fit in there."""
PEERS = {"int8": "Q8_0", "int4": "Q4_0"}


@dataclass(frozen=True)
class Run:
    """Seconds of one turn. `tokens`: one for each token of an answer but the first; empty after a prefill."""

    wall: float
    processor: float
    tokens: tuple[float, ...] = ()
    outside: float = 0.0  # share of the loop's time that was not spent inside the runtime's run

    @property
    def each(self) -> float:
        """Seconds of a typical token, or of the whole prefill."""
        return statistics.median(self.tokens) if self.tokens else self.wall


class Contender(Protocol):
    def prefill(self, count: int) -> None:
        """Enter a prompt of so many tokens."""

    def decode(self, prompt: int, count: int) -> Iterator[object]:
        """Answer a prompt greedily; something for each token when it is there."""

    inside: float  # seconds inside the runtime's run until now; 0 where that is not told


@dataclass(frozen=True)
class Name:
    """A contender: a runtime with one model open."""

    runtime: str  # edgeslm or llama.cpp
    shape: str
    scheme: Scheme
    context: int = CONTEXT
    threads: int = 2

    def __str__(self) -> str:
        what = PEERS[self.scheme] if self.runtime == "llama.cpp" else self.scheme
        return f"{self.runtime} {self.shape} {what}" + (f" context {self.context}" if self.context != CONTEXT else "")


@dataclass(frozen=True)
class Figure:
    """A ratio that is wanted, `ours` over `peer` in speed."""

    title: str
    ours: Name
    peer: Name
    job: tuple[str, int, int]  # method, its arguments
    wanted: float | None
    aim: float | None


class Edgeslm:
    """`edgeslm run`'s own loop: choosing, and making text of tokens, included."""

    def __init__(self, folder: Path, threads: int) -> None:
        from edgeslm.device.context import Context
        from edgeslm.device.litert_language import LiteRtLanguage
        from edgeslm.device.open_language import open_language
        from edgeslm.device.tokenizer import Tokenizer

        engine = open_language(json.loads((folder / "manifest.json").read_text()), folder, threads)
        assert isinstance(engine, LiteRtLanguage)
        self.inside = 0.0
        for signature in engine._signatures:
            signature.run = self._timed(signature.run)
        self._context = Context(engine)
        self._tokenizer = Tokenizer((folder / "tokenizer.json").read_bytes(), CONTEXT, cut=False)

    def prefill(self, count: int) -> None:
        self._context.engine.prefill(prompt_of(count), 0)

    def decode(self, prompt: int, count: int) -> Iterator[object]:
        from edgeslm.device.generate import Generation
        from edgeslm.device.sampling import Sampling
        from edgeslm.device.text_stream import TextStream

        return Generation(
            self._context,
            prompt_of(prompt).tolist(),
            TextStream(self._tokenizer),
            end_ids=frozenset(),
            sampling=Sampling(),
            max_tokens=count,
        )

    def _timed(self, run: Callable[[], int]) -> Callable[[], int]:
        def timed() -> int:
            started = time.perf_counter()
            status = run()
            self.inside += time.perf_counter() - started
            return status

        return timed


class LlamaCpp:
    """llama_decode and the greatest logit; no text is made of tokens. Its Python class would take more time."""

    def __init__(self, path: Path, context: int, threads: int) -> None:
        llama: Any = importlib.import_module("llama_cpp")
        self.inside = 0.0
        self._llama = llama
        llama.llama_backend_init()
        model = llama.llama_model_load_from_file(str(path).encode(), llama.llama_model_default_params())
        settings = llama.llama_context_default_params()
        settings.n_ctx = context
        settings.n_threads = settings.n_threads_batch = threads
        self._context = llama.llama_init_from_model(model, settings)
        self._memory = llama.llama_get_memory(self._context)
        self._batch = llama.llama_batch_init(max(PREFILLS), 0, 1)
        for place in range(max(PREFILLS)):
            self._batch.n_seq_id[place] = 1
            self._batch.seq_id[place][0] = 0

    def prefill(self, count: int) -> None:
        self._llama.llama_memory_clear(self._memory, False)
        self._enter(prompt_of(count).tolist(), 0)

    def decode(self, prompt: int, count: int) -> Iterator[object]:
        self._llama.llama_memory_clear(self._memory, False)
        logits = self._enter(prompt_of(prompt).tolist(), 0)
        for position in range(prompt, prompt + count - 1):
            token = int(logits.argmax())
            yield token
            logits = self._enter([token], position)
        yield int(logits.argmax())

    def _enter(self, tokens: Sequence[int], position: int) -> NDArray[np.float32]:
        batch, count = self._batch, len(tokens)
        batch.n_tokens = count
        for place, token in enumerate(tokens):
            batch.token[place] = token
            batch.pos[place] = position + place
            batch.logits[place] = place == count - 1
        if self._llama.llama_decode(self._context, batch) != 0:
            raise RuntimeError("llama.cpp failed")
        logits = self._llama.llama_get_logits_ith(self._context, -1)
        values: NDArray[np.float32] = np.ctypeslib.as_array(logits, (VOCABULARY,))
        return values


class Worker:
    """A contender in a process of its own."""

    def __init__(self, name: Name, cache: Path) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._pipe, other = spawning.Pipe()
        self._process = spawning.Process(target=serve, args=(other, name, cache), daemon=True)
        self._process.start()
        other.close()
        self.about: str = self._answer()

    def run(self, job: tuple[str, int, int]) -> Run:
        time.sleep(PAUSE_S)
        self._pipe.send(job)
        run: Run = self._answer()
        return run

    def close(self) -> None:
        self._pipe.close()
        self._process.join()

    def _answer(self) -> Any:
        try:
            return self._pipe.recv()
        except EOFError:
            raise SystemExit("a contender ended; what it said stands above") from None


def serve(pipe: Connection, name: Name, cache: Path) -> None:
    """The worker's side: say what was opened, then one Run for each job."""
    os.environ["EDGESLM_DEVICE_CACHE"] = str(cache / "device")
    shape = SHAPES[name.shape]
    contender: Contender
    if name.runtime == "edgeslm":
        contender = Edgeslm(edgeslm_model(cache, shape, name.scheme, name.context), name.threads)
        about = f"ai-edge-litert {importlib.import_module('ai_edge_litert').__version__}"
    else:
        silence()
        contender = LlamaCpp(gguf_model(cache, shape, name.scheme), name.context, name.threads)
        llama: Any = importlib.import_module("llama_cpp")
        about = f"llama-cpp-python {llama.__version__}: {llama.llama_print_system_info().decode().strip()}"
    pipe.send(about)
    while True:
        try:
            method, first, second = pipe.recv()
        except EOFError:
            return
        pipe.send(timed_prefill(contender, first) if method == "prefill" else timed_decode(contender, first, second))


def timed_prefill(contender: Contender, count: int) -> Run:
    started, processor = time.perf_counter(), time.process_time()
    contender.prefill(count)
    return Run(time.perf_counter() - started, time.process_time() - processor)


def timed_decode(contender: Contender, prompt: int, count: int) -> Run:
    """Of the steps, without the prompt: the first token begins it."""
    answer = contender.decode(prompt, count)
    next(answer)
    inside, processor = contender.inside, time.process_time()
    times = [time.perf_counter()]
    times.extend(time.perf_counter() for _ in answer)
    used, loop = time.process_time() - processor, times[-1] - times[0]
    steps = tuple(after - before for before, after in itertools.pairwise(times))
    return Run(loop, used, steps, 1 - (contender.inside - inside) / loop)


def silence() -> None:
    """Keep llama.cpp's account of every tensor off the terminal."""
    llama: Any = importlib.import_module("llama_cpp")
    callback = llama.llama_log_callback(lambda level, text, data: None)
    llama.llama_log_set(callback, None)
    vars(llama)["_silence"] = callback  # must live as long as the library


def prompt_of(count: int) -> NDArray[np.int32]:
    return np.random.default_rng(count).integers(300, VOCABULARY, count, np.int32)


def figures() -> list[Figure]:
    decoding: list[tuple[str, Scheme, float | None, float | None]] = [
        ("110M", "int8", 0.9, 1.0),
        ("110M", "int4", 0.85, 1.0),
        ("15M", "int8", None, None),
        ("15M", "int4", None, None),
    ]
    found = []
    for shape, scheme, wanted, aim in decoding:
        ours, peer = Name("edgeslm", shape, scheme), Name("llama.cpp", shape, scheme)
        title = f"{shape} decode {DECODED}, {scheme} ÷ {PEERS[scheme]}"
        found.append(Figure(title, ours, peer, ("decode", PROMPT, DECODED), wanted, aim))
        if shape == "110M":
            targets = (2.0, 3.5) if scheme == "int8" else (None, None)
            for count in PREFILLS:
                title = f"{shape} prefill {count}, {scheme} ÷ {PEERS[scheme]}"
                found.append(Figure(title, ours, peer, ("prefill", count, 0), *targets))
    long, short = Name("edgeslm", "110M", "int8"), Name("edgeslm", "110M", "int8", SHORT_CONTEXT)
    title = f"110M decode at {POSITION}, context {CONTEXT} ÷ {SHORT_CONTEXT}"
    found.append(Figure(title, long, short, ("decode", POSITION, 16), 0.9, None))
    return found


def measure(figure: Figure, workers: dict[Name, Worker], rounds: int) -> dict[str, list[Run]]:
    """Runs of both, taking turns; the first round warms up. Who begins changes from round to round. Fewer rounds where
    they take more than LONGEST_S: llama.cpp's threads wait for each other spinning, for minutes on a busy machine.
    """
    started = time.monotonic()
    runs: dict[str, list[Run]] = {"ours": [], "peer": []}
    sides = [("ours", workers[figure.ours]), ("peer", workers[figure.peer])]
    for number in range(rounds + 1):
        for side, worker in sides if number % 2 else sides[::-1]:
            run = worker.run(figure.job)
            if number:
                runs[side].append(run)
        if number and time.monotonic() - started > LONGEST_S:
            break
    return runs


def summary(figure: Figure, runs: dict[str, list[Run]]) -> dict[str, Any]:
    """Medians; `ratio` of speeds is the median of the rounds' own, `ratio_best` that of the fastest rounds."""
    ours, peer = runs["ours"], runs["peer"]
    per_second = figure.job[1] if figure.job[0] == "prefill" else 1
    pairs = list(zip(ours, peer, strict=True))
    return {
        "title": figure.title,
        "rounds": len(pairs),
        "tokens_per_second": [per_second / statistics.median(run.each for run in side) for side in (ours, peer)],
        "ratio": statistics.median(other.each / own.each for own, other in pairs),
        "ratio_best": min(run.each for run in peer) / min(run.each for run in ours),
        "processor_ratio": statistics.median(other.processor / own.processor for own, other in pairs),
        "processor_ms": [statistics.median(run.processor for run in side) * 1e3 for side in (ours, peer)],
        "outside": statistics.median(run.outside for run in ours),
        "wanted": figure.wanted,
        "aim": figure.aim,
    }


def measure_all(threads: int, rounds: int, cache: Path, only: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Every figure's summary, and what the contenders say of themselves."""
    chosen = [figure for figure in figures() if only in figure.title]
    found = []
    with ExitStack() as closing:
        workers: dict[Name, Worker] = {}
        for figure in chosen:
            for name in (figure.ours, figure.peer):
                if name not in workers:
                    worker = workers[name] = Worker(replace(name, threads=threads), cache)
                    closing.callback(worker.close)
        for figure in chosen:
            print(f"{figure.title}, threads {threads}", file=sys.stderr)
            found.append(summary(figure, measure(figure, workers, rounds)))
        return found, sorted({worker.about for worker in workers.values()})


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench decode", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="interleaved rounds of each figure")
    parser.add_argument(
        "--threads", type=int, default=2, metavar="N", help="0: only what one thread takes (busy machine)"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="figures with this in their title")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "bench", help="where models are kept")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    loads = [os.getloadavg()[0]]
    passes = {
        threads: measure_all(threads, arguments.rounds, arguments.cache, arguments.only)
        for threads in sorted({arguments.threads, 1} - {0}, reverse=True)
    }
    loads.append(os.getloadavg()[0])
    document = {
        "cpu": cpu_name(),
        "threads": arguments.threads or 1,
        "rounds": arguments.rounds,
        "load": loads,
        "date": time.strftime("%Y-%m-%d"),
        "contenders": passes[1][1],
        "figures": passes[arguments.threads or 1][0],
        "one_thread": passes[1][0],
    }
    if arguments.json:
        print(json.dumps(document, indent=2))
    else:
        print_tables(document)
    return 0


def print_tables(document: dict[str, Any]) -> None:
    before, after = document["load"]
    print(f"{document['date']}, {document['cpu']}, {document['threads']} threads, load {before:.2f} to {after:.2f}")
    for contender in document["contenders"]:
        print(contender)
    print("\n| | tok/s | beside | ratio | of the fastest rounds | of processor time, 1 thread | at least | aim |")
    print(f"|---|{'---|' * 7}")
    for one, alone in zip(document["figures"], document["one_thread"], strict=True):
        speeds = [f"{speed:.0f}" for speed in one["tokens_per_second"]]
        ratios = [f"{ratio:.2f}" for ratio in (one["ratio"], one["ratio_best"], alone["processor_ratio"])]
        targets = ["" if target is None else f"{target:.2f}" for target in (one["wanted"], one["aim"])]
        print(f"| {' | '.join([one['title'], *speeds, *ratios, *targets])} |")
    print("\n| outside the runtime's run, greedy | share | at most | aim |\n|---|---|---|---|")
    limits = {"110M": "5 % | 2 %", "15M": "20 % | 10 %"}
    for one in document["figures"]:
        if " decode " in one["title"]:
            print(f"| {one['title']} | {one['outside']:.1%} | {limits[one['title'].split()[0]]} |")


if __name__ == "__main__":
    sys.exit(main())
