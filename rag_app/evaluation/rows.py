"""Files of question sets as rows of JSON, whatever their format."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rag_app.errors import DocumentError

_LISTS = ("questions", "examples", "items")  # what an object may call the list of its questions

Record = Mapping[str, Any]


def read_rows(path: Path) -> Iterator[tuple[int, Record]]:
    """Yield the objects of a JSON Lines file, or of a JSON array, with their 1-based numbers.

    Raises:
        DocumentError: the file can't be read, or a line is not a JSON object.
    """
    text = read_text(path)
    yield from rows_of(path, text, parsed(text))


def read_text(path: Path) -> str:
    """Return the text of a file, gzipped or not.

    Raises:
        DocumentError: it can't be read, or is empty, damaged, binary or not in UTF-8.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path} can't be read ({error.strerror}); name a question set"
        raise DocumentError(msg) from error
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DocumentError(f"{path} is damaged ({error}); fetch it again") from error
    if not data.strip():
        raise DocumentError(f"{path} is empty; name a question set")
    if b"\0" in data:
        raise DocumentError(f"{path} is binary; a question set is JSON, or a folder as BEIR has it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(f"{path}:{line} is not UTF-8; convert the file") from error


def parsed(text: str) -> Any:
    """Return the value of a text that is JSON as a whole, else None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def rows_of(path: Path, text: str, value: Any) -> Iterator[tuple[int, Record]]:
    """Yield the objects of a parsed array, or of lines, with their numbers."""
    first = 1
    if isinstance(value, dict):
        listed = next((value[name] for name in _LISTS if isinstance(value.get(name), list)), None)
        if listed is None:
            first += text[: text.index("{")].count("\n")
        value = [value] if listed is None else listed
    if isinstance(value, list):
        for number, row in enumerate(value, first):
            if not isinstance(row, dict):
                raise DocumentError(f"{path}: item {number} is not a JSON object")
            yield number, row
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DocumentError(f"{path}:{number} is not a question: no JSON ({error})") from error
        if not isinstance(row, dict):
            raise DocumentError(f"{path}:{number} is not a question: no JSON object")
        yield number, row


def unwritable(path: Path, error: OSError) -> DocumentError:
    """Return the error for a file that can't be written."""
    return DocumentError(f"{path} can't be written ({error.strerror or error}); name another file")
