"""`edgeslm doctor`: what is here, what is missing, and installing it."""

from __future__ import annotations

import click

from edgeslm.cli.console import announce_stage, print_json, print_table


@click.command()
@click.option("--install", "name", metavar="NAME", help="Install one of the names listed, for example onnx2tf.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def doctor(name: str | None, as_json: bool) -> None:
    """Show which tools, runtimes and extras are here; install a missing one."""
    import edgeslm.doctor
    from edgeslm.answers import DoctorAnswer, Found
    from edgeslm.cache import cache_folder

    if name is not None:
        with announce_stage(f"install {name}", False):
            edgeslm.doctor.install(name, cache_folder() / "logs")
    findings = edgeslm.doctor.examine()
    if as_json:
        found = [Found(**{key: getattr(item, key) for key in Found.model_fields}) for item in findings]
        print_json(DoctorAnswer(ok=all(item.problem is None or item.optional for item in findings), found=found))
        return
    print_table(
        ["", "name", "for", "found"],
        [
            [
                _mark(item.problem is None, item.optional),
                item.name,
                item.purpose,
                item.version or "" if item.problem is None else _what_next(item.problem, item.install),
            ]
            for item in findings
        ],
    )


def _what_next(problem: str, install: str | None) -> str:
    return problem if install is None or install in problem else f"{problem}   -> {install}"


def _mark(here: bool, optional: bool) -> str:
    if here:
        return "ok"
    return "-" if optional else "MISSING"
