"""Write the targets table into a file, between its markers `<!-- targets -->` and `<!-- /targets -->`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgeslm.firmware.qemu import NOT_RUN_HERE, is_emulated
from edgeslm.target import list_targets

START, END = "<!-- targets -->", "<!-- /targets -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if the table is stale")
    arguments = parser.parse_args()
    text = arguments.file.read_text(encoding="utf-8")
    if text.count(START) != 1 or text.count(END) != 1 or text.index(START) > text.index(END):
        print(f"{arguments.file} must have the lines {START} and {END} once each, in this order", file=sys.stderr)
        return 1
    before, _, rest = text.partition(START)
    after = rest.partition(END)[2]
    wanted = f"{before}{START}\n{targets_table()}{END}{after}"
    if wanted == text:
        return 0
    if arguments.check:
        print(
            f"{arguments.file}: the targets table is stale: scripts/readme_tables.py {arguments.file}", file=sys.stderr
        )
        return 1
    arguments.file.write_text(wanted, encoding="utf-8")
    return 0


def targets_table() -> str:
    rows = [
        "| `--target` | device | CPU | ISA features that count | RAM | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for target in list_targets():
        cpu = target.cpu
        cores = f"{cpu.cores} × {cpu.core}, {cpu.clock_mhz / 1000:g} GHz"
        if target.is_firmware:
            cores = f"{cpu.core}, {cpu.clock_mhz} MHz"
        unseen = target.is_android or (target.is_firmware and not is_emulated(target))
        seen = NOT_RUN_HERE if unseen else ""
        cells = (f"`{target.name}`", target.title, cores, ", ".join(sorted(cpu.isa)), target.memory.ram_text, seen)
        rows.append("".join(f"| {cell} " if cell else "| " for cell in cells) + "|")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.exit(main())
