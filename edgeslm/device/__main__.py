"""`python -m edgeslm_device run`, `serve`, `probe` and `listen`: a bundle on the device it was built for."""

from __future__ import annotations

import argparse
import atexit
import os
import sys
from pathlib import Path

from .errors import DeviceError
from .listen import add_listen, run_listen
from .native_log import mute
from .probe.command import add_probe, run_probe
from .run_command import add_run, run_bundle
from .serve.command import add_serve, run_serve

_COMMANDS = {"run": run_bundle, "serve": run_serve, "probe": run_probe, "listen": run_listen}


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, print; an error is one line on stderr and its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _COMMANDS[options.command](options)
    except DeviceError as error:
        hint = f" -> {error.hint}" if error.hint else ""
        sys.stderr.write(f"error: {error.message}{hint}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        return 130
    except BrokenPipeError:  # the reader of our output went away
        # Python flushes stdout once more as it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m edgeslm_device", description="Run a bundle on this device.")
    commands = parser.add_subparsers(dest="command", required=True)
    add_run(commands, _own_bundle())
    add_serve(commands, _own_bundle())
    add_probe(commands, _own_bundle())
    add_listen(commands, _own_bundle())
    return parser


def _own_bundle() -> Path:
    """The folder or zip file that holds this package."""
    return Path(__file__).parent.parent


if __name__ == "__main__":
    atexit.register(mute)
    sys.exit(main())
