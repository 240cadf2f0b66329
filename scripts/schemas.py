"""Write docs/schema: the JSON Schema of what `--json` prints and of a bundle's manifest. --check only compares."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pydantic import BaseModel

from edgeslm import answers
from edgeslm.bundle.manifest import Manifest
from edgeslm.deploy import DeployAnswer
from edgeslm.flash.run import Flashed
from edgeslm.probe.compare import CompareAnswer
from edgeslm.probe.report import ProbeAnswer, ProbeReport
from edgeslm.probe.target_profile import KernelFirmwareAnswer, ProfileTargetAnswer
from edgeslm.search.report import SearchReport
from edgeslm.sweep.run import SweepReport

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "schema"

PUBLISHED: dict[str, type[BaseModel]] = {
    "targets": answers.TargetsAnswer,
    "targets-show": answers.TargetAnswer,
    "plan": answers.PlanAnswer,
    "build": answers.BuildAnswer,
    "inspect": answers.InspectAnswer,
    "run": answers.RunAnswer,
    "serve": answers.ServeAnswer,
    "probe": ProbeReport,
    "probe-several": ProbeAnswer,
    "compare": CompareAnswer,
    "profile-target": ProfileTargetAnswer,
    "profile-target-firmware": KernelFirmwareAnswer,
    "search": SearchReport,
    "sweep": SweepReport,
    "doctor": answers.DoctorAnswer,
    "deploy": DeployAnswer,
    "flash": Flashed,
    "error": answers.ErrorAnswer,
    "manifest": Manifest,
}
"""File name -> what it describes."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if a file is stale")
    check = parser.parse_args().check
    wanted = {FOLDER / f"{name}.json": schema_text(model) for name, model in PUBLISHED.items()}
    there = {path: path.read_text() for path in FOLDER.glob("*.json")}
    stale = sorted(path for path in wanted.keys() | there.keys() if wanted.get(path) != there.get(path))
    for path in stale:
        print(f"{path.relative_to(FOLDER.parent.parent)} {'is stale' if check else 'written'}")
        if not check and path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path])
        elif not check:
            path.unlink()
    if check and stale:
        print("scripts/schemas.py writes them anew")
    return 1 if check and stale else 0


def schema_text(model: type[BaseModel]) -> str:
    """As a reader of the document meets it: what is always written is required."""
    schema = model.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main())
