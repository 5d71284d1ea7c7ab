"""JSON and JSON Lines → lines of ``path: value``, and notebooks → Markdown."""

import re
from collections.abc import Iterator
from typing import Any

from rag_app.documents.encodings.detection import decode
from rag_app.documents.formats import ExtractedText
from rag_app.documents.text import clean, one_blank_line, shown
from rag_app.documents.web.html import page_markdown, words_of_markup
from rag_app.documents.web.json_values import joined_pieces, parsed_json
from rag_app.documents.web.markdown_source import shown_markdown
from rag_app.errors import DocumentError
from rag_app.settings import CHUNK_SIZE

MAX_CHARACTERS = 100_000_000
"""Characters of the text of one file: each value has its path, which may be long."""
_ESCAPED = re.compile(r"\\u((?:3[0-9a-f]|[4-9][0-9a-f]|ff)[0-9a-f]{2})", re.IGNORECASE)
_BLOB = re.compile(
    r"(?:data:[\w/+.;=-]+,)?[A-Za-z0-9+/_=-]{200,}\s*|data:[\w/+.-]+;base64,.*", re.S
)
"""Bytes written as text (base64, hexadecimal): not for readers."""
_NO_BASE64, _DAMAGED_SHARE = re.compile(r"[^A-Za-z0-9+/=]"), 0.02
"""What is damaged in them, and which share of them."""
_CODES, _MANY_CODES = re.compile("[A-Z0-9]"), 0.3
"""What words have few of, and their share in bytes."""
_LONG_BLOB, _LINE = 100, 30
"""Characters that such bytes have at least, and one line of them."""
_MOST_FIELDS = 20  # values of a record that is told in one line though it is longer than a passage
_OBJECT = re.compile(r"<[^<>\n]*>")
"""How Python shows what has no text: ``<Figure size 640x480 with 1 Axes>``."""


def read_json(data: bytes, name: str, encoding: str | None = None) -> ExtractedText:
    """Return the values of JSON or JSON Lines, each with its path; a record is one line.

    Raises:
        DocumentError: it is neither, or too much.
    """
    text, codec = decode(data, name, encoding)
    values, broken = parsed_json(text.removeprefix("\ufeff"), name)
    blobs = [0]
    read = _joined(_lines(values, "", blobs), codec, blobs, name)
    return read._replace(notes=[*read.notes, *broken])


def read_notebook(data: bytes, name: str, encoding: str | None = None) -> ExtractedText:
    """Return the text, code and written results of a Jupyter notebook (nbformat 4, and 3)."""
    text, codec = decode(data, name, encoding)
    book, _ = parsed_json(text.removeprefix("\ufeff"), name)
    sheets = book.get("worksheets") or [book]
    language = book.get("metadata", {}).get("language_info", {}).get("name", "python")
    parts: list[str] = []
    pictures = 0
    for cell in (cell for sheet in sheets for cell in sheet.get("cells", [])):
        source = _source(cell.get("source", cell.get("input", "")))
        if cell.get("cell_type") != "code":
            source = shown_markdown(_unescaped(source))
            parts.append(f"# {source}" if cell.get("cell_type") == "heading" else source)
            continue
        parts.append(f"```{language}\n{source}\n```" if source.strip() else "")
        for output in cell.get("outputs", []):
            result, picture = _output(output)
            parts.append(result)
            pictures += picture
    notes = [f"{pictures} pictures in results were not read"] if pictures else []
    return ExtractedText(one_blank_line(clean("\n\n".join(parts))), codec, notes=notes)


def json_lines(value: Any) -> Iterator[str]:
    """Yield the lines of a value of JSON, without those of encoded bytes."""
    yield from _lines(value, "", [0])


