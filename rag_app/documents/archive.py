"""Office files and EPUB are ZIP archives of XML: bombs are refused before a parser sees them.

The limits follow what is known of such attacks: one entry that inflates a thousandfold, many
entries that share the same bytes (David Fifield, "A better zip bomb", 2019), XML entities that
multiply ("billion laughs"), and XML that is merely too much for a parser that keeps it all.
"""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

from rag_app.documents.text import shown
from rag_app.errors import DocumentError

MAX_UNPACKED = 512 * 2**20
"""Bytes of all entries together."""
MAX_XML = 64 * 2**20
"""Bytes of the XML of a document; a novel has 10 MB."""
MAX_TAGS = 2_000_000
"""Opening and closing tags in it: the parsers keep all, at about 1 KB each; a novel has 500,000."""
MAX_SHEETS_XML = 256 * 2**20
"""Bytes of the XML of a workbook besides what is read row by row."""
MAX_ROWS_XML = 2**30
"""Bytes of the XML that is read row by row; a million rows of eight columns have 400 MB."""
ROOT = 4096
"""Bytes of a part in which its root stands."""
MAX_ENTRIES = 10_000
MAX_RATIO = 200
"""Unpacked to packed, where an entry has more than `_SMALL` bytes; real ones stay below 60."""
_SMALL = 10 * 2**20
_PIECE = 2**18
_PLAIN_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""The only ones that ECMA-376 part 2 and EPUB OCF allow."""
_BEFORE_MARKUP = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"
_ENTITIES = tuple("<!ENTITY".encode(codec) for codec in ("utf-8", "utf-16-le", "utf-16-be"))

_DOCTYPE = re.compile(r"<!DOCTYPE(?:[^\[>\"']|\"[^\"]*\"|'[^']*')*(?:\[.*?\]\s*)?>", re.S | re.I)
_ENTITY = re.compile(r"<!ENTITY\s+([\w.:-]+)\s+([\"'])(.*?)\2\s*>", re.S)
_USE = re.compile(r"&([A-Za-z_][\w.:-]*);")
_SMALL_TEXT = 100_000


@dataclass
class _Count:
    """What an archive was found to hold so far."""

    unpacked: int = 0
    markup: int = 0
    tags: int = 0
    rows: int = 0  # bytes of what is read row by row, which are not counted elsewhere


def check_archive(
    data: bytes,
    name: str,
    *,
    max_xml: int = MAX_XML,
    max_tags: int | None = MAX_TAGS,
    entities: bool = False,
    of_rows: "re.Pattern[bytes] | None" = None,
) -> None:
    """Unpack an archive piece by piece, keeping nothing, to see that it is harmless.

    Sizes are counted, not believed: the directory of an archive can lie.

    Args:
        data: The whole archive.
        name: What errors call it.
        max_xml: Most bytes of markup in it.
        max_tags: Most tags in its markup; None where they are read one by one.
        entities: Whether XML entities may be declared, since `expand_entities` bounds them.
        of_rows: Root of parts that are read row by row, and may be larger than others.

    Raises:
        DocumentError: it is damaged, encrypted, far too large unpacked, or declares XML entities.
    """
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_directory(entries, len(data), name)
            count = _Count()
            for entry in entries:
                _check_entry(archive, entry, name, count, entities=entities, of_rows=of_rows)
                if count.markup > max_xml:
                    raise _bomb(name, f"more than {max_xml // 2**20} MB of XML")
                if max_tags is not None and count.tags > max_tags:
                    raise _bomb(name, f"more than {max_tags:,} XML tags")
    except DocumentError:
        raise
    except Exception as error:  # zipfile and zlib have many, for each way of being damaged
        msg = f"{shown(name)} is damaged ({_line(error)}); open it in its program and save it again"
        raise DocumentError(msg) from error


def _check_directory(entries: list[zipfile.ZipInfo], packed: int, name: str) -> None:
    if len(entries) > MAX_ENTRIES:
        raise _bomb(name, f"{len(entries):,} files")
    if any(entry.flag_bits & 1 for entry in entries):
        raise DocumentError(f"{shown(name)} needs a password; save a copy without one")
    if any(entry.compress_type not in _PLAIN_METHODS for entry in entries):
        msg = f"{shown(name)} is packed in a way that its format does not allow; save it again"
        raise DocumentError(msg)
    if sum(entry.compress_size for entry in entries) > packed:
        raise _bomb(name, "files that share their bytes")


def expand_entities(markup: str, name: str) -> str:
    """Return XML with the entities that it declares replaced, and without its declaration of type.

    Entities may be made of others, which could multiply; one that is elsewhere is not fetched.

    Raises:
        DocumentError: they are made of each other, or make the text more than twice as long.
    """
    start = markup.lower().find("<!doctype", 0, _SMALL_TEXT)
    match = _DOCTYPE.match(markup, start, start + _SMALL_TEXT) if start >= 0 else None
    if match is None:
        return markup
    if "<!ENTITY" not in match[0]:
        return markup[: match.start()] + markup[match.end() :]
    values = {entity[1]: entity[3] for entity in _ENTITY.finditer(match[0])}
    body = markup[: match.start()] + markup[match.end() :]
    for _ in range(len(values) + 1):
        if not any(other in values for value in values.values() for other in _USE.findall(value)):
            break
        if sum(_length(value, values) for value in values.values()) > _SMALL_TEXT:
            raise _entities(name)
        values = {entity: _replaced(value, values) for entity, value in values.items()}
    else:
        raise _entities(name)
    if _length(body, values) > 2 * max(len(body), _SMALL_TEXT):
        raise _entities(name)
    return _replaced(body, values)


def _length(text: str, values: Mapping[str, str]) -> int:
    """Return how long a text is, at most, with its entities replaced."""
    return len(text) + sum(len(values.get(entity, "")) for entity in _USE.findall(text))


def _replaced(text: str, values: Mapping[str, str]) -> str:
    return _USE.sub(lambda use: values.get(use[1], use[0]), text)


def _check_entry(
    archive: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    name: str,
    count: _Count,
    *,
    entities: bool,
    of_rows: "re.Pattern[bytes] | None",
) -> None:
    """Add what an entry really holds to the count."""
    size, previous, markup, rows = 0, b"", False, False
    with archive.open(entry) as file:
        while piece := file.read(_PIECE):
            rows = rows or (
                size == 0 and of_rows is not None and bool(of_rows.search(piece[:ROOT]))
            )
            # By content: a part may have any name, and its parser takes it for XML.
            markup = markup or (size == 0 and piece[:64].lstrip(_BEFORE_MARKUP)[:1] == b"<")
            size += len(piece)
            count.rows += len(piece) if rows else 0
            count.unpacked += 0 if rows else len(piece)
            if count.rows > MAX_ROWS_XML:
                raise _too_many_rows(name)
            large = size > _SMALL and size > MAX_RATIO * entry.compress_size
            if large or count.unpacked > MAX_UNPACKED:
                raise _bomb(name, f"more than {size // 2**20} MB")
            if markup:
                count.markup += 0 if rows else len(piece)
                count.tags += piece.count(b"<")
                # No office program declares entities.
                if not entities and any(mark in previous[-16:] + piece for mark in _ENTITIES):
                    raise _entities(name)
            previous = piece


def _entities(name: str) -> DocumentError:
    return DocumentError(
        f"{shown(name)} declares XML entities, as attacks on parsers do: refused; "
        "if you trust it, save it as PDF or text"
    )


def _bomb(name: str, what: str) -> DocumentError:
    return DocumentError(
        f"{shown(name)} unpacks to {what}, as a decompression bomb does: refused; "
        "if you trust it, save it as PDF or text, a table as xlsx or CSV"
    )


def _too_many_rows(name: str) -> DocumentError:
    return DocumentError(
        f"{shown(name)} has more than {MAX_ROWS_XML // 2**20:,} MB of rows; "
        "save the rows and columns needed as files of their own"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
