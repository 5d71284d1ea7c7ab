"""Meta's shards of a LLaMA, joined when read and split when written, a tensor at a time."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from model_prep.checkpoint.reader import Checkpoint, open_checkpoint, tensor_pieces
from model_prep.checkpoint.tensors import TensorData, TensorInfo, raw_bytes, torch_dtype
from model_prep.errors import CheckpointError
from model_prep.llama.architecture import ModelConfig, context_of
from model_prep.llama.expected_tensors import require_unquantized
from model_prep.llama.meta_layout import (
    is_permuted,
    is_rope_buffer,
    permute,
    shard_slices,
    sliced_shape,
    split_axis,
    tensor_names,
    unpermute,
)

if TYPE_CHECKING:
    import torch

_BLOCK_BYTES = 16 * 2**20


class MetaCheckpoint:
    """``consolidated.00.pth`` and so on, joined and arranged as Hugging Face has it.

    Attributes:
        files: The shards.
        config: The configuration of the model.
        tensors: By their Hugging Face names, in Meta's order.
    """

    def __init__(self, folder: Path, params: Mapping[str, Any]) -> None:
        """Open the shards in ``folder`` and check that they fit each other and ``params``.

        Raises:
            CheckpointError: they don't, or one is missing or damaged.
        """
        self.files = _shard_files(folder)
        self._shards = [open_checkpoint(file) for file in self.files]
        self.config = self._read_config(folder, params)
        self._require_all_shards()
        self._check()
        self._require_heads(folder, params)
        self._meta_names = {
            name: meta for meta, name in tensor_names(self.config.num_hidden_layers)
        }
        held = self._shards[0].tensors
        self.tensors = {
            name: TensorInfo(name, held[meta].dtype, self.config.tensor_shape(name))
            for name, meta in self._meta_names.items()
        }

    def data(self, to: Literal["hf", "meta"] = "hf") -> list[TensorData]:
        """Return all tensors as something to be written, joined, of the types that they have.

        Args:
            to: ``hf`` names and arranges them as Hugging Face does, ``meta`` leaves them as they
                are.
        """
        return [
            TensorData(
                name if to == "hf" else self._meta_names[name],
                info.dtype,
                info.shape,
                self._joined(self._meta_names[name], permuted=to == "hf"),
            )
            for name, info in self.tensors.items()
        ]

    def read(self, name: str) -> "torch.Tensor":
        """Return one tensor by its Hugging Face name, copied together from the shards."""
        import torch

        info = self.tensors[name]
        data = bytearray(info.size)
        end = 0
        for piece in self._joined(self._meta_names[name], permuted=True):
            begin, end = end, end + piece.nbytes
            data[begin:end] = piece
        return torch.frombuffer(data, dtype=torch_dtype(info.dtype)).reshape(info.shape)

    def release(self, name: str) -> None:
        """Do nothing: what `read` returns is a copy."""

    @property
    def dtype(self) -> str:
        """Type of the matrices, in safetensors' spelling."""
        return self._shards[0].tensors["layers.0.attention.wq.weight"].dtype

    def _joined(self, name: str, *, permuted: bool) -> Iterator[memoryview]:
        axis = split_axis(name)
        if permuted and is_permuted(name):
            for shard in self._shards:
                yield raw_bytes(permute(shard.read(name), self.config.head_dim))
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

    def _read_config(self, folder: Path, params: Mapping[str, Any]) -> ModelConfig:
        rows = {}
        for part in ("output", "layers.0.feed_forward.w1", "layers.0.attention.wk"):
            found = [shard.tensors.get(f"{part}.weight") for shard in self._shards]
            if not all(info and len(info.shape) == 2 for info in found):
                msg = f"{folder} does not hold Meta's LLaMA: a shard lacks {part}.weight"
                raise CheckpointError(msg)
            rows[part.rsplit(".", 1)[-1]] = sum(info.shape[0] for info in found if info)
        hidden, heads = int(params["dim"]), int(params["n_heads"])
        return ModelConfig(
            hidden_size=hidden,
            num_hidden_layers=int(params["n_layers"]),
            num_attention_heads=heads,
            num_key_value_heads=rows["wk"] // (hidden // heads),
            intermediate_size=rows["w1"],
            vocab_size=rows["output"],
            rms_norm_eps=float(params["norm_eps"]),
            rope_theta=float(params.get("rope_theta") or ModelConfig.rope_theta),
            max_position_embeddings=context_of(params),
        )

    def _require_all_shards(self) -> None:
        """Check that the shards' rows add up; norms, which are whole in each, tell the width."""
        held, width = self._shards[0].tensors, self.config.hidden_size
        norm, queries = held.get("norm.weight"), held.get("layers.0.attention.wq.weight")
        if norm and queries and norm.shape == (width,) and queries.shape[0]:
            count = len(self.files)
            if count < (wanted := width // queries.shape[0]):
                next_file = self.files[0].with_name(f"consolidated.{count:02}.pth")
                msg = f"{next_file} is missing: this model has {wanted} files; get all of them"
                raise CheckpointError(msg)

    def _require_heads(self, folder: Path, params: Mapping[str, Any]) -> None:
        """Check the numbers of heads, with which matrices of any shape would be permuted."""
        frequencies = self._shards[0].tensors.get("rope.freqs")
        stated = int(params.get("n_kv_heads") or params["n_heads"])
        fits = stated == self.config.num_key_value_heads
        if not fits or (frequencies and frequencies.shape != (self.config.head_dim // 2,)):
            raise CheckpointError(
                f"{folder / 'params.json'} has other n_heads or n_kv_heads than the weights; "
                "get both again, from one place"
            )

    def _check(self) -> None:
        expected = dict(tensor_names(self.config.num_hidden_layers))
        for file, shard in zip(self.files, self._shards, strict=True):
            held = {name for name in shard.tensors if not is_rope_buffer(name)}
            if unlike := sorted(held ^ expected.keys()):
                said = "lacks" if unlike[0] in expected else "has besides"
                msg = f"{file} {said} {unlike[0]}, so its shape is not the one in params.json"
                raise CheckpointError(msg)
            require_unquantized(file, shard.tensors)
        self._require_no_copies()
        for meta, name in expected.items():
            self._check_tensor(meta, self.config.tensor_shape(name))

    def _require_no_copies(self) -> None:
        """Check that no two files hold the same part, as where one was downloaded twice."""
        import torch

        parts = [shard.read("layers.0.attention.wq.weight") for shard in self._shards]
        for (file, part), (other, another) in combinations(zip(self.files, parts, strict=True), 2):
            if torch.equal(part, another):
                msg = f"{other} holds the same part of the model as {file.name}; get both again"
                raise CheckpointError(msg)

    def _check_tensor(self, name: str, wanted: tuple[int, ...]) -> None:
        import torch

        axis = split_axis(name)
        shapes = [shard.tensors[name].shape for shard in self._shards]
        dtypes = {shard.tensors[name].dtype for shard in self._shards}
        joined = list(shapes[0])
        if axis is not None and len(joined) == 2:
            joined[axis] = sum(shape[axis] for shape in shapes if len(shape) == 2)
        fits = len(dtypes) == 1 and tuple(joined) == wanted
        if axis is None:
            first = self._shards[0].read(name)
            fits = fits and all(torch.equal(first, shard.read(name)) for shard in self._shards[1:])
        elif axis == 1:
            fits = fits and len({shape[0] for shape in shapes}) == 1
        if is_permuted(name):
            fits = fits and all(shape[0] % self.config.head_dim == 0 for shape in shapes)
        if not fits:
            raise CheckpointError(
                f"{name} has {shapes} in the shards of {self.files[0].parent}, and {wanted} is "
                "needed; they belong to different models"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the shards."""
        for shard in self._shards:
            shard.close()


def _shard_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("consolidated.*.pth"))
    wanted = [folder / f"consolidated.{number:02}.pth" for number in range(max(len(files), 1))]
    if missing := [file for file in wanted if file not in files]:
        raise CheckpointError(f"{missing[0]} is missing; get all of Meta's .pth files of the model")
    return files


def meta_shards(checkpoint: Checkpoint, config: ModelConfig, shards: int) -> list[list[TensorData]]:
    """Return what each of Meta's files holds of a model in the Hugging Face format.

    Raises:
        CheckpointError: tensors are missing, too many or of another shape, or can't be shared.
    """
    heads = config.num_attention_heads
    divided = (heads, config.num_key_value_heads, config.intermediate_size)
    if shards < 1 or any(size % shards for size in divided):
        msg = f"a model with {heads} heads can't be split into {shards} files; name another"
        raise CheckpointError(msg)
    sources = _sources(checkpoint, config)
    return [
        [
            _part(checkpoint, config.head_dim, meta, name, shard, shards)
            for meta, name in sources.items()
        ]
        for shard in range(shards)
    ]


def _sources(checkpoint: Checkpoint, config: ModelConfig) -> dict[str, str]:
    """Return Meta's name → the name of the tensor to take it from."""
    sources = dict(tensor_names(config.num_hidden_layers))
    if "lm_head.weight" not in checkpoint.tensors:  # tied
        sources["output.weight"] = sources["tok_embeddings.weight"]
    folder = checkpoint.files[0].parent
    for name in sources.values():
        info, wanted = checkpoint.tensors.get(name), config.tensor_shape(name)
        if info is None or info.shape != wanted:
            found = info.shape if info else "nothing"
            raise CheckpointError(f"{folder} has {found} for {name}, and config.json says {wanted}")
    others = checkpoint.tensors.keys() - set(sources.values())
    if unknown := sorted(name for name in others if not is_rope_buffer(name)):
        raise CheckpointError(f"{folder} holds {unknown[0]}, for which Meta's format has no place")
    return sources


def _part(
    checkpoint: Checkpoint, head_dim: int, meta: str, name: str, shard: int, shards: int
) -> TensorData:
    """Return what one shard holds of a tensor."""
    info = checkpoint.tensors[name]
    part = shard_slices(meta, info.shape, shard, shards)

    def pieces() -> Iterator[memoryview]:
        weight = checkpoint.read(name)
        if is_permuted(meta):
            yield raw_bytes(unpermute(weight[part], head_dim))
        elif len(part) == 2:
            yield from (raw_bytes(weight[rows, part[1]]) for rows in _blocks(weight))
        else:
            yield from tensor_pieces(weight[part])
        checkpoint.release(name)

    return TensorData(meta, info.dtype, sliced_shape(info.shape, part), pieces())


def _blocks(weight: "torch.Tensor") -> Iterator[slice]:
    """Yield slices of rows that are some megabytes each."""
    rows = max(1, _BLOCK_BYTES // max(1, weight[:1].nbytes))
    return (slice(begin, begin + rows) for begin in range(0, weight.shape[0], rows))
