"""The shards of Meta's format, read and made a tensor at a time."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from model_prep.checkpoint.reader import Checkpoint, TensorData, open_checkpoint, tensor_pieces
from model_prep.checkpoint.tensors import raw_bytes
from model_prep.errors import CheckpointError
from model_prep.llama.architecture import LlamaShape
from model_prep.llama.meta_layout import (
    is_computed,
    is_rotated,
    names,
    split_axis,
    to_halves,
    to_neighbours,
)

if TYPE_CHECKING:
    import torch

_BLOCK_BYTES = 16 * 2**20


class MetaCheckpoint:
    """``consolidated.00.pth`` and so on, joined and arranged as Hugging Face has it.

    Attributes:
        files: The shards.
        shape: Of the model.
    """

    def __init__(self, folder: Path, params: Mapping[str, Any]) -> None:
        """Open the shards in ``folder`` and check that they fit each other and ``params``.

        Raises:
            CheckpointError: they don't, or one is missing or damaged.
        """
        self.files = _shard_files(folder)
        self._shards = [open_checkpoint(file) for file in self.files]
        self.shape = self._read_shape(folder, params)
        self._check()

    def tensors(self, to: Literal["hf", "meta"] = "hf") -> list[TensorData]:
        """Return all tensors, joined, of the types that they have.

        Args:
            to: ``hf`` names and arranges them as Hugging Face does, ``meta`` leaves them as they
                are.
        """
        held, sizes, rearranged = self._shards[0].tensors, self.shape.sizes, to == "hf"
        return [
            TensorData(
                name if rearranged else meta,
                held[meta].dtype,
                sizes(name),
                self._joined(meta, rearranged=rearranged),
            )
            for meta, name in names(self.shape.layers)
        ]

    @property
    def dtype(self) -> str:
        """Type of the matrices, in safetensors' spelling."""
        return self._shards[0].tensors["layers.0.attention.wq.weight"].dtype

    def _joined(self, name: str, *, rearranged: bool) -> Iterator[memoryview]:
        axis = split_axis(name)
        if is_rotated(name) and rearranged:
            for shard in self._shards:
                yield raw_bytes(to_halves(shard.read(name), self.shape.head))
                shard.release(name)
        elif axis == 1 and len(self._shards) > 1:
            yield from self._joined_columns(name)
        else:
            for shard in self._shards if axis == 0 else self._shards[:1]:
                yield from shard.pieces(name)

    def _joined_columns(self, name: str) -> Iterator[memoryview]:
        import torch

        parts = [shard.read(name) for shard in self._shards]
        for rows in _blocks(parts[0]):
            yield raw_bytes(torch.cat([part[rows] for part in parts], dim=1))
        for shard in self._shards:
            shard.release(name)

    def _read_shape(self, folder: Path, params: Mapping[str, Any]) -> LlamaShape:
        rows = {}
        for part in ("output", "layers.0.feed_forward.w1", "layers.0.attention.wk"):
            found = [shard.tensors.get(f"{part}.weight") for shard in self._shards]
            if not all(one and len(one.shape) == 2 for one in found):
                msg = f"{folder} does not hold Meta's LLaMA: a shard lacks {part}.weight"
                raise CheckpointError(msg)
            rows[part.rsplit(".", 1)[-1]] = sum(one.shape[0] for one in found if one)
        hidden, heads = int(params["dim"]), int(params["n_heads"])
        return LlamaShape(
            hidden=hidden,
            layers=int(params["n_layers"]),
            heads=heads,
            key_heads=rows["wk"] // (hidden // heads),
            intermediate=rows["w1"],
            vocabulary=rows["output"],
            epsilon=float(params["norm_eps"]),
            rope_theta=float(params.get("rope_theta") or 10000.0),
        )

    def _check(self) -> None:
        expected = dict(names(self.shape.layers))
        for file, shard in zip(self.files, self._shards, strict=True):
            held = {name for name in shard.tensors if not is_computed(name)}
            if unlike := sorted(held ^ expected.keys()):
                said = "lacks" if unlike[0] in expected else "has besides"
                msg = f"{file} {said} {unlike[0]}, so it is of another shape than params.json says"
                raise CheckpointError(msg)
        for meta, name in expected.items():
            self._check_tensor(meta, self.shape.sizes(name))

    def _check_tensor(self, name: str, wanted: tuple[int, ...]) -> None:
        import torch

        axis = split_axis(name)
        found = [shard.tensors[name] for shard in self._shards]
        joined = list(found[0].shape)
        if axis is not None and len(joined) == 2:
            joined[axis] = sum(one.shape[axis] for one in found if len(one.shape) == 2)
        alike = len({one.dtype for one in found}) == 1 and tuple(joined) == wanted
        if axis is None:
            first = self._shards[0].read(name)
            alike = alike and all(torch.equal(first, one.read(name)) for one in self._shards[1:])
        elif axis == 1:
            alike = alike and len({one.shape[0] for one in found}) == 1
        if is_rotated(name):
            alike = alike and all(one.shape[0] % self.shape.head == 0 for one in found)
        if not alike:
            msg = (
                f"{name} has {[one.shape for one in found]} in the shards of "
                f"{self.files[0].parent}, and {wanted} is needed; they are of different models"
            )
            raise CheckpointError(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for shard in self._shards:
            shard.close()


def _shard_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("consolidated.*.pth"))
    wanted = [folder / f"consolidated.{number:02}.pth" for number in range(max(len(files), 1))]
    missing = next((one for one in wanted if one not in files), None)
    if missing:
        msg = f"{missing} is missing; get all of Meta's .pth files of the model"
        raise CheckpointError(msg)
    return files


