"""Manifests: the sizes that distinguish a complete model from a part of one."""

import json
from pathlib import Path

from model_prep.catalog.entry import ModelEntry
from model_prep.json_file import replace_json

_VERSION = 1
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model", "tokenizer.model")


def manifest_of(place: Path) -> Path:
    """Return where the manifest of the model in the folder ``place`` lies: beside it."""
    return place.with_name(f".{place.name}.json")


def write_manifest(model: Path, place: Path, origin: str) -> None:
    """Write the sizes of all files of ``model``, which is about to be renamed to ``place``."""
    content = {"version": _VERSION, "origin": origin, "files": _sizes(model)}
    replace_json(manifest_of(place), content)


def is_complete(entry: ModelEntry, place: Path) -> bool:
    """Return whether the folder ``place`` holds all of the model.

    A folder that was pulled has a manifest. One that was copied there by hand counts too: a single
    file of the right size, or configuration, tokenizer, and weights as long as they say they are.
    """
    if entry.file:
        file = place / entry.file
        return file.is_file() and file.stat().st_size == entry.size
    if not (place / "config.json").is_file():
        return False
    if _sizes_agree(place):
        return True
    from model_prep.checkpoint.safetensors_file import is_complete_safetensors

    return (
        any((place / name).is_file() for name in _TOKENIZERS)
        and (weights := list(place.glob("*.safetensors"))) != []
        and all(is_complete_safetensors(file) for file in weights)
    )


def _sizes(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _sizes_agree(place: Path) -> bool:
    try:
        manifest = json.loads(manifest_of(place).read_text(encoding="utf-8"))
        files = manifest["files"] if manifest["version"] == _VERSION else {}
        sizes = ((place / name).stat().st_size == size for name, size in files.items())
        return bool(files) and all(sizes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # missing or damaged: the model is looked at instead
