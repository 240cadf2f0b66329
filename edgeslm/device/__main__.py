"""`python -m edgeslm_device run`, `probe` and `listen`: a bundle on the device it was built for."""

from __future__ import annotations

import argparse
import atexit
import json
import sys
from pathlib import Path
from typing import Any

from .errors import DeviceError, UsageError
from .listen import add_listen, run_listen
from .native_log import mute
from .probe.command import add_probe, run_probe


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, print; an error is one line on stderr and its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return {"run": _run, "probe": run_probe, "listen": run_listen}[options.command](options)
    except DeviceError as error:
        hint = f" -> {error.hint}" if error.hint else ""
        sys.stderr.write(f"error: {error.message}{hint}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        return 130
    except BrokenPipeError:  # the reader of our output went away
        sys.stderr.close()
        return 141


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m edgeslm_device", description="Run a bundle on this device.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run", help="run on texts", description="Run a bundle on texts: --text, --file, or a text per line on stdin."
    )
    run.add_argument("bundle", nargs="?", type=Path, default=_own_bundle(), help="default: the bundle this lies in")
    run.add_argument("--text", action="append", metavar="T", help="a text; may be given more than once")
    run.add_argument("--file", type=Path, metavar="F", help="a file with a text per line; .npz for a plain module")
    run.add_argument("--threads", type=int, default=2, metavar="N", help="threads to compute with (default: 2)")
    run.add_argument("--json", action="store_true", help="one JSON document on stdout")
    add_probe(commands, _own_bundle())
    add_listen(commands, _own_bundle())
    return parser


def _own_bundle() -> Path:
    """The folder or zip file that holds this package."""
    return Path(__file__).parent.parent


def _run(options: argparse.Namespace) -> int:
    from .answer import answer_arrays, answer_texts
    from .model import Model
    from .show import show_answer, show_array

    with Model.open(options.bundle, threads=options.threads) as model:
        document: dict[str, Any] = {"bundle": str(options.bundle), "task": model.task, "results": []}
        if model.task == "tensors" and options.file and not options.text:
            outputs = answer_arrays(model, options.file)
            document["outputs"] = {name: array.tolist() for name, array in outputs.items()}
            lines = [show_array(name, array) for name, array in outputs.items()]
        else:
            document["results"] = answer_texts(model, _texts(options, model.task))
            lines = [line for result in document["results"] for line in show_answer(result)]
            cut = sum(result["truncated"] for result in document["results"])
            if cut and model.tokenizer:
                limit = model.tokenizer.max_length
                sys.stderr.write(f"warning: cut to {limit} tokens: {cut} of {len(document['results'])} texts\n")
    sys.stdout.write(json.dumps(document, ensure_ascii=False) if options.json else "\n".join(lines))
    sys.stdout.write("\n")
    sys.stdout.flush()
    return 0


def _texts(options: argparse.Namespace, task: str) -> list[str]:
    from .answer import read_lines

    if options.text and options.file:
        raise UsageError("--text and --file exclude each other")
    if options.text:
        return list(options.text)
    if options.file:
        try:
            return read_lines(options.file.read_bytes(), str(options.file))
        except OSError as error:
            raise UsageError(f"{options.file} cannot be read: {error.strerror}") from None
    if sys.stdin is None or sys.stdin.isatty():
        wanted = "--file inputs.npz" if task == "tensors" else "--text '…', --file F, or texts on stdin"
        raise UsageError("there is nothing to run on", wanted)
    return read_lines(sys.stdin.buffer.read(), "stdin")


if __name__ == "__main__":
    atexit.register(mute)
    sys.exit(main())
