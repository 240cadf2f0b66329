"""The options of `serve`, for whichever parser: each is a field of ServeOptions."""

from __future__ import annotations

from typing import NamedTuple


def flag_of(name: str) -> str:
    """A field's flag on the command line."""
    return "--" + name.replace("_", "-")


class ServeOption(NamedTuple):
    """`kind` is the type of its value; bool is a flag without one."""

    name: str
    kind: type
    metavar: str
    help: str
    repeated: bool = False

    @property
    def flag(self) -> str:
        return flag_of(self.name)


SERVE_OPTIONS = (
    ServeOption("host", str, "H", "address to listen at (default: 127.0.0.1, this machine alone)"),
    ServeOption("port", int, "N", "port to listen at; 0 takes a free one (default: 8080)"),
    ServeOption("name", str, "M", "what clients call the model (default: its own name)"),
    ServeOption("queue", int, "N", "requests that may wait; further ones are told to come back (default: 32)"),
    ServeOption("max_body", int, "BYTES", "the largest request (default: 1048576)"),
    ServeOption("max_prompt", int, "N", "the longest prompt or text, in tokens (default: what the model takes)"),
    ServeOption("max_tokens", int, "N", "the longest answer, in tokens (default: what the context holds)"),
    ServeOption("grace", float, "S", "seconds that the answer under way has when it is stopped (default: 30)"),
    ServeOption("cors_origin", str, "O", "let web pages of this origin ask; may be given more than once", True),
    ServeOption("reuse_cache", bool, "", "do not compute again what a prompt begins with as the last one did"),
    ServeOption("allow_anyone", bool, "", "serve other machines without an API key"),
    ServeOption("access_log", bool, "", "a line on stderr for each request"),
)
