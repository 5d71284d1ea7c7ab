"""The values of JSON and JSON Lines, with their numbers as they are written."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from rag_app.documents.text import shown
from rag_app.errors import DocumentError

_ESCAPE_WITHOUT_SIGN = re.compile(
    r"(?<=\\u[0-9a-f]{4})[^\\\"\s](?=u[0-9a-f]{4}(?:\\u|\"))", re.IGNORECASE
)
"""A damaged backslash among characters that are all escaped."""
_PIECES = frozenset({"text", "span"})
"""Types of objects that are a piece of a text (ProseMirror's, Portable Text's)."""
_FORMATS = frozenset(
    """
    type _type _key text marks attrs style styles format mode detail version annotations
    bold italic underline strike strikethrough code color href url language user_id document_id
    """.split()  # noqa: SIM905
)
"""What such objects hold: one with more is more than a piece."""
_SPACE = re.compile(r"\s*")
_MOST_BROKEN = 0.5  # share of lines that are no JSON from which on a file is none


def parsed_json(text: str, name: str) -> tuple[Any, list[str]]:
    r"""Return the value of JSON, a list for JSON Lines and for several values; and notes.

    Numbers are strings, as they are written. Lines that are broken are left out and noted.

    Raises:
        DocumentError: it is neither, or nested too deep.

    Example:
        >>> parsed_json('{"a": 0.10}\n{"a": "b"}', "a.jsonl")
        ([{'a': '0.10'}, {'a': 'b'}], [])
    """
    text = _ESCAPE_WITHOUT_SIGN.sub(r"\\", text)
    decoder = json.JSONDecoder(
        object_pairs_hook=_object, parse_float=str, parse_int=str, parse_constant=str
    )
    try:
        values = list(_values(text, decoder))
    except RecursionError as error:
        raise DocumentError(f"{shown(name)} is nested too deep to be read") from error
    except ValueError as error:
        return _whole_lines(text, name, decoder, error)
    return (values[0] if len(values) == 1 else values), []


def joined_pieces(items: list[Any]) -> str | None:
    r"""Return the text of a list that holds it in pieces, None if it holds something else.

    Editors and chats store text so whose parts are formatted: as strings beside objects, or as
    objects that say so of themselves.

    Example:
        >>> joined_pieces(["见 ", {"type": "link", "text": "手册"}]), joined_pieces([{"text": "a"}])
        ('见 手册', None)
    """
    objects = [item for item in items if isinstance(item, dict)]
    kinds = [item.get("type", item.get("_type")) for item in objects]
    formatted = any(len(item) > 2 for item in objects) or len(items) == 1
    mixed = len(objects) < len(items) and None not in kinds
    alike = formatted and not _PIECES.isdisjoint(map(str, kinds))
    if not objects or not (mixed or alike) or not all(map(_FORMATS.issuperset, objects)):
        return None
    pieces = [_piece(item) for item in items]
    return None if None in pieces else "".join(map(str, pieces))


def _piece(item: Any) -> str | None:
    if isinstance(item, str):
        return item
    if not isinstance(item, dict):
        return None
    for holder in (item, item.get("attrs")):
        if isinstance(holder, dict) and isinstance(holder.get("text"), str):
            return str(holder["text"])
    return "\n" if item.keys() == {"type"} else None  # the end of a line


def _values(text: str, decoder: json.JSONDecoder) -> Iterator[Any]:
    """Yield the values that stand one after the other; those after the first are no plain ones."""
    at = _SPACE.match(text).end()  # type: ignore[union-attr]
    first = True
    while first or at < len(text):
        value, end = decoder.raw_decode(text, at)
        if not (first or isinstance(value, dict | list)):
            raise json.JSONDecodeError("Extra data", text, at)
        yield value
        first, at = False, _SPACE.match(text, end).end()  # type: ignore[union-attr]


def _whole_lines(
    text: str, name: str, decoder: json.JSONDecoder, error: ValueError
) -> tuple[list[Any], list[str]]:
    """Return the values of the lines that are not broken, and a note of the others."""
    lines = [(at, line) for at, line in enumerate(text.split("\n"), 1) if line.strip()]
    values: list[Any] = []
    broken: list[int] = []
    for at, line in lines:
        try:
            values += list(_values(line, decoder))  # all of a line, or none
        except (ValueError, RecursionError):
            broken.append(at)
    if len(broken) >= _MOST_BROKEN * len(lines) or (broken and not _are_records(values)):
        msg = f"{shown(name)} is not valid JSON ({error}); correct it, or name a copy .txt"
        raise DocumentError(msg) from error
    numbers = ", ".join(map(str, broken[:10])) + (", …" if len(broken) > 10 else "")
    note = f"{len(broken)} of {len(lines)} lines are not valid JSON and were not read"
    return values, [f"{note} (line {numbers})"] if broken else []


def _are_records(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(value, dict | list) for value in values)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; a name that it gives twice holds the list of both values."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    values: dict[str, list[Any]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return {key: given if len(given) > 1 else given[0] for key, given in values.items()}
