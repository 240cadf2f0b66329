"""The headers of safetensors files: names, shapes, types. Other weight formats are refused, with the way out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeslm.errors import CheckpointError
from edgeslm.export.json_file import read_object

FLOATING = {"F64", "F32", "F16", "BF16"}


@dataclass(frozen=True)
class TensorHeader:
    name: str
    shape: tuple[int, ...]
    dtype: str  # safetensors' name: F32, BF16, I64, …
    file: str

    @property
    def floating(self) -> bool:
        return self.dtype in FLOATING


def weight_files(folder: Path) -> list[str]:
    """Names of the safetensors files of a checkpoint, with their index where it is sharded."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        return ["model.safetensors"]
    if index.is_file():
        shards = read_object(index).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise CheckpointError(f"{index} has no weight_map")
        names = sorted({str(shard) for shard in shards.values()})
        for name in names:
            if Path(name).name != name or not (folder / name).is_file():
                raise CheckpointError(f"{index} names {name!r}, which is not in its folder", "download all shards")
        return [*names, index.name]
    pickles = [p.name for p in folder.iterdir() if p.suffix in {".bin", ".pt", ".pth", ".ckpt"}]
    if pickles:
        raise CheckpointError(
            f"{folder} has its weights only as a pickle ({pickles[0]}), which can run code when it is loaded: refused",
            "if you trust it, convert it: AutoModel.from_pretrained(DIR).save_pretrained(DIR, safe_serialization=True)",
        )
    raise CheckpointError(
        f"{folder} has no model.safetensors", "save the model with save_pretrained(DIR, safe_serialization=True)"
    )


def read_headers(folder: Path, files: list[str]) -> list[TensorHeader]:
    """All tensors of these files, in order of file and name. Raises CheckpointError for damaged or lying files."""
    from safetensors import SafetensorError, safe_open

    headers: list[TensorHeader] = []
    seen: dict[str, str] = {}
    for file in files:
        if not file.endswith(".safetensors"):
            continue
        try:
            with safe_open(folder / file, framework="numpy") as opened:
                for name in sorted(opened.keys()):
                    found = opened.get_slice(name)
                    headers.append(TensorHeader(name, tuple(found.get_shape()), str(found.get_dtype()), file))
                    if name in seen:
                        raise CheckpointError(f"tensor {name} is in {seen[name]} and in {file}")
                    seen[name] = file
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{folder / file} is damaged: {error}",
                "it is truncated, or its header does not describe its contents; download it again",
            ) from None
    return headers
