"""The model that LoRAs are merged into, in whichever format it lies."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from model_prep.checkpoint.reader import open_checkpoint
from model_prep.checkpoint.tensors import TensorInfo, torch_dtype
from model_prep.errors import CheckpointError
from model_prep.json_file import read_json
from model_prep.llama.architecture import ModelConfig, read_config, read_params, to_config
from model_prep.llama.meta_checkpoint import MetaCheckpoint

if TYPE_CHECKING:
    import torch

CONFIG = "config.json"


class BaseWeights(Protocol):
    """Weights under their Hugging Face names; a `Checkpoint` is some."""

    files: list[Path]
    tensors: dict[str, TensorInfo]

    def read(self, name: str) -> "torch.Tensor":
        """Return one tensor, which must not be changed."""
        ...

    def release(self, name: str) -> None:
        """Let go of the memory that reading it took."""
        ...

    def close(self) -> None:
        """Close the files."""
        ...


class MetaWeights:
    """Meta's ``consolidated.*.pth``, joined and turned, as if they lay in a Hugging Face folder."""

    def __init__(self, meta: MetaCheckpoint) -> None:
        self._meta = meta
        self.config = meta.config
        self.files = meta.files
        self.tensors = {
            one.name: TensorInfo(one.name, one.dtype, one.shape) for one in meta.tensors()
        }

    def read(self, name: str) -> "torch.Tensor":
        """Return one tensor, copied together from the shards."""
        import torch

        info = self.tensors[name]
        data = bytearray(info.size)
        done = 0
        for piece in next(one for one in self._meta.tensors() if one.name == name).pieces:
            part = memoryview(piece)
            data[done : done + part.nbytes] = part
            done += part.nbytes
        return torch.frombuffer(data, dtype=torch_dtype(info.dtype)).reshape(info.shape)

    def release(self, name: str) -> None:
        """Do nothing: what `read` returns is a copy."""

    def close(self) -> None:
        """Close the files."""
        self._meta.__exit__()


def open_base(folder: Path) -> tuple[BaseWeights, dict[str, Any]]:
    """Open a base model: a Hugging Face folder, or Meta's files with their ``params.json``.

    Returns:
        Its weights and its ``config.json``, made from ``params.json`` where Meta's files lie.

    Raises:
        CheckpointError: something is missing or damaged.
    """
    file = folder / CONFIG
    if not file.is_file() and any(folder.glob("consolidated.*.pth")):
        meta = MetaCheckpoint(folder, read_params(folder / "params.json"))
        dtype = str(torch_dtype(meta.dtype)).removeprefix("torch.")
        return MetaWeights(meta), to_config(meta.config, dtype)
    if not file.is_file():
        held = ", ".join(sorted(path.name for path in folder.glob("*"))[:5]) or "nothing"
        msg = f"{folder} has no {CONFIG} (it has {held}); name the folder of a base model"
        raise CheckpointError(msg)
    return open_checkpoint(folder), read_json(file)


def config_of(folder: Path, base: BaseWeights) -> ModelConfig:
    """Return the configuration of a base that is a LLaMA.

    Raises:
        CheckpointError: it is none, or one that Meta's format can't hold.
    """
    return base.config if isinstance(base, MetaWeights) else read_config(folder)
