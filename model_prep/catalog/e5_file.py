"""Reading of the Q4_0 file of multilingual-e5-small, with every length checked.

Layout, little-endian: magic ``E5S1``, u32 version; seven i32 (`E5Config`); f32 layer-norm epsilon;
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

from model_prep.errors import ChecksumError

_MAGIC = b"E5S1"
_FLOAT32, _Q4_0 = 0, 1
_BLOCK, _BLOCK_BYTES = 32, 18  # weights and bytes of a block of ggml's Q4_0
_BLOCKS_AT_ONCE = 2**17  # 16 MiB of float32


@dataclass(frozen=True)
class E5Config:
    """Sizes of the encoder, in the order of the file's header; names as in a ``config.json``."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int


@dataclass(frozen=True)
class UnigramVocabulary:
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
    """The opened file: configuration, vocabulary and tensors.

    Raises:
        ChecksumError: it has another format, or is truncated or damaged.
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
        config = self.config = E5Config(*self._values("7i"))
        self.layer_norm_eps, block = self._values("fi")
        plausible = min(astuple(config)) > 0 and 0 < self.layer_norm_eps < 1
        if block != _BLOCK or not plausible or config.hidden_size % config.num_attention_heads:
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
            raise ChecksumError(
                f"{self._file} should hold a tensor {name} of {elements} weights, it holds {found}"
            )
        blocks, rest = divmod(elements, _BLOCK)
        expected = {_FLOAT32: elements * 4, _Q4_0: blocks * _BLOCK_BYTES}.get(tensor.dtype)
        if tensor.size != expected or (rest and tensor.dtype == _Q4_0):
            raise self._damaged()
        return self._pieces(tensor, self._slice(tensor.offset, tensor.size))

    def _pieces(self, tensor: _Tensor, data: NDArray[np.uint8]) -> Iterator[bytes]:
        from gguf.quants import GGMLQuantizationType, dequantize

        step = _BLOCKS_AT_ONCE * _BLOCK_BYTES  # a whole number of float32, too
        for begin in range(0, len(data), step):
            part = data[begin : begin + step].copy()
            if tensor.dtype == _FLOAT32:
                weights = part.view("<f4")
            else:
                with np.errstate(invalid="ignore"):  # 0 times an infinite scale is caught below
                    weights = dequantize(part, GGMLQuantizationType.Q4_0)
            if not np.isfinite(weights).all():
                raise self._damaged()
            yield weights.astype("<f4", copy=False).tobytes()

    def _vocabulary(self) -> UnigramVocabulary:
        count, *special = self._values("5i")
        (blob_size,) = self._values("Q")
        if not 0 < count <= self.config.vocab_size or not all(0 <= id_ < count for id_ in special):
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
        return UnigramVocabulary(pieces, scores.astype(np.float32), *special)

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
