"""What a tensor on disk is: its name, type and shape, and its bytes in pieces."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from model_prep.progress import Counter, Progress

if TYPE_CHECKING:
    import torch
    from typing_extensions import Buffer

# safetensors' spelling → PyTorch's, and bytes of an element.
_DTYPES = {
    "BOOL": ("bool", 1),
    "U8": ("uint8", 1),
    "I8": ("int8", 1),
    "I16": ("int16", 2),
    "I32": ("int32", 4),
    "I64": ("int64", 8),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "F32": ("float32", 4),
    "F64": ("float64", 8),
}
_TORCH_NAMES = {torch_name: name for name, (torch_name, _) in _DTYPES.items()}


@dataclass(frozen=True)
class TensorInfo:
    """One tensor in a file."""

    name: str
    dtype: str
    """As safetensors has it: ``F32``, ``BF16``, ``I64``, …"""
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            msg = f"tensors of type {self.dtype} can't be read or written"
            raise ValueError(msg)

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * _DTYPES[self.dtype][1]


@dataclass(frozen=True)
class TensorData(TensorInfo):
    """One tensor to be written: its name, its type and its bytes in pieces."""

    pieces: "Iterable[Buffer]"
    """Row-major and little-endian; consumed only when the tensor's turn comes."""


def dtype_name(dtype: "torch.dtype") -> str:
    """Return PyTorch's type in safetensors' spelling.

    Raises:
        KeyError: safetensors has no such type.
    """
    return _TORCH_NAMES[str(dtype).removeprefix("torch.")]


def torch_dtype(name: str) -> "torch.dtype":
    """Return PyTorch's type for safetensors' spelling of it.

    Raises:
        KeyError: there is no such type.
    """
    import torch

    dtype: torch.dtype = getattr(torch, _DTYPES[name][0])
    return dtype


def raw_bytes(tensor: "torch.Tensor") -> memoryview:
    """Return the bytes of ``tensor``, row-major; they are copied only if it is not contiguous."""
    import torch

    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data if flat.numel() else memoryview(b"")


def tensor_data(name: str, tensor: "torch.Tensor") -> TensorData:
    """Return ``tensor`` as something to be written; its bytes are taken when its turn comes."""

    def pieces() -> Iterator[memoryview]:
        yield raw_bytes(tensor)

    return TensorData(name, dtype_name(tensor.dtype), tuple(tensor.shape), pieces())


def reporting(tensors: list[TensorData], label: str, progress: Progress | None) -> list[TensorData]:
    """Return ``tensors`` so that ``progress`` is told as their bytes are taken, in any thread."""
    counter = Counter(label, sum(tensor.size for tensor in tensors), progress)

    def counted(tensor: TensorData) -> "Iterator[Buffer]":
        for piece in tensor.pieces:
            yield piece
            counter.add(memoryview(piece).nbytes)

    return [replace(tensor, pieces=counted(tensor)) for tensor in tensors]
