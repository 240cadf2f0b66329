"""Write firmware_templates/CMakePresets.json from the targets' facts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgeslm.backends.cortexm.packing import Layout
from edgeslm.backends.cortexm.variant import Variant
from edgeslm.firmware.presets import FILE, presets_text
from edgeslm.target import list_targets

SAMPLE = Variant(Layout.ROWS)
"""What the checked-in sample of a model is packed for: portable kernels, floats. A bundle has presets of its own."""
PATH = Path(__file__).parents[1] / "firmware_templates" / FILE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if the file is stale")
    arguments = parser.parse_args()
    boards = [target for target in list_targets() if target.is_firmware and "fpu" in target.cpu.isa]
    wanted = presets_text(boards, SAMPLE)
    if PATH.is_file() and PATH.read_text() == wanted:
        return 0
    if arguments.check:
        print(f"{PATH}: stale: scripts/presets.py writes it", file=sys.stderr)
        return 1
    PATH.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
