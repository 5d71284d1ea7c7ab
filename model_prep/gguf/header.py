"""The header of a GGUF file: its keys, and whether the file is as long as its tensor table says.

gguf's ``GGUFReader`` makes several arrays for each of the tokens and merges, which takes 9 s for
the default model; this takes 0.3 s, once for each start of a program. Layout: ggml's GGUF
specification, versions 2 and 3.
"""

import mmap
import re
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.errors import CheckpointError

if TYPE_CHECKING:
    from gguf import TokenType

_SCALARS = ("B", "b", "H", "h", "I", "i", "f", "?", "", "", "Q", "q", "d")
"""Formats of `struct` by the number of the type, `gguf.GGUFValueType`."""


_VERSIONS = (2, 3)
_OTHER_FORMATS = {
    b"version https://git-lfs": "is a pointer of git-lfs, not the file itself; run: git lfs pull",
    **dict.fromkeys(
        (b"lmgg", b"fmgg", b"tjgg", b"algg"),
        "has llama.cpp's older format; get the model as GGUF, or export it from its folder",
    ),
}
"""By how they begin."""
_NO_MODELS = {
    "adapter": "is a LoRA, not a model; merge the LoRA into its base, and export that",
    "mmproj": "is the part of a model that reads pictures; name the language model's file",
    "clip": "is the part of a model that reads pictures; name the language model's file",
    **dict.fromkeys(
        ("bert", "nomic-bert", "jina-bert-v2", "modern-bert", "t5encoder"),
        "is an encoder, which answers nothing; name a chat model",
    ),
}
"""By their type, or their architecture."""
_PART = re.compile(r"(.+)-\d{5}-of-\d{5}\.gguf")


@dataclass(frozen=True)
class GgufHeader:
    """The keys and values of a GGUF file.

    Example:
        >>> from gguf import TokenType
        >>> keys = {"tokenizer.ggml.tokens": ["<s>", "a"], "tokenizer.ggml.token_type": [3, 1]}
        >>> GgufHeader(keys).tokens(TokenType.CONTROL)
        ['<s>']
    """

    values: dict[str, Any]
    """Numbers, strings, and lists of them."""

    @property
    def chat_template(self) -> str | None:
        """Jinja, where the file has a template."""
        return self.values.get("tokenizer.chat_template")

    @property
    def other_than_a_model(self) -> str:
        """What the file is where it is no language model, and what to do; else empty."""
        kinds = map(self.values.get, ("general.type", "general.architecture"))
        return next((_NO_MODELS[kind] for kind in kinds if kind in _NO_MODELS), "")

    def tokens(self, *types: "TokenType") -> list[str]:
        """Return the tokens of these types; all are normal in a file that does not say."""
        tokens = self.values.get("tokenizer.ggml.tokens", [])
        held = self.values.get("tokenizer.ggml.token_type") or [1] * len(tokens)
        return [token for token, held_type in zip(tokens, held, strict=False) if held_type in types]


