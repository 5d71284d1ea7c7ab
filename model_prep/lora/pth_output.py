"""Merged tensors as Meta's ``consolidated.*.pth`` hold them, all files written at once."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import Full, Queue
from typing import TYPE_CHECKING

from model_prep.checkpoint.pth_file import write_pth
from model_prep.checkpoint.reader import tensor_pieces
from model_prep.checkpoint.tensors import TensorData, TensorInfo
from model_prep.llama.meta_layout import split_axis
from model_prep.lora.stream import Merged

if TYPE_CHECKING:
    import torch

_SECONDS = 0.2
"""How often a full queue's reader is looked after."""


def write_pth_shards(
    folder: Path, infos: list[TensorInfo], merged: Iterator[Merged], shards: int
) -> None:
    """Write ``consolidated.00.pth`` and so on; each tensor is made once and shared out.

    Args:
        folder: Exists.
        infos: Of all tensors, by Meta's names and whole, in the order of ``merged``.
        merged: Yields them.
        shards: Number of files.
    """
    queues: list[Queue[torch.Tensor | None]] = [Queue(maxsize=1) for _ in range(shards)]
    with ThreadPoolExecutor(shards, thread_name_prefix="pth") as pool:
        writing = [
            pool.submit(
                write_pth,
                folder / f"consolidated.{number:02}.pth",
                [_shard_of(info, number, shards, queue) for info in infos],
            )
            for number, queue in enumerate(queues)
        ]
        try:
            for info, one in zip(infos, merged, strict=True):
                for number, queue in enumerate(queues):
                    part = one.weight[_share(info, number, shards)]
                    _put(queue, part, writing[number])
        except BaseException:
            for queue, future in zip(queues, writing, strict=True):
                _give_up(queue, future)
            raise
        for future in writing:
            future.result()


def _share(info: TensorInfo, number: int, shards: int) -> tuple[slice, ...]:
    """Return what one shard holds of a tensor; the last takes what remains."""
    axis = split_axis(info.name)
    if axis is None:
        return (slice(None),)
    each = info.shape[axis] // shards
    end = info.shape[axis] if number == shards - 1 else (number + 1) * each
    return (*[slice(None)] * axis, slice(number * each, end))


def _shard_of(
    info: TensorInfo, number: int, shards: int, queue: "Queue[torch.Tensor | None]"
) -> TensorData:
    kept = _share(info, number, shards)
    ranges = [range(size)[part] for size, part in zip(info.shape, kept, strict=False)]
    shape = (*map(len, ranges), *info.shape[len(kept) :])

    def pieces() -> Iterator[memoryview]:
        part = queue.get()
        if part is None:
            msg = "stopped"
            raise InterruptedError(msg)
        yield from tensor_pieces(part)

    return TensorData(info.name, info.dtype, shape, pieces())


def _put(queue: "Queue[torch.Tensor | None]", part: "torch.Tensor", reader: "Future[None]") -> None:
    while True:
        if reader.done():
            reader.result()  # raises what ended it
        try:
            return queue.put(part, timeout=_SECONDS)
        except Full:
            continue


def _give_up(queue: "Queue[torch.Tensor | None]", reader: "Future[None]") -> None:
    """End a writer that waits for more, whatever it has not yet taken."""
    while not reader.done():
        try:
            queue.put(None, timeout=_SECONDS)
        except Full:
            continue
        break
