"""The command line. Only this package prints, exits or reads arguments; main() is the one place that catches."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

import click

from edgeslm import __version__
from edgeslm.cli import (
    build,
    compare,
    deploy,
    doctor,
    flash,
    inspect,
    monitor,
    plan,
    probe,
    profile_target,
    run,
    search,
    serve,
    sweep,
    targets,
)
from edgeslm.errors import EdgeslmError

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edgeslm")
def edgeslm() -> None:
    """From a PyTorch checkpoint to a verified bundle on a small device.

    \b
    edgeslm build --target rpi4                     the built-in demo model
    edgeslm build --target rpi4 --model ./my-bert   your own checkpoint
    edgeslm run MODEL.edgeslm --text "Hello"        run a bundle here
    edgeslm run MODEL.edgeslm --prompt "Hello"      let a language model go on
    edgeslm probe MODEL.edgeslm --via ssh://pi@pi4  measure it on the device

    Shell completion: eval "$(_EDGESLM_COMPLETE=bash_source edgeslm)"   (or zsh_source, fish_source)
    """


for command in (
    targets.targets,
    plan.plan,
    build.build,
    search.search,
    sweep.sweep,
    inspect.inspect,
    run.run,
    serve.serve,
    probe.probe,
    monitor.monitor,
    compare.compare,
    profile_target.profile_target,
    deploy.deploy,
    flash.flash,
    doctor.doctor,
):
    edgeslm.add_command(command)


def main() -> None:
    """Entry point: run the command, turn an EdgeslmError into its message and exit code."""
    try:
        _run()
    finally:
        if "ai_edge_litert" in sys.modules:  # its farewell is none of the user's business
            from edgeslm.device.native_log import mute

            mute()


def _run() -> None:
    interrupted = _watch_interrupts()
    try:
        edgeslm.main(prog_name="edgeslm", standalone_mode=False)
    except EdgeslmError as error:
        if interrupted:
            _interrupted()
        _report(error.kind, error.message, error.hint, error.exit_code)
        sys.exit(error.exit_code)
    except click.exceptions.Abort as aborted:  # click's own word for Ctrl-C; a command may have said what it leaves
        pressed = aborted.__cause__
        _interrupted(*(pressed.args if isinstance(pressed, KeyboardInterrupt) else ()))
    except KeyboardInterrupt as stopped:
        _interrupted(*stopped.args)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.ClickException as error:
        error.show()
        if _wants_json():
            _print_json_error("UsageError", error.format_message(), None, error.exit_code)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away (`edgeslm targets | head`): nothing to say, nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if interrupted:  # a library in C++ made something else of Ctrl-C
            _interrupted()
        if os.environ.get("EDGESLM_TRACEBACK"):
            raise
        message = f"a bug in edgeslm: {type(error).__name__}: {error}"
        _report("InternalError", message, "EDGESLM_TRACEBACK=1 shows where; please report it", 70)
        sys.exit(70)


def _watch_interrupts() -> list[int]:
    """A list that holds something once Ctrl-C was pressed."""
    pressed: list[int] = []

    def on_interrupt(number: int, _frame: object) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, on_interrupt)
    return pressed


def _interrupted(hint: str = "finished stages are kept: the same command goes on from there") -> NoReturn:
    _report("Interrupted", "interrupted", hint, INTERRUPTED)
    sys.exit(INTERRUPTED)


def _report(kind: str, message: str, hint: str | None, exit_code: int) -> None:
    click.echo(f"{click.style('error:', fg='red', bold=True)} {message}", err=True)
    if hint:
        first, *rest = hint.splitlines()
        click.echo(f"{click.style('hint: ', bold=True)} {first}", err=True)
        for line in rest:
            click.echo(f"       {line}", err=True)
    if _wants_json():
        _print_json_error(kind, message, hint, exit_code)


def _wants_json() -> bool:
    return "--json" in sys.argv[1:]


def _print_json_error(kind: str, message: str, hint: str | None, exit_code: int) -> None:
    import json

    error = {"kind": kind, "message": message, "hint": hint, "exit_code": exit_code}
    click.echo(json.dumps({"error": error}, ensure_ascii=False))
