"""Writing and checking of safetensors files: u64 header length, JSON header, data.

Source of the format: github.com/huggingface/safetensors.
"""

import json
import struct
from pathlib import Path
from typing import Any

from model_prep.checkpoint.tensors import TensorData
from model_prep.json_file import write_json

INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_MAX_HEADER_BYTES = 100_000_000  # the limit of the format
DEFAULT_SHARD_BYTES = 5 * 10**9
"""Bytes of tensors in a file, where a model has several."""


def write_safetensors(target: Path, tensors: list[TensorData]) -> None:
    """Write a safetensors file; only one piece of one tensor is in memory at a time.

    Raises:
        ValueError: the pieces of a tensor are not as many bytes as its shape says.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors:
        begin, end = end, end + tensor.size
        shape = list(tensor.shape)
        header[tensor.name] = {"dtype": tensor.dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # data starts aligned
    with target.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors:
            if sum(file.write(piece) for piece in tensor.pieces) != tensor.size:
                msg = f"tensor {tensor.name} has not the bytes that its shape {tensor.shape} needs"
                raise ValueError(msg)


def write_safetensors_shards(
    folder: Path, tensors: list[TensorData], max_shard_size: int
) -> list[Path]:
    """Write the weights of a model's folder as transformers names them, in the order given.

    That is ``model.safetensors`` where they fit one file, else ``model-00001-of-0000N.safetensors``
    and so on, and the index that says which tensor is where.

    Args:
        folder: Exists.
        tensors: Consumed in order, one piece at a time.
        max_shard_size: Bytes of tensors in a file; a larger tensor has a file of its own.

    Returns:
        The files with tensors, in order.

    Raises:
        ValueError: the pieces of a tensor are not as many bytes as its shape says.
    """
    shards = _shards(tensors, max_shard_size)
    if len(shards) == 1:
        write_safetensors(folder / _SINGLE, shards[0])
        return [folder / _SINGLE]
    files, places = [], {}
    for number, shard in enumerate(shards, 1):
        file = folder / f"model-{number:05}-of-{len(shards):05}.safetensors"
        write_safetensors(file, shard)
        files.append(file)
        places.update({tensor.name: file.name for tensor in shard})
    total = sum(tensor.size for tensor in tensors)
    index = {"metadata": {"total_size": total}, "weight_map": places}
    write_json(folder / INDEX, index)
    return files


def _shards(tensors: list[TensorData], max_shard_size: int) -> list[list[TensorData]]:
    shards: list[list[TensorData]] = [[]]
    size = 0
    for tensor in tensors:
        if shards[-1] and size + tensor.size > max_shard_size:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.size
    return shards


def read_safetensors_header(file: Path) -> tuple[dict[str, Any], int]:
    """Return each tensor's ``dtype``, ``shape`` and ``data_offsets``, and where the data begins.

    Offsets are in bytes from there.

    Raises:
        ValueError: it is not a safetensors file.
        OSError: it can't be read.
    """
    with file.open("rb") as data:
        try:
            (length,) = struct.unpack("<Q", data.read(8))
            if not 0 < length <= min(_MAX_HEADER_BYTES, file.stat().st_size):
                raise ValueError("the length of its header is impossible")
            header = dict(json.loads(data.read(length)))
        except (struct.error, TypeError) as error:
            raise ValueError(f"{file} has no header") from error
    header.pop("__metadata__", None)
    return header, 8 + length


def is_complete_safetensors(file: Path) -> bool:
    """Return whether ``file`` is as long as its own header says; the data is not read."""
    try:
        header, begin = read_safetensors_header(file)
        ends = [info["data_offsets"][1] for info in header.values()]
        return bool(ends) and file.stat().st_size == begin + max(ends)
    except (OSError, ValueError, AttributeError, KeyError, TypeError, IndexError):
        return False
