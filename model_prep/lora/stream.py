"""The merged tensors one after the other, made ahead by a few threads.

Each task reads one tensor of the base, hashes it, adds the LoRAs, and hashes the result; the caller
writes what came before meanwhile. Reading, arithmetic, hashing and writing all release Python's
lock, so that the threads keep as many cores and the disk busy. A few tensors are in memory at once.
"""

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from model_prep.checkpoint.checksums import tensor_digest
from model_prep.checkpoint.tensors import is_finite, torch_dtype
from model_prep.errors import AdapterError, MergeError
from model_prep.llama.meta_layout import unpermute
from model_prep.lora.arithmetic import add_low_rank
from model_prep.lora.base import BaseWeights
from model_prep.lora.planned_tensors import PlannedTensor
from model_prep.process_state import torch_threads
from model_prep.threads import in_order

if TYPE_CHECKING:
    import torch

THREADS = max(2, min(4, os.cpu_count() or 1))
"""More would hold more tensors in memory than 2.5 GB have room for."""


@dataclass(frozen=True)
class MergedTensor:
    """One finished tensor."""

    planned: PlannedTensor
    weight: "torch.Tensor"
    digest: str
    """As `tensor_digest` has it."""
    base_digest: str
    """Digest of the base's tensor of that name, likewise."""
    reusable: bool
    """Whether its memory is its own, and not a file's."""


class Buffers:
    """Memory for tensors, used again: fresh memory costs the system a tenth of all the work."""

    def __init__(self) -> None:
        self._free: dict[tuple[int, torch.dtype], list[torch.Tensor]] = defaultdict(list)

    def take(self, shape: tuple[int, ...], dtype: "torch.dtype") -> "torch.Tensor":
        """Return a tensor with any content."""
        import torch

        try:
            return self._free[math.prod(shape), dtype].pop().view(shape)
        except IndexError:
            return torch.empty(shape, dtype=dtype)

    def give(self, merged: MergedTensor) -> None:
        """Take back the memory of a tensor that nothing reads any more."""
        if merged.reusable:
            weight = merged.weight
            self._free[weight.numel(), weight.dtype].append(weight.view(-1))


def merged_tensors(
    base: BaseWeights, tensors: Iterable[PlannedTensor], buffers: Buffers
) -> Iterator[MergedTensor]:
    """Yield the merged tensors, in order; ``buffers`` may be given each back when it is written.

    PyTorch's own threads are switched off meanwhile: the tasks are what runs side by side.

    Raises:
        MergeError: base, adapter or result hold NaN or infinity.
    """
    with torch_threads(1):
        yield from in_order(
            (partial(_merge, planned, base, buffers) for planned in tensors), THREADS
        )


def _merge(planned: PlannedTensor, base: BaseWeights, buffers: Buffers) -> MergedTensor:
    """Merge one tensor; one that stays as it is in its file maps the file, and costs no memory."""
    original = base.read(planned.base_name)
    base_digest = tensor_digest(planned.base_name, original)
    release = partial(base.release, planned.base_name)
    if planned.source:
        release()
        saved = planned.source.modules_to_save[planned.name]
        original = planned.source.checkpoint.read(saved)
        release = partial(planned.source.checkpoint.release, saved)
    weight, dtype = original, torch_dtype(planned.info.dtype)
    if planned.updates or original.dtype != dtype:
        weight = buffers.take(planned.info.shape, dtype).copy_(original)
        release()
    if planned.updates:
        add_low_rank(weight, [adapter.read_update(planned.name) for adapter in planned.updates])
        for adapter in planned.updates:
            adapter.release(planned.name)
    if not is_finite(weight):
        raise _not_finite(planned, base)
    if planned.head_dim:
        weight = unpermute(weight, planned.head_dim)
    digest = tensor_digest(planned.info.name, weight)
    return MergedTensor(planned, weight, digest, base_digest, reusable=weight is not original)


def _not_finite(planned: PlannedTensor, base: BaseWeights) -> MergeError:
    """Return the error of a merged tensor that is not finite: what made it so, and what to do."""
    name = planned.name
    if planned.source is None and not is_finite(base.read(planned.base_name)):
        where = f"{planned.base_name} of the base {base.files[0].parent}"
        return MergeError(f"{where} holds NaN or infinity; make or get the base again")
    for adapter in [planned.source, *planned.updates]:
        if adapter and not all(map(is_finite, adapter.read_all(name))):
            return AdapterError(
                f"{adapter.folder} holds NaN or infinity for {name}; train or get it again"
            )
    return MergeError(
        f"{name} has numbers too large for {torch_dtype(planned.info.dtype)}; use --dtype bfloat16 "
        "or float32".replace("torch.", "")
    )
