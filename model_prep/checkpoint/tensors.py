"""Tensors on disk: name, dtype and shape, bytes in pieces, and the memory that maps them."""

import ctypes
import math
import mmap
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from model_prep.errors import CheckpointError
from model_prep.progress import Progress, ProgressCounter

if TYPE_CHECKING:
    import torch
    from typing_extensions import Buffer

Dtype = Literal["auto", "float32", "float16", "bfloat16"]
"""The dtype of a model's weights, as users choose it."""

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
    """One tensor in a file.

    Example:
        >>> TensorInfo("lm_head.weight", "BF16", (32000, 4096)).size
        262144000
    """

    name: str
    dtype: str
    """As safetensors has it: ``F32``, ``BF16``, ``I64``, …"""
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            raise ValueError(f"tensors of type {self.dtype} can't be read or written")

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * _DTYPES[self.dtype][1]

    @property
    def is_floating(self) -> bool:
        """Whether its numbers are those of weights; whole ones are positions, or quantized."""
        return "F" in self.dtype


@dataclass(frozen=True)
class TensorData(TensorInfo):
    """One tensor to be written, its bytes in pieces.

    Example:
        >>> TensorData("bias", "F32", (2,), [bytes(4), bytes(4)]).size
        8
    """

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


def reporting(tensors: list[TensorData], label: str, progress: Progress | None) -> list[TensorData]:
    """Return ``tensors`` so that ``progress`` is called as their bytes are taken, in any thread."""
    counter = ProgressCounter(label, sum(tensor.size for tensor in tensors), progress)

    def counted(tensor: TensorData) -> "Iterator[Buffer]":
        for piece in tensor.pieces:
            yield piece
            counter.add(memoryview(piece).nbytes)

    return [replace(tensor, pieces=counted(tensor)) for tensor in tensors]


def is_finite(tensor: "torch.Tensor") -> bool:
    """Return whether a tensor has no NaN and no infinity."""
    import torch

    if not tensor.numel() or not tensor.is_floating_point():
        return True
    # Least and greatest are NaN where any number is, and six times as fast as isfinite.
    return all(bool(torch.isfinite(extreme)) for extreme in torch.aminmax(tensor))


def require_finite(tensors: list[TensorData], folder: Path) -> list[TensorData]:
    """Return ``tensors``, of ``folder``, so that what is no number is refused when it is taken.

    Their pieces then raise a `CheckpointError`.
    """
    import torch

    def checked(tensor: TensorData) -> "Iterator[Buffer]":
        for piece in tensor.pieces:
            if not is_finite(torch.frombuffer(piece, dtype=torch_dtype(tensor.dtype))):
                msg = f"{tensor.name} of {folder} holds NaN or infinity; make or get it again"
                raise CheckpointError(msg)
            yield piece

    return [replace(tensor, pieces=checked(tensor)) for tensor in tensors]


def forget(data: memoryview) -> None:
    """Release the memory of ``data`` where it maps a file; touched again, it is read again.

    Pages of a mapped file count as resident until then. Whatever else ``data`` may be, and on
    systems other than Linux, nothing is done. Only the libraries that made the mapping have it as
    an object, so the system is asked by address.
    """
    if not data.nbytes or not sys.platform.startswith("linux"):
        return
    begin = ctypes.addressof(ctypes.c_char.from_buffer(data))
    inside = _within_a_mapped_file(begin, begin + data.nbytes)
    first = -(-inside.start // mmap.PAGESIZE) * mmap.PAGESIZE
    length = inside.stop // mmap.PAGESIZE * mmap.PAGESIZE - first
    if length > 0:
        libc = ctypes.CDLL(None)
        libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), mmap.MADV_DONTNEED)


def _within_a_mapped_file(begin: int, end: int) -> range:
    """Return the part of these addresses in one mapping of a file; heap memory would be zeroed.

    Format of the list: proc_pid_maps(5): ``begin-end permissions offset device inode path``.
    """
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    for line in maps.splitlines():
        addresses, _, _, _, inode, *_ = line.split()
        low, high = (int(address, 16) for address in addresses.split("-"))
        if low <= begin < high:
            return range(begin, min(end, high)) if inode != "0" else range(0)
    return range(0)
