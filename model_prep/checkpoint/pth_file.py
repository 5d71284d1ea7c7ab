"""A ``.pth`` or ``.bin`` file as ``torch.save`` writes it, tensor by tensor.

It is a zip without compression: ``STEM/data.pkl`` is the pickled dictionary, in which a tensor
names its storage, and ``STEM/data/N`` are the bytes of storage N, each at a multiple of 64 bytes so
that it can be memory-mapped (PyTorch's "Serialization semantics" and ``torch/serialization.py``).
"""

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from model_prep.checkpoint.tensors import TensorData, TensorInfo

if TYPE_CHECKING:
    from typing_extensions import Buffer

_STORAGES = {
    "BOOL": "BoolStorage",
    "U8": "ByteStorage",
    "I8": "CharStorage",
    "I16": "ShortStorage",
    "I32": "IntStorage",
    "I64": "LongStorage",
    "F16": "HalfStorage",
    "BF16": "BFloat16Storage",
    "F32": "FloatStorage",
    "F64": "DoubleStorage",
}
_ALIGNMENT = 64
_LOCAL_HEADER_BYTES = 30
_ZIP64_BYTES = 20
_PADDING_ID = b"FB"  # the extra field that PyTorch pads with
# Larger records need 64-bit sizes, whose place in the header must be reserved before writing.
ZIP64_FROM = 2**31 - 1


@contextmanager
def pth_writer(
    target: Path, infos: Sequence[TensorInfo]
) -> "Iterator[Callable[[Iterable[Buffer]], None]]":
    """Write a state dict that ``torch.load(weights_only=True, mmap=True)`` reads.

    Args:
        target: Is written over.
        infos: All tensors, in the order in which they will be written.

    Returns:
        A function that writes the next tensor, whose bytes are row-major and little-endian. It
        raises ValueError where they are not as many as its shape says.

    Example:
        >>> import tempfile, torch
        >>> target = Path(tempfile.mkdtemp(), "a.pth")
        >>> with pth_writer(target, [TensorInfo("x", "F32", (2,))]) as write:
        ...     write([bytes(4), bytes(4)])
        >>> torch.load(target)["x"]
        tensor([0., 0.])
    """
    numbered = iter(enumerate(infos))
    with target.open("wb") as file, zipfile.ZipFile(file, "w") as archive:

        def record(name: str, size: int, pieces: "Iterable[Buffer]") -> int:
            return _write_record(archive, file, f"{target.stem}/{name}", size, pieces)

        def write(pieces: "Iterable[Buffer]") -> None:
            number, info = next(numbered)
            if record(f"data/{number}", info.size, pieces) != info.size:
                msg = f"tensor {info.name} has not the bytes that its shape {info.shape} needs"
                raise ValueError(msg)

        pickled = _pickled(infos)
        record("data.pkl", len(pickled), [pickled])
        record("byteorder", 6, [b"little"])
        yield write
        record("version", 2, [b"3\n"])


def write_pth(target: Path, tensors: list[TensorData]) -> None:
    """Write a state dict; only one piece of one tensor is in memory at a time.

    Raises:
        ValueError: the pieces of a tensor are not as many bytes as its shape says.
    """
    with pth_writer(target, tensors) as write:
        for tensor in tensors:
            write(tensor.pieces)


def _write_record(
    archive: zipfile.ZipFile, file: BinaryIO, name: str, size: int, pieces: "Iterable[Buffer]"
) -> int:
    """Write one file of the zip, its data aligned, and return how many bytes the pieces had."""
    record = zipfile.ZipInfo(name)
    large = size > ZIP64_FROM
    header = _LOCAL_HEADER_BYTES + len(name.encode()) + (_ZIP64_BYTES if large else 0)
    padding = -(file.tell() + header + 4) % _ALIGNMENT
    record.extra = _PADDING_ID + padding.to_bytes(2, "little") + bytes(padding)
    with archive.open(record, "w", force_zip64=large) as data:
        return sum(data.write(piece) for piece in pieces)


@dataclass(frozen=True)
class _Storage:
    """The bytes of one tensor, which the pickle only names."""

    kind: type
    key: str
    elements: int


@dataclass(frozen=True)
class _Rebuilt:
    """Pickles as a contiguous tensor does."""

    storage: _Storage
    shape: tuple[int, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        from torch._utils import _rebuild_tensor_v2

        strides = tuple(_strides(self.shape))
        return _rebuild_tensor_v2, (self.storage, 0, self.shape, strides, False, OrderedDict())


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> tuple[Any, ...] | None:
        if isinstance(obj, _Storage):
            return "storage", obj.kind, obj.key, "cpu", obj.elements
        return None


def _pickled(tensors: Sequence[TensorInfo]) -> bytes:
    entries: OrderedDict[str, _Rebuilt] = OrderedDict()
    for number, tensor in enumerate(tensors):
        storage = _Storage(_storage_class(tensor.dtype), str(number), math.prod(tensor.shape))
        entries[tensor.name] = _Rebuilt(storage, tensor.shape)
    stream = io.BytesIO()
    _Pickler(stream, protocol=2).dump(entries)
    return stream.getvalue()


def _strides(shape: tuple[int, ...]) -> list[int]:
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * max(shape[axis + 1], 1)
    return strides


def _storage_class(dtype: str) -> type:
    """Return PyTorch's class of old by whose name a pickle gives the type of a storage."""
    import torch

    storage: type = getattr(torch, _STORAGES[dtype])
    return storage
