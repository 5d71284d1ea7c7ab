"""Which files of a folder are a model's, and how to open them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model_prep.errors import CheckpointError

_PATTERNS = (
    "*.safetensors",
    "pytorch_model*.bin",
    "adapter_model.bin",
    "*.pth",
    "*.gguf",
    "*.model",
)
_CHECKPOINTS = (".safetensors", ".bin", ".pth")
Layout = Literal["meta", "files"]


@dataclass(frozen=True)
class Weights:
    """What of a model holds tensors."""

    path: Path
    """What `open_checkpoint` or `MetaCheckpoint` takes."""
    layout: Layout


def files_of(path: Path) -> list[Path]:
    """Return the files to be hashed: weights and SentencePiece models.

    Raises:
        CheckpointError: there are none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        msg = f"there is no {path}; check the path"
        raise CheckpointError(msg)
    found = {file for pattern in _PATTERNS for file in path.glob(pattern) if file.is_file()}
    if not found and not any(path.glob("*.index.json")):
        msg = f"{path} holds no weights and no tokenizer; check the path"
        raise CheckpointError(msg)
    return sorted(found)


def weights_of(path: Path, files: list[Path]) -> Weights | None:
    """Return what of ``path`` holds tensors; None: nothing that can be read as such."""
    if path.is_file():
        return Weights(path, "files") if path.suffix in _CHECKPOINTS else None
    if (path / "params.json").is_file() or len([f for f in files if f.suffix == ".pth"]) > 1:
        return Weights(path, "meta")
    indexes = any(path.glob("*.index.json"))
    return Weights(path, "files") if indexes or _has_weights(files) else None


def _has_weights(files: list[Path]) -> bool:
    return any(file.suffix in _CHECKPOINTS for file in files)
