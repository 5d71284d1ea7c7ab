"""Whether a GGUF file is whole, seen before a C++ library trips over it.

Layout: ggml's GGUF specification, versions 2 and 3. Only sizes and offsets are read here.
"""

import struct
from math import prod
from pathlib import Path
from typing import BinaryIO

from rag_app.errors import ModelError

_MAGIC = b"GGUF"
_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 30: (1, 2),
}  # fmt: skip
"""Weights and bytes of a block, by ggml's number of the type: F32, F16, Q4_0 to Q8_0, Q2_K to
Q6_K, BF16. A type that is missing here is only held to begin inside the file."""
_LIMIT = 2**32
"""Longest string or array that is believed."""


def check_gguf(path: Path) -> None:
    """Make sure that a GGUF file is as long as its tensor table says.

    Raises:
        ModelError: it is missing, of another format, or truncated.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            if file.read(4) != _MAGIC:
                msg = f"{path} is not a GGUF file; --llm takes one, or a Hugging Face folder"
                raise ModelError(msg)
            last = _last_tensor(file)
    except FileNotFoundError as error:
        msg = f"{path} does not exist; `model-prep models` lists what can be pulled"
        raise ModelError(msg) from error
    except OSError as error:
        msg = f"{path} can't be read ({error.strerror or error})"
        raise ModelError(msg) from error
    except (struct.error, ValueError, KeyError, MemoryError, OverflowError) as error:
        raise _truncated(path, size) from error
    if last > size:
        raise _truncated(path, size)


def _truncated(path: Path, size: int) -> ModelError:
    return ModelError(f"{path} is truncated or damaged ({size:,} bytes); copy or pull it again")


def _last_tensor(file: BinaryIO) -> int:
    """Return the offset at which the data of the last tensor ends."""
    _, tensors, values = _read(file, "IQQ")
    alignment = 32
    for _ in range(values):
        key = _string(file)
        value = _value(file, *_read(file, "I"))
        if key == b"general.alignment" and isinstance(value, int):
            alignment = value
    last = 0
    for _ in range(tensors):
        _string(file)
        (dimensions,) = _read(file, "I")
        shape = _read(file, f"{dimensions}Q")
        kind, offset = _read(file, "IQ")
        weights, size = _BLOCKS.get(kind, (1, 0))
        last = max(last, offset + prod(shape) // weights * size)
    start = (file.tell() + alignment - 1) // alignment * alignment
    return start + last


def _read(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))


def _string(file: BinaryIO) -> bytes:
    (length,) = _read(file, "Q")
    if length > _LIMIT:
        raise ValueError("string too long")
    text = file.read(length)
    if len(text) < length:
        raise ValueError("end of file")
    return text


def _value(file: BinaryIO, kind: int) -> int | None:
    """Skip one value; return it if it is a 32-bit unsigned integer."""
    if kind == _STRING:
        _string(file)
        return None
    if kind != _ARRAY:
        data = file.read(_SCALAR_BYTES[kind])
        return int.from_bytes(data, "little") if kind == 4 else None
    item, count = _read(file, "IQ")
    if count > _LIMIT:
        raise ValueError("array too long")
    if item in (_STRING, _ARRAY):
        for _ in range(count):
            _value(file, item)
    else:
        file.seek(_SCALAR_BYTES[item] * count, 1)
    return None