def read_gguf_header(path: Path) -> GgufHeader:
    """Read the header of a GGUF file, before a C++ library trips over what is missing.

    Raises:
        CheckpointError: the file is missing, of another format, or truncated.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(32)
            if begin[:4] != b"GGUF":
                other = (
                    _OTHER_FORMATS[magic] for magic in _OTHER_FORMATS if begin.startswith(magic)
                )
                usual = "is not a GGUF file; a model is one, or a Hugging Face folder"
                raise CheckpointError(f"{path} {next(other, usual)}")
            _require_version(path, begin[4:8])
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                values, end = _Reader(data).header()
                if end <= len(data):
                    return GgufHeader(values)
    except FileNotFoundError as error:
        msg = f"{path} does not exist; `model-prep models` lists what can be pulled"
        raise CheckpointError(msg) from error
    except OSError as error:
        raise CheckpointError(f"{path} can't be read ({error.strerror or error})") from error
    except (struct.error, ValueError, IndexError) as error:
        raise _truncated(path) from error
    raise _truncated(path)


def read_model_header(path: Path) -> GgufHeader:
    """Read the header of a GGUF file that llama.cpp is to answer with.

    Raises:
        CheckpointError: as by `read_gguf_header`, or the file is not a language model, or a part of
            one whose other parts are not there.
    """
    header = read_gguf_header(path)
    reason = header.other_than_a_model or _incomplete(
        path, header.values.get("split.no"), header.values
    )
    if not reason and not header.values.get("tokenizer.ggml.tokens"):
        reason = "holds no tokenizer; get a complete model"
    if reason:
        raise CheckpointError(f"{path} {reason}")
    return header


def _incomplete(path: Path, number: int | None, values: dict[str, Any]) -> str:
    """Return what is wrong with a file that is one of several parts, as llama.cpp names them."""
    if number is None or (count := values.get("split.count", 1)) < 2:
        return ""
    parts = _part_names(path, count)
    if number or path.name != parts[0]:
        return f"is part {number + 1} of {count}; name the first one, which is called {parts[0]}"
    missing = next((part for part in parts if not path.with_name(part).is_file()), None)
    return f"is the first of {count} parts; put {missing} beside it" if missing else ""


def part_of(path: Path, header: GgufHeader) -> tuple[str, list[str]]:
    """Return which part of a split model a file is, and the names of those not beside it.

    Returns:
        Such as ``part 2 of 3``, empty for a model in one file.
    """
    count = header.values.get("split.count", 1)
    if count < 2:
        return "", []
    missing = [name for name in _part_names(path, count) if not path.with_name(name).is_file()]
    return f"part {header.values.get('split.no', 0) + 1} of {count}", missing


def _part_names(path: Path, count: int) -> list[str]:
    named = _PART.fullmatch(path.name)
    prefix = named[1] if named else path.stem
    return [f"{prefix}-{i:05}-of-{count:05}.gguf" for i in range(1, count + 1)]


def _require_version(path: Path, version: bytes) -> None:
    if len(version) < 4 or (number := int.from_bytes(version, "little")) in _VERSIONS:
        return
    if int.from_bytes(version, "big") in _VERSIONS:
        msg = f"{path} is for machines with the other byte order; get one for this machine"
    else:
        msg = f"{path} has GGUF version {number}, which is not supported; convert it again"
    raise CheckpointError(msg)


def _truncated(path: Path) -> CheckpointError:
    size = path.stat().st_size
    return CheckpointError(
        f"{path} is truncated or damaged ({size:,} bytes); copy or pull it again"
    )


class _Reader:
    """Values of a GGUF file, one after the other."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 4

    def header(self) -> tuple[dict[str, Any], int]:
        """Return the keys and values, and where the data of the last tensor ends."""
        from gguf import GGML_QUANT_SIZES, GGUF_DEFAULT_ALIGNMENT

        _, tensor_count, key_count = self._unpack("IQQ")
        values = {self._string(): self._value(*self._unpack("I")) for _ in range(key_count)}
        sizes: dict[int, tuple[int, int]] = {
            int(kind): size for kind, size in GGML_QUANT_SIZES.items()
        }
        end = 0
        for _ in range(tensor_count):
            self._string()
            shape = self._unpack(f"{self._unpack('I')[0]}Q")
            kind, offset = self._unpack("IQ")
            weights, size = sizes.get(kind, (1, 0))  # a newer type: it should begin in the file
            end = max(end, offset + prod(shape) // weights * size)
        alignment = values.get("general.alignment", GGUF_DEFAULT_ALIGNMENT)
        return values, -(-self._at // alignment) * alignment + end

    def _unpack(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(f"<{form}")
        return found

    def _string(self) -> str:
        return self._strings(1)[0]

    def _strings(self, count: int) -> list[str]:
        """Read many strings, in a loop that is as short as can be."""
        data, at, end, strings = self._data, self._at, len(self._data), []
        size_at = struct.Struct("<Q").unpack_from
        for _ in range(count):
            begin = at + 8
            at = begin + size_at(data, at)[0]
            if at > end:
                raise ValueError("end of file")
            strings.append(data[begin:at].decode(errors="replace"))
        self._at = at
        return strings

    def _value(self, kind: int) -> Any:
        from gguf import GGUFValueType

        if kind == GGUFValueType.STRING:
            return self._string()
        if kind != GGUFValueType.ARRAY:
            return self._unpack(_SCALARS[kind])[0]
        item, count = self._unpack("IQ")
        if item == GGUFValueType.STRING:
            return self._strings(count)
        if item == GGUFValueType.ARRAY:
            return [self._value(item) for _ in range(count)]
        if count > len(self._data):
            raise ValueError("end of file")
        return list(self._unpack(f"{count}{_SCALARS[item]}"))
