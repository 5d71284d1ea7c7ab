"""Text in an encoding that is named: by whoever reads it, by the file, or by marks in it."""

import codecs

from rag_app.documents.encodings.character_frequency import frequent
from rag_app.documents.encodings.damage import SKIPPED
from rag_app.documents.encodings.likelihood import PLAUSIBLE, plausibility, sample_of
from rag_app.documents.encodings.rare import iso_2022_cn
from rag_app.errors import DocumentError

Found = tuple[str, str]
MIXED = "utf-8+gb18030"
"""The name of text of which some lines are in the one and some in the other."""
_SIMPLIFIED = "iso2022_cn"  # the name of what Python has no codec for
_SEVEN_BIT = (
    (b"\x1b$)C", "iso2022_kr"),
    (b"\x1b$B", "iso2022_jp"),
    (b"\x1b$@", "iso2022_jp"),
    (b"\x1b$B", "iso2022_jp_ext"),
    (b"~{", "hz"),
    (b"+", "utf-7"),
)
"""Marks of the encodings that shift between ASCII and others (RFC 1557, 1468, 1843, 2152)."""
_SHORT = 64  # bytes in which all characters of another encoding may be UTF-8 by chance
DAMAGE = 0.002
"""Share of characters that may be damaged (a file cut in a character, a bad sector)."""


def decode_as(data: bytes, name: str, encoding: str) -> Found:
    """Return text in an encoding that its reader names, and the name of the codec.

    Raises:
        DocumentError: there is no such encoding, or the text is in another one.
    """
    if encoding == MIXED:
        return line_by_line(data, "replace"), MIXED
    if encoding == _SIMPLIFIED and (text := iso_2022_cn(data)) is not None:
        return text, _SIMPLIFIED
    try:
        codec = codecs.lookup(encoding).name
        b"-".decode(encoding, "replace")  # refuses codecs such as base64, which make no text
    except (LookupError, ValueError):
        msg = f"unknown encoding {encoding!r}; try utf-8, gb18030 or big5, or leave it out"
        raise DocumentError(msg) from None
    # A mark at the front is not part of the text, whichever way the encoding was written.
    codec = "utf-8-sig" if codec == "utf-8" and data.startswith(codecs.BOM_UTF8) else codec
    try:
        return data.decode(codec, errors_of(codec)), codec
    except UnicodeError as error:
        where = f" at byte {error.start:,}" if isinstance(error, UnicodeDecodeError) else ""
        msg = f"{name} can't be read as {encoding}{where}; give its encoding, or leave it out"
        raise DocumentError(msg) from None


def errors_of(codec: str) -> str:
    """Return the handler of errors with which an encoding is read."""
    return "windows-936" if codec in {"gbk", "gb18030", "gb2312"} else "strict"


def _euro(error: UnicodeError) -> tuple[str, int]:
    """Return € for the byte 0x80, as Windows' code page 936 has it."""
    if isinstance(error, UnicodeDecodeError) and error.object[error.start] == 0x80:
        return "€", error.start + 1
    raise error


codecs.register_error("windows-936", _euro)


def strict(data: bytes, codec: str) -> str | None:
    """Return text in an encoding, None where a byte of it is wrong."""
    try:
        return data.decode(codec, errors_of(codec))
    except UnicodeDecodeError:
        return None


def line_by_line(data: bytes, errors: str) -> str:
    """Return text of which each line is UTF-8 or else GB 18030."""
    lines = []
    for line in data.split(b"\n"):
        text = strict(line, "utf-8")
        lines.append(line.decode("gb18030", errors) if text is None else text)
    return "\n".join(lines)


def in_declared(data: bytes, declared: str | None, *, damaged: bool = False) -> Found | None:
    """Return text in the encoding that it names; where a few bytes are wrong, those as U+FFFD."""
    try:
        if not declared:
            return None
        text = data.decode(declared, "replace") if damaged else strict(data, declared)
    except (LookupError, ValueError):
        return None
    if text is None or text.count(SKIPPED) > max(1, DAMAGE * len(text)):
        return None
    return text, codecs.lookup(declared).name


def declared_chinese(data: bytes, declared: str | None) -> Found | None:
    """Return short Chinese text that is valid UTF-8 by chance, as 通知 in GBK is."""
    if declared is None or len(data) > _SHORT or declared.startswith("utf"):
        return None
    other, found = strict(data, "utf-8"), in_declared(data, declared)
    if other is None or found is None or not sample_of(other) or max(other) >= "\u0800":
        return None
    return found if all(char in frequent() for char in sample_of(found[0])) else None


def seven_bit(data: bytes) -> Found | None:
    """Return text of bytes below 128 that shift between ASCII and two bytes to a character."""
    if not data.isascii():
        return None
    for mark, codec in _SEVEN_BIT:
        text = strict(data, codec) if mark in data else None
        certain = mark[:1] == b"\x1b"  # what people type may hold ~{
        if text and (certain or (len(sample_of(text)) >= 4 and plausibility(text) > PLAUSIBLE)):
            return text, codec
    text = iso_2022_cn(data)
    return None if text is None else (text, _SIMPLIFIED)


def in_utf32(data: bytes) -> Found | None:
    """Return text in UTF-32 without a mark: of four bytes of a character two tell nothing.

    Example:
        >>> in_utf32("水泵".encode("utf-32-le")), in_utf32("水泵".encode("utf-16-le"))
        (('水泵', 'utf-32-le'), None)
    """
    ways = (("utf-32-le", data[2::4], data[3::4]), ("utf-32-be", data[1::4], data[::4]))
    for codec, plane, unused in ways if len(data) % 4 == 0 else ():
        # Most lies in the first plane.
        if not any(unused) and 2 * plane.count(0) > len(plane) and (text := strict(data, codec)):
            return text, codec
    return None
