"""`python -m edgeslm_device serve`: a bundle behind HTTP."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingPackageError, UsageError
from .flags import SERVE_OPTIONS

if TYPE_CHECKING:
    from .address import Address
    from .options import ServeOptions

PACKAGES = {"starlette": "starlette", "uvicorn": "uvicorn", "prometheus_client": "prometheus-client"}
SERVED = ("generation", "embedding")
"""Tasks that OpenAI's API has routes for."""


def add_serve(commands: Any, own_bundle: Path) -> None:
    """The subcommand's arguments."""
    serve = commands.add_parser(
        "serve",
        help="answer over HTTP, as OpenAI's API does",
        description="Keep the model loaded and answer over HTTP: /v1/chat/completions, /v1/completions, "
        "/v1/embeddings. EDGESLM_API_KEY in the environment is the key that clients must send.",
    )
    serve.add_argument("bundle", nargs="?", type=Path, default=own_bundle, help="default: the bundle this lies in")
    serve.add_argument("--threads", type=int, default=2, metavar="N", help="threads to compute with (default: 2)")
    for option in SERVE_OPTIONS:
        if option.kind is bool:
            serve.add_argument(option.flag, action="store_true", default=None, help=option.help)
        else:
            action = "append" if option.repeated else "store"
            serve.add_argument(option.flag, action=action, type=option.kind, metavar=option.metavar, help=option.help)


def run_serve(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit status."""
    from .options import ServeOptions

    return serve_bundle(options.bundle, ServeOptions.read(vars(options)), options.threads, _announce)


def serve_bundle(bundle: Path, options: ServeOptions, threads: int, announce: Callable[[Address], None]) -> int:
    """Open a bundle and serve it; `announce` is told where, once it answers. The exit status.

    Raises UsageError where its task has no route or the address cannot be had, MissingPackageError, BundleError.
    """
    _require_packages()
    from ..model import Model
    from .server import bind, run_server

    with bind(options.host, options.port) as listener, Model.open(bundle, threads=threads) as model:
        if model.task not in SERVED:
            raise UsageError(
                f"{model.name} does {model.task}, for which there is no route", "`listen` answers on a Unix socket"
            )
        return run_server(model, options, listener, announce)


def _announce(address: Address) -> None:
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()


def _require_packages() -> None:
    import importlib

    for module, package in PACKAGES.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise MissingPackageError(package, "a server", "requirements-serve.txt") from error
