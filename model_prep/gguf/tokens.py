"""The tokens and the chat template of a GGUF file, read without its weights.

gguf's own reader makes an array of each token, which takes seconds; this takes milliseconds.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model_prep.errors import GenerateError

_KEYS_BYTES = 64 * 2**20
"""The keys lie before the weights, and are not longer than this."""
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4
"""Types of tokens, as ggml's GGUF specification numbers them."""
_SIZE = struct.Struct("<Q")


@dataclass(frozen=True)
class GgufTokens:
    """The keys ``tokenizer.*`` of a GGUF file, as far as prompts need them."""

    normal: list[str]
    control: list[str]
    """The unknown token among them: llama.cpp reads it in a prompt likewise."""
    user_defined: list[str]
    chat_template: str | None


def read_gguf_tokens(path: Path) -> GgufTokens:
    """Return the tokens of a GGUF file.

    Raises:
        GenerateError: it can't be read, is no GGUF, or is cut short.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                msg = f"{path} is not a GGUF file"
                raise GenerateError(msg)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _tokens(data)
    except OSError as error:
        msg = f"{path} can't be read ({error.strerror}); --base-model takes a folder or .gguf file"
        raise GenerateError(msg) from error
    except struct.error as error:
        msg = f"{path} is damaged or cut short; copy or pull it again"
        raise GenerateError(msg) from error


def _tokens(data: mmap.mmap) -> GgufTokens:
    tokens = [token.decode(errors="replace") for token in _strings(data, "tokenizer.ggml.tokens")]
    types = _types(data) or [_NORMAL] * len(tokens)
    of_type: dict[int, list[str]] = {number: [] for number in range(_USER_DEFINED + 1)}
    for token, number in zip(tokens, types, strict=False):
        of_type.setdefault(number, []).append(token)
    return GgufTokens(
        normal=of_type[_NORMAL],
        control=of_type[_UNKNOWN] + of_type[_CONTROL],
        user_defined=of_type[_USER_DEFINED],
        chat_template=_string(data, "tokenizer.chat_template"),
    )


def _value(data: mmap.mmap, key: str) -> int | None:
    """Return where the value of a key begins, after its type; None where there is no such key."""
    name = _SIZE.pack(len(key)) + key.encode()
    found = data.find(name, 0, _KEYS_BYTES)
    return None if found < 0 else found + len(name) + 4


def _string(data: mmap.mmap, key: str) -> str | None:
    if (at := _value(data, key)) is None:
        return None
    (size,) = _SIZE.unpack_from(data, at)
    return data[at + 8 : at + 8 + size].decode(errors="replace")


def _strings(data: mmap.mmap, key: str) -> Iterator[bytes]:
    if (at := _value(data, key)) is None:
        return
    _, count = struct.unpack_from("<IQ", data, at)
    at += 12
    for _ in range(count):
        (size,) = _SIZE.unpack_from(data, at)
        yield data[at + 8 : at + 8 + size]
        at += 8 + size


def _types(data: mmap.mmap) -> list[int]:
    if (at := _value(data, "tokenizer.ggml.token_type")) is None:
        return []
    _, count = struct.unpack_from("<IQ", data, at)
    return list(struct.unpack_from(f"<{count}i", data, at + 12))