def meta_shards(checkpoint: Checkpoint, shape: LlamaShape, shards: int) -> list[list[TensorData]]:
    """Return what each of Meta's files holds of a model in the Hugging Face format.

    Raises:
        CheckpointError: tensors are missing, too many or of another shape, or can't be shared.
    """
    uneven = [size for size in (shape.heads, shape.key_heads, shape.intermediate) if size % shards]
    if shards < 1 or uneven:
        msg = f"a model with {shape.heads} heads can't be split into {shards} files; name another"
        raise CheckpointError(msg)
    sources = _sources(checkpoint, shape)
    return [
        [_part(checkpoint, shape, *pair, shard, shards) for pair in sources.items()]
        for shard in range(shards)
    ]


def _sources(checkpoint: Checkpoint, shape: LlamaShape) -> dict[str, str]:
    """Return Meta's name → the name of the tensor to take it from."""
    sources = dict(names(shape.layers))
    if "lm_head.weight" not in checkpoint.tensors:  # tied
        sources["output.weight"] = sources["tok_embeddings.weight"]
    where = checkpoint.files[0].parent
    for name in sources.values():
        held = checkpoint.tensors.get(name)
        if held is None or held.shape != shape.sizes(name):
            found = held.shape if held else "nothing"
            msg = f"{where} has {found} for {name}, and config.json says {shape.sizes(name)}"
            raise CheckpointError(msg)
    more = checkpoint.tensors.keys() - set(sources.values())
    if unknown := sorted(name for name in more if not is_computed(name)):
        msg = f"{where} holds {unknown[0]}, for which Meta's format has no place"
        raise CheckpointError(msg)
    return sources


def _part(
    checkpoint: Checkpoint, shape: LlamaShape, name: str, source: str, shard: int, shards: int
) -> TensorData:
    """Return what shard number ``shard`` holds of a tensor; the last takes what remains."""
    info, axis = checkpoint.tensors[source], split_axis(name)
    if axis is None:
        return checkpoint.data(source, new_name=name)
    share = info.shape[axis] // shards
    part = slice(shard * share, info.shape[axis] if shard == shards - 1 else (shard + 1) * share)
    sizes = list(info.shape)
    sizes[axis] = part.stop - part.start

    def pieces() -> Iterator[memoryview]:
        weight = checkpoint.read(source)
        if is_rotated(name):
            yield raw_bytes(to_neighbours(weight[part], shape.head))
        elif axis == 0:
            yield from tensor_pieces(weight[part])
        else:
            yield from (raw_bytes(weight[rows, part]) for rows in _blocks(weight))
        checkpoint.release(source)

    return TensorData(name, info.dtype, tuple(sizes), pieces())


def _blocks(weight: "torch.Tensor") -> Iterator[slice]:
    """Yield slices of rows that are some megabytes each."""
    rows = max(1, _BLOCK_BYTES // max(1, weight[:1].nbytes))
    return (slice(begin, begin + rows) for begin in range(0, weight.shape[0], rows))
