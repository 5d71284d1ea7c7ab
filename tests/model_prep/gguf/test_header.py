"""The header of GGUF files, and files that are not whole: seen before a C++ library reads them."""

import struct
from pathlib import Path
from typing import Any

import pytest

from model_prep.errors import CheckpointError
from model_prep.gguf.exporter import export_gguf
from model_prep.gguf.header import read_gguf_header, read_model_header
from tests.model_prep.tiny_qwen2 import SPECIAL, TEMPLATE, make_qwen2


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf(elements: int = 64) -> bytes:
    """A file of one float32 tensor, with values of several kinds before it."""
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 3)
    head += string("general.alignment") + struct.pack("<II", 4, 32)
    head += string("names") + struct.pack("<IIQ", 9, 8, 2) + string("一") + string("two")
    head += string("numbers") + struct.pack("<IIQ", 9, 5, 3) + struct.pack("<iii", 1, 2, 3)
    head += string("weight") + struct.pack("<IQIQ", 1, elements, 0, 0)
    return head + b"\0" * (-len(head) % 32) + b"\0" * 4 * elements


def test_a_whole_file_passes(tmp_path: Path) -> None:
    file = tmp_path / "模型.gguf"
    file.write_bytes(gguf())
    assert read_gguf_header(file).values == {
        "general.alignment": 32,
        "names": ["一", "two"],
        "numbers": [1, 2, 3],
    }


@pytest.mark.parametrize("length", [5, 20, 40, 60, 100, 150, len(gguf()) - 1])
def test_a_file_cut_off_anywhere_is_named(tmp_path: Path, length: int) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf()[:length])
    with pytest.raises(CheckpointError, match=r"model\.gguf is truncated or damaged"):
        read_gguf_header(file)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a GGUF"),
        (b"PK\x03\x04", "not a GGUF"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "git lfs pull"),
        (b"tjgg\x03\0\0\0", "llama.cpp's older format"),
        (gguf().replace(struct.pack("<I", 3), struct.pack(">I", 3), 1), "other byte order"),
        (gguf().replace(struct.pack("<I", 3), struct.pack("<I", 1), 1), "version 1"),
    ],
)
def test_another_format(tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match=said):
        read_gguf_header(file)


def kind_of_model(**values: str | int) -> bytes:
    """A file of keys alone, texts or numbers."""
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, len(values))
    for name, value in values.items():
        key = string(name.replace("_", "."))
        is_text = isinstance(value, str)
        head += key + struct.pack("<I", 8 if is_text else 4)
        head += string(value) if isinstance(value, str) else struct.pack("<I", value)
    return head + b"\0" * (-len(head) % 32)


SPLIT = {"split_no": 0, "split_count": 2}


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("model.gguf", {"general_type": "adapter"}, "is a LoRA"),
        ("model.gguf", {"general_type": "model", "general_architecture": "clip"}, "reads pictures"),
        ("model.gguf", {"general_architecture": "bert"}, "is an encoder"),
        ("model.gguf", {"general_architecture": "llama"}, "holds no tokenizer"),
        ("a-00001-of-00002.gguf", SPLIT, "put a-00002-of-00002.gguf beside it"),
        ("a-00002-of-00002.gguf", {**SPLIT, "split_no": 1}, "called a-00001-of-00002.gguf"),
        ("renamed.gguf", SPLIT, "called renamed-00001-of-00002.gguf"),
    ],
)
def test_what_is_no_language_model_is_named(
    name: str, values: dict[str, Any], said: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(kind_of_model(**values))
    assert read_gguf_header(file).values
    with pytest.raises(CheckpointError, match=said):
        read_model_header(file)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        read_gguf_header(tmp_path / "none.gguf")


def test_a_hostile_length_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 2**60))
    with pytest.raises(CheckpointError, match="damaged"):
        read_gguf_header(file)


def test_it_says_what_the_library_says(tmp_path: Path) -> None:
    from gguf import GGUFReader, TokenType

    model = make_qwen2(tmp_path / "qwen2", ["唐代诗人 the quick brown fox"] * 9)
    file = export_gguf(model).path
    expected = {name: field.contents() for name, field in GGUFReader(file).fields.items()}
    header = read_gguf_header(file)
    assert header.values == {
        name: value for name, value in expected.items() if not name.startswith("GGUF.")
    }
    assert header.chat_template == TEMPLATE
    assert header.tokens(TokenType.USER_DEFINED) == ["<tool_call>"]
    assert set(header.tokens(TokenType.CONTROL)) >= set(SPECIAL)
