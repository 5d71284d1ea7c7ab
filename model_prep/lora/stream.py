"""The merged tensors one after the other, made ahead by a few threads.

Each task reads one tensor of the base, hashes it, adds the LoRAs, and hashes the result; the caller
writes what came before meanwhile. Reading, arithmetic, hashing and writing all release Python's
lock, so that the threads keep as many cores and the disk busy. A few tensors are in memory at once.
"""

import math
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from model_prep.checkpoint.checksums import tensor_digest
from model_prep.checkpoint.tensors import TensorInfo, torch_dtype
from model_prep.llama.meta_layout import unpermute
from model_prep.lora.arithmetic import add_low_rank
from model_prep.lora.base import BaseWeights
from model_prep.lora.planned_tensors import PlannedTensor
from model_prep.process_state import torch_threads

if TYPE_CHECKING:
    import torch

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")

THREADS = max(2, min(4, os.cpu_count() or 1))
"""More would hold more tensors in memory than 2.5 GB have room for."""


def in_order(
    function: Callable[[_Item], _Made], items: Iterable[_Item], threads: int = THREADS
) -> Iterator[_Made]:
    """Yield ``function`` of each item, in order, working ahead on as many as there are threads."""
    waiting: deque[Future[_Made]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="merge") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@dataclass(frozen=True)
class Noted:
    """What the manifest keeps of a finished tensor."""

    name: str
    """As in the base."""
    info: TensorInfo
    """As it is written."""
    digest: str
    """Of its content, as `tensor_digest` has it."""
    base_digest: str
    """Of the base's tensor of that name, likewise."""


@dataclass(frozen=True)
class Merged:
    """One finished tensor."""

    noted: Noted
    weight: "torch.Tensor"
    reusable: bool
    """Whether its memory is its own, and not a file's."""


class Buffers:
    """Memory for tensors, used again: fresh memory costs the system a tenth of all the work."""

    def __init__(self) -> None:
        self._free: dict[tuple[int, torch.dtype], list[torch.Tensor]] = defaultdict(list)

    def take(self, shape: tuple[int, ...], dtype: "torch.dtype") -> "torch.Tensor":
        """Return a tensor with any content."""
        import torch

        key = math.prod(shape), dtype
        try:
            return self._free[key].pop().view(shape)
        except IndexError:
            return torch.empty(shape, dtype=dtype)

    def give(self, merged: Merged) -> None:
        """Take back the memory of a tensor that nothing reads any more."""
        if merged.reusable:
            weight = merged.weight
            self._free[weight.numel(), weight.dtype].append(weight.view(-1))


def merged_tensors(
    base: BaseWeights, tensors: Iterable[PlannedTensor], buffers: Buffers
) -> Iterator[Merged]:
    """Yield what becomes of each tensor, in order; ``buffers`` may be given it back when written.

    PyTorch's own threads are switched off meanwhile: the tasks are what runs side by side.
    """
    with torch_threads(1):
        yield from in_order(lambda planned: merge_tensor(planned, base, buffers), tensors)


def merge_tensor(planned: PlannedTensor, base: BaseWeights, buffers: Buffers) -> Merged:
    """Read one tensor of the base and return what becomes of it.

    A tensor that stays as it is in its file maps the file, and costs no memory of its own.
    """
    original = base.read(planned.name)
    base_digest = tensor_digest(planned.name, original)
    release = partial(base.release, planned.name)
    if planned.source:
        release()
        copy = planned.source.copies[planned.name]
        original = planned.source.checkpoint.read(copy)
        release = partial(planned.source.checkpoint.release, copy)
    weight, dtype = original, torch_dtype(planned.info.dtype)
    if planned.updates or original.dtype != dtype:
        weight = buffers.take(planned.info.shape, dtype).copy_(original)
        release()
    if planned.updates:
        add_low_rank(weight, [adapter.update_of(planned.name) for adapter in planned.updates])
        for adapter in planned.updates:
            adapter.release(planned.name)
    if planned.head:
        weight = unpermute(weight, planned.head)
    digest = tensor_digest(planned.info.name, weight)
    noted = Noted(planned.name, planned.info, digest, base_digest)
    return Merged(noted, weight, reusable=weight is not original)
