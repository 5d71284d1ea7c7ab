"""A model's tensors on disk, read one at a time, so that memory does not limit a model.

What else there is to know of tensors on disk is given here too, so that workers need no other
module: `TensorInfo`, `TensorData`, `write_safetensors`, `write_safetensors_shards`, `write_pth`.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from model_prep.checkpoint.page_cache import forget
from model_prep.checkpoint.pth_file import write_pth
from model_prep.checkpoint.safetensors_file import (
    DEFAULT_SHARD_BYTES,
    INDEX,
    is_whole_safetensors,
    write_safetensors,
    write_safetensors_shards,
)
from model_prep.checkpoint.tensors import TensorData, TensorInfo, dtype_name, raw_bytes, tensor_data
from model_prep.errors import CheckpointError, ChecksumError

if TYPE_CHECKING:
    import torch

__all__ = [
    "DEFAULT_SHARD_BYTES",
    "Checkpoint",
    "TensorData",
    "TensorInfo",
    "is_whole_safetensors",
    "open_checkpoint",
    "tensor_data",
    "tensor_pieces",
    "unpickle_weights",
    "write_pth",
    "write_safetensors",
    "write_safetensors_shards",
]

_PIECE_BYTES = 16 * 2**20
# What a folder may hold, in the order looked for.
_NAMES = (
    INDEX,
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "adapter_model.safetensors",
    "adapter_model.bin",
)


class Checkpoint:
    """The tensors of one or more files, memory-mapped; read only.

    Attributes:
        files: Those with tensors, in order.
        tensors: What there is, in the order of the files and of the data in them.
    """

    def __init__(self, files: list[Path]) -> None:
        """Open ``files``; see `open_checkpoint`."""
        self.files = files
        self.tensors: dict[str, TensorInfo] = {}
        self._readers: dict[str, _Reader] = {}
        for file in files:
            reader = _open_file(file)
            for info in reader.infos():
                if info.name in self.tensors:
                    msg = f"{file} holds {info.name}, which another file of the model holds too"
                    raise CheckpointError(msg)
                self.tensors[info.name] = info
                self._readers[info.name] = reader

    def read(self, name: str) -> "torch.Tensor":
        """Return a tensor that maps the file: nothing is copied, and it must not be changed.

        Its pages count as resident memory once touched, until `release`.
        """
        return self._readers[name].read(name)

    def release(self, name: str) -> None:
        """Let go of the pages of a tensor; it stays valid, and is read anew when it is touched."""
        tensor = self.read(name)
        if tensor.is_contiguous():
            forget(raw_bytes(tensor))

    def pieces(self, name: str) -> Iterator[memoryview]:
        """Yield a tensor's bytes, row-major, some megabytes at a time.

        A piece's memory is let go of when the next is asked for.
        """
        yield from tensor_pieces(self.read(name))

    def data(self, name: str, *, new_name: str | None = None) -> TensorData:
        """Return a tensor as something to be written as it is, under the same or a new name."""
        info = self.tensors[name]
        return TensorData(new_name or name, info.dtype, info.shape, self.pieces(name))

    def close(self) -> None:
        """Unmap the files once no tensor that was read is in use."""
        self._readers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def tensor_pieces(tensor: "torch.Tensor") -> Iterator[memoryview]:
    """Yield the bytes of a tensor, or of a part of one, as `Checkpoint.pieces` does."""
    data = raw_bytes(tensor)
    for begin in range(0, len(data), _PIECE_BYTES):
        piece = data[begin : begin + _PIECE_BYTES]
        yield piece
        if tensor.is_contiguous():
            forget(piece)


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a model's or an adapter's weights; their data is not read yet.

    Args:
        path: A ``.safetensors``, ``.bin`` or ``.pth`` file, an index of shards
            (``….index.json``), or a folder that holds one of them under its usual name.

    Raises:
        CheckpointError: there are none, or a file is missing, damaged, cut short, or holds
            anything else than named tensors.
    """
    if not path.exists():
        msg = f"there is no {path}; check the path"
        raise CheckpointError(msg)
    file = _find(path) if path.is_dir() else path
    return Checkpoint(_shards(file) if file.name.endswith(".index.json") else [file])


def _find(folder: Path) -> Path:
    for name in _NAMES:
        if (folder / name).exists():
            return folder / name
    parts = sorted(folder.glob("*.pth"))
    if len(parts) == 1:
        return parts[0]
    if parts:
        msg = f"{folder} holds {len(parts)} .pth shards; join them with: model-prep convert"
        raise CheckpointError(msg)
    held = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
    msg = f"{folder} holds no weights ({_NAMES[1]}, {_NAMES[3]} or *.pth) but {held}"
    raise CheckpointError(msg)


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        files = [index.parent / name for name in names if Path(name).name == name]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{index} is damaged: it does not say which tensor lies in which file; get it again"
        raise CheckpointError(msg) from error
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files or len(files) < len(names):
        msg = f"{index} names files that are not beside it ({', '.join(missing)}); get them"
        raise CheckpointError(msg)
    return files


class _Reader(Protocol):
    """One open file."""

    def infos(self) -> list[TensorInfo]: ...
    def read(self, name: str) -> "torch.Tensor": ...


def _open_file(file: Path) -> _Reader:
    try:
        if file.suffix == ".safetensors":
            return _Safetensors(file)
        return _Pickled(file)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a damaged or hostile file makes the libraries raise
        what = (
            "damaged or cut short"
            if file.suffix == ".safetensors"
            else ("damaged, cut short, or holds more than named tensors")
        )
        msg = f"{file} is {what}, so it was not used; get it again"
        raise CheckpointError(msg) from error


class _Safetensors:
    def __init__(self, file: Path) -> None:
        from safetensors import safe_open

        self._file = safe_open(file, framework="pt")

    def infos(self) -> list[TensorInfo]:
        slices = {name: self._file.get_slice(name) for name in self._file.offset_keys()}
        return [
            TensorInfo(name, one.get_dtype(), tuple(one.get_shape()))
            for name, one in slices.items()
        ]

    def read(self, name: str) -> "torch.Tensor":
        tensor: torch.Tensor = self._file.get_tensor(name)
        return tensor


class _Pickled:
    """PyTorch's restricted unpickler makes tensors and runs no code."""

    def __init__(self, file: Path) -> None:
        import torch

        # Files of PyTorch before 1.6 are no zips and can't be mapped.
        state = torch.load(
            file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file)
        )
        self._tensors: dict[str, torch.Tensor] = {str(name): one for name, one in state.items()}
        self._infos = [
            TensorInfo(name, dtype_name(one.dtype), tuple(one.shape))
            for name, one in self._tensors.items()
        ]

    def infos(self) -> list[TensorInfo]:
        return self._infos

    def read(self, name: str) -> "torch.Tensor":
        return self._tensors[name]


def unpickle_weights(file: Path) -> Path:
    """Turn a ``pytorch_model.bin`` into ``model.safetensors`` beside it and delete it.

    Raises:
        ChecksumError: the file is damaged or holds anything else than named tensors.
    """
    try:
        checkpoint = Checkpoint([file])
    except CheckpointError as error:
        msg = f"{file} is damaged or holds more than tensors, so it was not used; delete it"
        raise ChecksumError(msg) from error
    target = file.with_name("model.safetensors")
    part = target.with_name("model.safetensors.part")
    with checkpoint:
        write_safetensors(part, [checkpoint.data(name) for name in checkpoint.tensors])
    part.replace(target)
    file.unlink()
    return target
