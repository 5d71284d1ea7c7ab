"""The Q4_0 file of multilingual-e5-small, read with every length checked.

Layout, little-endian: magic ``E5S1``, u32 version; seven i32 (`Shape`); f32 layer-norm epsilon;
i32 block size. Tokenizer: i32 pieces, bos, eos, pad, unk; u64 length of a blob; u32 offsets into
it, one more than pieces; f32 unigram scores; the blob; i32 count and u32 bytes of a normalization
map. Directory: i32 count, and for each tensor u16 length of its name, the name, u8 dtype (0
float32, 1 Q4_0), u32 elements, u64 offset from the start of the file, u64 bytes.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_prep.catalog.q4_0 import BLOCK, BLOCK_BYTES, dequantize
from model_prep.errors import ChecksumError

_MAGIC = b"E5S1"
_FLOAT32, _Q4_0 = 0, 1
_BLOCKS_AT_ONCE = 2**17  # 16 MiB of float32


@dataclass(frozen=True)
class Shape:
    """Sizes of the encoder, as in the file's header."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    types: int


@dataclass(frozen=True)
class Vocabulary:
    """Pieces by id with their unigram scores, and the ids of the special ones."""

    pieces: list[str]
    scores: NDArray[np.float32]
    bos: int
    eos: int
    pad: int
    unk: int


@dataclass(frozen=True)
class _Tensor:
    dtype: int
    elements: int
    offset: int
    size: int


class E5File:
    """The file, opened: shape, vocabulary and tensors.

    Raises:
        ChecksumError: it is of another format, truncated or damaged.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._at = 0
        try:
            self._bytes: NDArray[np.uint8] = np.memmap(file, np.uint8, "r")
        except ValueError as error:  # an empty file can't be mapped
            raise self._damaged() from error
        if self._take(len(_MAGIC)).tobytes() != _MAGIC:
            msg = f"{file} is not a Q4_0 file of multilingual-e5-small; delete it and pull again"
            raise ChecksumError(msg)
        self._values("I")
        self.shape = Shape(*self._values("7i"))
        self.epsilon, block = self._values("fi")
        shape = self.shape
        if block != BLOCK or min(astuple(shape)) < 1 or shape.hidden % shape.heads:
            raise self._damaged()
        if not 0 < self.epsilon < 1:
            raise self._damaged()
        self.vocabulary = self._vocabulary()
        self._tensors = self._directory()

    def weights(self, name: str, shape: tuple[int, ...]) -> Iterator[bytes]:
        """Return the little-endian float32 bytes of a tensor, in pieces of some megabytes.

        Raises:
            ChecksumError: the file has no such tensor of that shape.
        """
        tensor = self._tensors.get(name)
        elements = math.prod(shape)
        if tensor is None or tensor.elements != elements:
            found = "none" if tensor is None else f"one of {tensor.elements} weights"
            msg = (
                f"{self._file} should hold a tensor {name} of {elements} weights, it holds {found}"
            )
            raise ChecksumError(msg)
        whole_blocks, rest = divmod(elements, BLOCK)
        expected = {_FLOAT32: elements * 4, _Q4_0: whole_blocks * BLOCK_BYTES}.get(tensor.dtype)
        if tensor.size != expected or (rest and tensor.dtype == _Q4_0):
            raise self._damaged()
        return self._pieces(tensor, self._slice(tensor.offset, tensor.size))

    def _pieces(self, tensor: _Tensor, data: NDArray[np.uint8]) -> Iterator[bytes]:
        step = _BLOCKS_AT_ONCE * BLOCK_BYTES  # a whole number of float32, too
        for begin in range(0, len(data), step):
            part = data[begin : begin + step]
            weights = part.copy().view("<f4") if tensor.dtype == _FLOAT32 else dequantize(part)
            if not np.isfinite(weights).all():
                raise self._damaged()
            yield weights.astype("<f4", copy=False).tobytes()

    def _vocabulary(self) -> Vocabulary:
        count, *special = self._values("5i")
        (blob_size,) = self._values("Q")
        if not 0 < count <= self.shape.vocabulary or not all(0 <= one < count for one in special):
            raise self._damaged()
        offsets = np.frombuffer(self._take(4 * (count + 1)).tobytes(), "<u4").tolist()
        scores = np.frombuffer(self._take(4 * count).tobytes(), "<f4")
        blob = self._take(blob_size).tobytes()
        _, map_size = self._values("iI")
        self._take(map_size)  # NFKC stands in for it
        try:
            pieces = [blob[begin:end].decode() for begin, end in pairwise(offsets)]
        except UnicodeDecodeError as error:
            raise self._damaged() from error
        if not np.isfinite(scores).all() or len(set(pieces)) != count:
            raise self._damaged()
        return Vocabulary(pieces, scores.astype(np.float32), *special)

    def _directory(self) -> dict[str, _Tensor]:
        (count,) = self._values("i")
        found = {}
        for _ in range(count):
            (length,) = self._values("H")
            name = self._take(length).tobytes().decode("ascii", "replace")
            found[name] = _Tensor(*self._values("BIQQ"))
        return found

    def _take(self, count: int) -> NDArray[np.uint8]:
        taken = self._slice(self._at, count)
        self._at += count
        return taken

    def _values(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{form}", self._take(struct.calcsize(f"<{form}")).tobytes())

    def _slice(self, begin: int, count: int) -> NDArray[np.uint8]:
        if begin + count > len(self._bytes):
            raise self._damaged()
        return self._bytes[begin : begin + count]

    def _damaged(self) -> ChecksumError:
        return ChecksumError(f"{self._file} is truncated or damaged; delete it and pull it again")
