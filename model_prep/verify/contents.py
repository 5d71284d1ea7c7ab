"""What the tensors of a model hold: their hashes, and whether every number is one."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_prep.checkpoint.checksums import content_digest, pieces_digest
from model_prep.checkpoint.tensors import TensorData, reporting, torch_dtype
from model_prep.progress import Progress

if TYPE_CHECKING:
    from typing_extensions import Buffer

_FLOATING = ("F16", "BF16", "F32", "F64")


@dataclass(frozen=True)
class Contents:
    """What was found in one pass over all tensors."""

    digests: dict[str, str]
    """Content hash of each tensor by name, as `checksums.pieces_digest` has it."""
    not_finite: list[str]
    """Tensors that hold NaN or infinity."""

    @property
    def digest(self) -> str:
        """Content hash of the whole."""
        return content_digest(self.digests)


def read_contents(
    tensors: list[TensorData], progress: Progress | None = None, *, threads: int | None = None
) -> Contents:
    """Read all tensors once, several at a time, in pieces of some megabytes.

    Args:
        tensors: Their pieces are consumed, in one thread each.
        progress: Told the bytes read.
        threads: By default one for each core.
    """
    not_finite: set[str] = set()
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        found = {
            tensor.name: pool.submit(_digest, tensor, not_finite)
            for tensor in reporting(tensors, "reading tensors", progress)
        }
        try:
            digests = {name: one.result() for name, one in found.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return Contents(digests, [name for name in digests if name in not_finite])


def _digest(tensor: TensorData, not_finite: set[str]) -> str:
    checked = _checked(tensor, not_finite)
    return pieces_digest(tensor.name, tensor.dtype, tensor.shape, checked)


def _checked(tensor: TensorData, not_finite: set[str]) -> "Iterator[Buffer]":
    import torch

    dtype = torch_dtype(tensor.dtype)
    for piece in tensor.pieces:
        if tensor.dtype in _FLOATING and tensor.name not in not_finite:
            # Least and greatest are NaN where any number is, and six times as fast as isfinite.
            extremes = torch.aminmax(torch.frombuffer(piece, dtype=dtype))
            if not all(torch.isfinite(one) for one in extremes):
                not_finite.add(tensor.name)
        yield piece
