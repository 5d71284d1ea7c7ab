"""Reading of a model's tensors, one at a time, so that memory does not limit a model."""

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from model_prep.checkpoint.safetensors_file import INDEX
from model_prep.checkpoint.tensors import TensorData, TensorInfo, dtype_name, forget, raw_bytes
from model_prep.errors import OUT_OF_MEMORY, CheckpointError
from model_prep.json_file import require_whole_links

if TYPE_CHECKING:
    import torch

    _Read = Callable[[], torch.Tensor]

_PIECE_BYTES = 16 * 2**20
# What a folder may hold, in the order that transformers and PEFT look for it.
_MODEL_NAMES: tuple[str, ...] = (
    "model.safetensors",
    INDEX,
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_ADAPTER_NAMES: tuple[str, ...] = (
    "adapter_model.safetensors",
    "adapter_model.safetensors.index.json",
    "adapter_model.bin",
)
_SHARD = re.compile(r"(?:(?:pytorch_|adapter_)?model)-(\d{5})-of-(\d{5})\.(?:safetensors|bin)")
_OF_OTHERS = {
    "latest_checkpointed_iteration.txt": "a checkpoint of Megatron; convert it with Megatron",
    "zero_to_fp32.py": "a checkpoint of DeepSpeed; join it with that script",
    "*.distcp": "a distributed checkpoint of PyTorch; save the whole model with what wrote it",
    "*.gguf": "a model for llama.cpp; make a folder of it with: model-prep import-gguf",
    "*.nemo": "a model of NeMo; convert it with NeMo",
}
"""Files that tell whose weights a folder holds, and how they come into Hugging Face's format."""
_POINTER = b"version https://git-lfs."
_ZIP = b"PK"  # the beginning of what ``torch.save`` writes
_UNREADABLE_TYPES = re.compile("F4|F6_|F8|U16|U32|U64|C64")
"""Types of safetensors that only quantized models have, and others that no model here has."""


class Checkpoint:
    """The tensors of one or more files, memory-mapped; read only.

    Attributes:
        files: Those with tensors, in order.
        tensors: What there is, in the order of the files and of the data in them.
        places: The file of each tensor.

    Example:
        >>> import tempfile, torch
        >>> file = Path(tempfile.mkdtemp()) / "model.pth"
        >>> torch.save({"norm": torch.ones(3)}, file)
        >>> with open_checkpoint(file) as checkpoint:
        ...     checkpoint.tensors["norm"].shape, checkpoint.read("norm").sum().item()
        ((3,), 3.0)
    """

    def __init__(self, files: list[Path]) -> None:
        """Open ``files``; see `open_checkpoint`."""
        self.files = files
        self.tensors: dict[str, TensorInfo] = {}
        self.places: dict[str, Path] = {}
        self._reads: dict[str, _Read] = {}
        for file in files:
            for info, read in _read_file(file):
                if info.name in self.tensors:
                    msg = f"{file} holds {info.name}, which another file of the model holds too"
                    raise CheckpointError(msg)
                self.tensors[info.name] = info
                self.places[info.name] = file
                self._reads[info.name] = read

    def read(self, name: str) -> "torch.Tensor":
        """Return a tensor that maps the file: nothing is copied, and it must not be changed.

        Its pages count as resident memory once touched, until `release`.
        """
        return self._reads[name]()

    def release(self, name: str) -> None:
        """Release the pages of a tensor; it stays valid, and is read again when it is touched."""
        tensor = self.read(name)
        if tensor.is_contiguous():
            forget(raw_bytes(tensor))

    def pieces(self, name: str) -> Iterator[memoryview]:
        """Yield a tensor's bytes, row-major, some megabytes at a time.

        A piece's memory is let go of when the next is asked for.
        """
        yield from tensor_pieces(self.read(name))

    def data(self, name: str, *, new_name: str | None = None) -> TensorData:
        """Return a tensor as something to be written as it is, under the same or a new name."""
        info = self.tensors[name]
        return TensorData(new_name or name, info.dtype, info.shape, self.pieces(name))

    def close(self) -> None:
        """Unmap the files once no tensor that was read is in use."""
        self._reads.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def tensor_pieces(tensor: "torch.Tensor") -> Iterator[memoryview]:
    """Yield the bytes of a tensor, or of a part of one, as `Checkpoint.pieces` does."""
    data = raw_bytes(tensor)
    for begin in range(0, len(data), _PIECE_BYTES):
        piece = data[begin : begin + _PIECE_BYTES]
        yield piece
        if tensor.is_contiguous():
            forget(piece)


def open_checkpoint(path: Path, *, adapter: bool = False) -> Checkpoint:
    """Open a model's or an adapter's weights; their data is not read yet.

    Args:
        path: A ``.safetensors``, ``.bin`` or ``.pth`` file, an index of shards
            (``….index.json``), or a folder that holds one of them under its usual name.
        adapter: Of a folder that holds both, take the adapter's weights rather than the model's.

    Raises:
        CheckpointError: there are none, or a file is missing, damaged, cut short, or holds
            anything else than named tensors.
    """
    if not path.exists():
        raise CheckpointError(f"there is no {path}; check the path")
    require_whole_links(path)
    found = _find(path, adapter) if path.is_dir() else path
    if isinstance(found, list):
        return Checkpoint(found)
    if not found.name.endswith(".index.json"):
        return Checkpoint([found])
    return _indexed(found)


def _find(folder: Path, adapter: bool) -> Path | list[Path]:
    """Return the file of a folder's weights, the index of their shards, or shards without one."""
    usual, other = _MODEL_NAMES, _ADAPTER_NAMES
    if adapter:
        usual, other = other, usual
    for name in (*usual, *other):
        if (folder / name).exists():
            return folder / name
    parts = sorted(folder.glob("*.pth"))
    if len(parts) == 1:
        return parts[0]
    if parts:
        msg = f"{folder} holds {len(parts)} .pth shards; join them with: model-prep convert"
        raise CheckpointError(msg)
    if shards := _numbered_shards(folder):
        return shards
    held = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
    msg = f"{folder} holds no weights ({usual[0]}, {usual[2]} or *.pth) but {held}"
    found = (text for name, text in _OF_OTHERS.items() if next(folder.glob(name), None))
    if not adapter and (advice := next(found, None)):
        msg = f"{msg}: {advice}"
    raise CheckpointError(msg)


def require_index(folder: Path) -> None:
    """Check that numbered shards have the index without which transformers finds no weights.

    Raises:
        CheckpointError: there are shards, and no index.
    """
    whole = any((folder / name).is_file() for name in (*_MODEL_NAMES, *_ADAPTER_NAMES))
    if not whole and _numbered_shards(folder):
        msg = f"{folder} has shards of weights without {INDEX}, which lists them; get it too"
        raise CheckpointError(msg)


def _numbered_shards(folder: Path) -> list[Path]:
    """Return shards by the numbers in their names, where the index that lists them is missing."""
    shards = sorted(file for file in folder.iterdir() if _SHARD.fullmatch(file.name))
    for suffix in (".safetensors", ".bin"):
        files = [file for file in shards if file.suffix == suffix]
        if not files:
            continue
        numbers = [_SHARD.fullmatch(file.name) for file in files]
        held = {int(number[1]) for number in numbers if number}
        count = max(int(number[2]) for number in numbers if number)
        if len(held) < count:
            missing = next(number for number in range(1, count + 1) if number not in held)
            raise CheckpointError(
                f"{folder} has {len(held)} of {count:,} shards and no index; number {missing:05} "
                "is the first that is missing: get them"
            )
        return files
    return []


def _indexed(index: Path) -> Checkpoint:
    """Open the shards that an index lists, and check that they hold what it says."""
    try:
        places: dict[str, str] = dict(json.loads(index.read_bytes())["weight_map"])
        names = sorted(set(places.values()))
        files = [index.parent / name for name in names]
        missing = [
            name
            for name, file in zip(names, files, strict=True)
            if Path(name).name != name or not file.is_file()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{index} is damaged: it does not say which tensor is in which file; get it again"
        raise CheckpointError(msg) from error
    if missing or not files:
        msg = f"{index} names files that are not beside it ({', '.join(missing)}); get them"
        raise CheckpointError(msg)
    checkpoint = Checkpoint(files)
    held = {name: file.name for name, file in checkpoint.places.items()}
    if unlike := sorted(name for name in held | places if held.get(name) != places.get(name)):
        said, found = places.get(unlike[0], "none"), held.get(unlike[0], "none")
        raise CheckpointError(
            f"{index} and its files disagree: {unlike[0]} should be in {said}, and is in "
            f"{found} ({len(unlike)} such); get all of them again"
        )
    return checkpoint


def _read_file(file: Path) -> list[tuple[TensorInfo, "_Read"]]:
    """Return what each tensor of a file is, and the function that reads it."""
    import torch  # noqa: F401 - what keeps it from being loaded is no fault of the file

    safetensors = _is_safetensors(file)
    try:
        return list(_safetensors(file) if safetensors else _pickled(file))
    except CheckpointError:
        raise
    except Exception as error:  # whatever a damaged or hostile file makes the libraries raise
        # Not where a damaged file asks for more memory than there is.
        if OUT_OF_MEMORY in str(error) and (isinstance(error, MemoryError) or "mmap" in str(error)):
            raise
        msg = f"{file} is damaged or cut short, so it was not used; get it again"
        if not safetensors:
            msg = (
                f"{file} is damaged or cut short, or holds more than named tensors as torch.save "
                "writes them, so it was not used; get it again, or as safetensors"
            )
        raise CheckpointError(msg) from error


def _is_safetensors(file: Path) -> bool:
    """Return the kind of a file by its first bytes, which a wrong suffix does not change.

    Raises:
        CheckpointError: it can't be read, or is only a pointer to the weights.
    """
    try:
        with file.open("rb") as data:
            start = data.read(len(_POINTER))
    except OSError as error:
        msg = f"{file} can't be read ({error.strerror}); check the path and the disk"
        raise CheckpointError(msg) from error
    if start == _POINTER:
        raise CheckpointError(
            f"{file} is only a pointer of Git LFS, without the weights; get them with: git lfs "
            f"pull, or download the file itself"
        )
    named_so = file.suffix == ".safetensors"
    if named_so and start.startswith(_ZIP):
        raise CheckpointError(f"{file} is a file of torch.save, not safetensors; rename it to .bin")
    return named_so or start[8:9] == b"{"


def _safetensors(file: Path) -> Iterator[tuple[TensorInfo, "_Read"]]:
    from safetensors import safe_open

    opened = safe_open(file, framework="pt")
    for name in opened.offset_keys():
        part = opened.get_slice(name)
        if _UNREADABLE_TYPES.match(part.get_dtype()):
            raise CheckpointError(
                f"{file} holds {name} as {part.get_dtype()}: its weights are quantized; use the "
                "model in float16, bfloat16 or float32 that it was made from"
            )
        info = TensorInfo(name, part.get_dtype(), tuple(part.get_shape()))
        yield info, partial(opened.get_tensor, name)


def _pickled(file: Path) -> Iterator[tuple[TensorInfo, "_Read"]]:
    """PyTorch's restricted unpickler makes tensors and runs no code."""
    import torch

    # Files of PyTorch before 1.6 are not zip files and can't be mapped.
    mapped = zipfile.is_zipfile(file)
    state = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    for name, tensor in state.items():
        info = TensorInfo(str(name), dtype_name(tensor.dtype), tuple(tensor.shape))
        yield info, tensor.detach  # a parameter's arithmetic would be recorded
