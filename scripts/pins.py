"""Write edgeslm/bundle/requirements-PART-ARCH.txt: what a device installs, each wheel by its SHA-256.

A part is a runtime, what a chat template needs beside it, or an optional feature; all, unless some are named.

Downloads the wheels for every Python a device may have and hashes the files themselves. Each Python's own pip
resolves them, because pip evaluates environment markers for the interpreter it runs on. Run it by hand when a
runtime's version moves; tests hold the files to what pyproject.toml pins.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from edgeslm.bundle.requirements import PINNED, PYTHONS, pip_platform_flags, requirements_file
from edgeslm.digest import file_digest

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "scripts" / "constraints.txt"
WHEEL = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)-.*\.whl")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, help="keep the downloaded wheels here")
    parser.add_argument("parts", nargs="*", choices=[[], *PINNED], help="default: all")
    chosen = parser.parse_args()
    work = chosen.work or Path(tempfile.mkdtemp(prefix="pins-"))
    for runtime in chosen.parts or PINNED:
        for arch in ("aarch64", "x86_64"):
            pinned: dict[tuple[str, str], set[str]] = {}
            pythons: dict[tuple[str, str], set[str]] = {}
            for python in PYTHONS:
                for wheel in download(runtime, arch, python, work / f"{runtime}-{arch}-{python}"):
                    found = WHEEL.fullmatch(wheel.name)
                    assert found, wheel.name
                    key = (found["name"].replace("_", "-").lower(), found["version"])
                    pinned.setdefault(key, set()).add(file_digest(wheel))
                    pythons.setdefault(key, set()).add(python)
            target = requirements_file(runtime, arch)
            target.write_text(text(runtime, arch, pinned, pythons))
            print(f"{target.relative_to(ROOT)}: {len(pinned)} packages")
    return 0


def download(runtime: str, arch: str, python: str, folder: Path) -> list[Path]:
    """The wheels that `pip install` of the runtime would take on such a device."""
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.glob("*.whl")):
        command = [f"python{python}", "-m", "pip", "download", "-q", "--disable-pip-version-check", "-d", str(folder)]
        command += ["-c", str(CONSTRAINTS), *pip_platform_flags(arch, python), *PINNED[runtime]]
        subprocess.run(command, check=True, stdout=sys.stderr)
    return sorted(folder.glob("*.whl"))


def text(
    runtime: str, arch: str, pinned: dict[tuple[str, str], set[str]], pythons: dict[tuple[str, str], set[str]]
) -> str:
    lines = [f"# {runtime} on {arch}, Python {', '.join(PYTHONS)}: every package with the SHA-256 of its wheels."]
    for (name, version), digests in sorted(pinned.items()):
        wanted = pythons[name, version]
        marker = (
            "" if wanted == set(PYTHONS) else " ; " + " or ".join(f'python_version == "{p}"' for p in sorted(wanted))
        )
        hashes = "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted(digests))
        lines.append(f"{name}=={version}{marker}{hashes}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