def is_blob(text: str) -> bool:
    """Return whether a text is bytes, in lines or one, a few of which may be damaged."""
    lines = text.split()
    joined = "".join(lines)
    if len(joined) < _LONG_BLOB or max(map(len, lines[:2])) < _LINE:
        return bool(_BLOB.fullmatch(text))
    if _BLOB.fullmatch(joined):
        return True
    codes = "://" not in joined and len(_CODES.findall(joined)) >= _MANY_CODES * len(joined)
    return codes and len(_NO_BASE64.findall(joined)) <= _DAMAGED_SHARE * len(joined)


def _lines(value: Any, path: str, blobs: list[int]) -> Iterator[str]:
    """Yield a value's lines; ``blobs`` counts the strings that are left out."""
    waiting = [(path, value)]
    while waiting:
        path, value = waiting.pop()
        label = f"{path}: " if path else ""
        if isinstance(value, dict) and _is_record(value):
            pairs = ((key, _scalar(item, blobs)) for key, item in value.items())
            line = "; ".join(f"{key}: {text}" for key, text in pairs if text)
            yield label + line if line else ""
        elif isinstance(value, dict):
            inner = [(f"{path}.{key}" if path else key, item) for key, item in value.items()]
            waiting.extend(reversed(inner))
        elif isinstance(value, list) and (text := joined_pieces(value)) is not None:
            yield label + _scalar(text, blobs)
        elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
            waiting.extend((path, item) for item in reversed(value))
        else:
            items = value if isinstance(value, list) else [value]
            text = "; ".join(filter(None, (_scalar(item, blobs) for item in items)))
            yield label + text if text else ""


def _is_record(value: dict[str, Any]) -> bool:
    """Return whether an object is told in one line: it is flat, and no long list of names."""
    if any(isinstance(item, dict | list) for item in value.values()):
        return False
    if len(value) <= _MOST_FIELDS:
        return True
    return sum(len(key) + len(str(item)) for key, item in value.items()) <= CHUNK_SIZE


def _scalar(value: object, blobs: list[int]) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        blob = is_blob(value)
        blobs[0] += blob
        return "" if blob else words_of_markup(_unescaped(value.strip()))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unescaped(text: str) -> str:
    """Return text with the Han in it that was escaped twice, as in JSON that holds JSON."""
    return _ESCAPED.sub(lambda code: chr(int(code[1], 16)), text)


def _joined(lines: Iterator[str], codec: str, blobs: list[int], name: str) -> ExtractedText:
    kept: list[str] = []
    size = 0
    for line in filter(None, lines):
        size += len(line) + 1
        if size > MAX_CHARACTERS:
            msg = f"{shown(name)} holds more than {MAX_CHARACTERS:,} characters; split it"
            raise DocumentError(msg)
        kept.append(line)
    return ExtractedText(clean("\n".join(kept)), codec, notes=notes_of_blobs(blobs))


def notes_of_blobs(blobs: list[int]) -> list[str]:
    """Return a note of how many values were bytes, if any."""
    return [f"{blobs[0]} values that are encoded bytes were left out"] if blobs[0] else []


def _source(lines: object) -> str:
    return "".join(map(str, lines)) if isinstance(lines, list) else str(lines or "")


def _output(output: dict[str, Any]) -> tuple[str, bool]:
    """Return the text of a result, and whether it is only a picture."""
    if output.get("output_type") in {"error", "pyerr"}:
        return f"{output.get('ename')}: {output.get('evalue')}", False
    if "text" in output and "data" not in output:
        return _source(output["text"]).strip(), False
    found = output.get("data", {})
    picture = any(str(kind).startswith("image/") for kind in found)
    for kind in ("text/markdown", "text/html", "application/json", "text/plain"):
        if kind in found:
            text = _shown(kind, found[kind])
            # Of a picture the text only says what kind of object it is.
            return ("", True) if picture and _OBJECT.fullmatch(text) else (text, False)
    return "", picture


def _shown(kind: str, content: Any) -> str:
    if kind == "application/json":
        return "\n".join(filter(None, json_lines(content)))
    text = _source(content)
    return page_markdown(text) if kind == "text/html" else text.strip()
