"""Outlook's wrapper of a mail's text and files (MS-OXTNEF, ``winmail.dat``)."""

import struct
from collections.abc import Iterator

from rag_app.documents.encodings.detection import decode
from rag_app.documents.formats import ExtractedText
from rag_app.documents.mail.message import mail_text
from rag_app.documents.office.outlook import moment_of, rtf_text
from rag_app.documents.parts import ReadPart, read_parts
from rag_app.documents.web.html import declared_charset, page_markdown

_SUBJECT, _BODY, _MESSAGE_PROPERTIES, _CODE_PAGE = 0x18004, 0x2800C, 0x69003, 0x69007
_FILE, _FILE_NAME, _FILE_DATA, _FILE_PROPERTIES = 0x69002, 0x18010, 0x6800F, 0x69005
"""Attributes: of the message, and of each file, which the first of its four begins."""
_FIXED = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
"""Bytes of the properties that are of one size, by their type; smaller ones are filled up."""
_UNICODE, _OBJECT, _SEVERAL = 0x1F, 0x0D, 0x1000
_NAMED = 0x8000  # properties from here on carry a name
_HEAD, _ATTRIBUTE = 6, 9
"""Bytes in front of all attributes and of each."""
_INTERFACE = 16  # bytes in front of an object

Properties = dict[int, tuple[int, bytes]]
"""Type and first value, by identifier."""


def read_tnef(data: bytes, name: str, read_part: ReadPart) -> ExtractedText:
    """Return the message in it, and the files that it was sent with."""
    message = _Message(name)
    for key, value, is_whole in _attributes(data):
        message.add(key, value, is_whole=is_whole)
    texts, notes = read_parts(message.attachments(), read_part)
    text = "\n\n".join(filter(None, [message.text(), *texts]))
    return ExtractedText(text, notes=[*message.notes, *notes])


class _Message:
    def __init__(self, name: str) -> None:
        self._damaged = 0
        self._notes: list[str] = []
        self._name = name
        self._attributes: dict[int, bytes] = {}
        self._files: list[dict[int, bytes]] = []

    @property
    def notes(self) -> list[str]:
        """What was not read."""
        damaged = (
            f"{self._damaged} parts of the message are damaged and were not read; get it again"
        )
        return [*self._notes, *([damaged] if self._damaged else [])]

    def add(self, key: int, value: bytes, *, is_whole: bool) -> None:
        """Take an attribute, of the message or of the file that was begun last."""
        if not is_whole:
            self._damaged += 1
        elif key == _FILE:
            self._files.append({})
        elif key in (_FILE_NAME, _FILE_DATA, _FILE_PROPERTIES) and self._files:
            self._files[-1][key] = value
        else:
            self._attributes.setdefault(key, value)

    def text(self) -> str:
        """Return the message as Markdown."""
        found = _properties(self._attributes.get(_MESSAGE_PROPERTIES, b""))
        subject = self._string(found, 0x37) or self._decoded(self._attributes.get(_SUBJECT, b""))
        fields = [
            ("From", self._string(found, 0xC1A)),
            ("To", self._string(found, 0xE04)),
            ("Cc", self._string(found, 0xE03)),
            ("Date", _moment(found.get(0x39))),
        ]
        return mail_text(subject, fields, self._body(found))

    def attachments(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and content of each file."""
        for file in self._files:
            found = _properties(file.get(_FILE_PROPERTIES, b""))
            kind, content = found.get(0x3701, (0, b""))
            name = self._string(found, 0x3707) or self._string(found, 0x3704)
            name = name or self._decoded(file.get(_FILE_NAME, b""))
            if kind == _OBJECT:  # a message, or an object of another program
                content, name = content[_INTERFACE:], name or "message"
            content = content or file.get(_FILE_DATA, b"")
            if content:
                yield name or "attachment", content

    def _body(self, found: Properties) -> str:
        """Return the richest form of the text."""
        _, page = found.get(0x1013, (0, b""))
        if page.strip(b"\0 \r\n"):
            return page_markdown(decode(page, self._name, declared=declared_charset(page))[0])
        if text := self._string(found, 0x1000) or self._decoded(self._attributes.get(_BODY, b"")):
            return text
        _, packed = found.get(0x1009, (0, b""))
        text, notes = rtf_text(packed, self._name) if packed else ("", [])
        self._notes += notes
        return text

    def _string(self, found: Properties, key: int) -> str:
        kind, value = found.get(key, (0, b""))
        if kind == _UNICODE:
            return value.decode("utf-16-le", "replace").strip("\0 \r\n")
        return self._decoded(value)

    def _decoded(self, value: bytes) -> str:
        """Return text in the code page of the message, or by its bytes."""
        value = value.strip(b"\0 \r\n")
        (page,) = struct.unpack("<I", self._attributes.get(_CODE_PAGE, b"")[:4].ljust(4, b"\0"))
        try:
            return value.decode({936: "gb18030"}.get(page, f"cp{page}"))
        except (LookupError, UnicodeDecodeError):
            return decode(value, self._name)[0] if value else ""


def _attributes(data: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """Yield the attributes, their values, and whether these have the checksum behind them.

    What is beyond one that is cut is left out.
    """
    at = _HEAD
    while at + _ATTRIBUTE <= len(data):
        level, key, size = struct.unpack_from("<BII", data, at)
        start = at + _ATTRIBUTE
        if level not in (1, 2) or start + size > len(data):
            return
        value = data[start : start + size]
        at = start + size + 2
        yield key, value, struct.pack("<H", sum(value) & 0xFFFF) == data[at - 2 : at]


def _properties(data: bytes) -> Properties:
    """Return the properties in an attribute, up to where they are damaged."""
    found: Properties = {}
    try:
        (count,), at = struct.unpack_from("<I", data), 4
        for _ in range(min(count, len(data))):
            kind, key = struct.unpack_from("<HH", data, at)
            at = _behind_name(data, at + 4) if key >= _NAMED else at + 4
            values, at = _values(data, at, kind)
            if values:
                found.setdefault(key, (kind & ~_SEVERAL, values[0]))
    except struct.error:
        pass
    return found


def _behind_name(data: bytes, at: int) -> int:
    kind, size = struct.unpack_from("<II", data, at + 16)
    return at + 24 + (_filled(size) if kind else 0)


def _values(data: bytes, at: int, kind: int) -> tuple[list[bytes], int]:
    """Return the values of a property, and where the next one begins."""
    size = _FIXED.get(kind & ~_SEVERAL)
    several = size is None or kind & _SEVERAL
    count = 1
    if several:
        (count,) = struct.unpack_from("<I", data, at)
        at += 4
    values = []
    for _ in range(count):
        length = size
        if length is None:
            (length,) = struct.unpack_from("<I", data, at)
            at += 4
        if at + length > len(data):
            raise struct.error("a value reaches beyond the end")
        values.append(data[at : at + length])
        at += _filled(length)
    return values, at


def _filled(size: int) -> int:
    return (size + 3) // 4 * 4


def _moment(value: tuple[int, bytes] | None) -> str:
    """Return a time in UTC, "" if there is none."""
    if value is None or len(value[1]) < 8:
        return ""
    (ticks,) = struct.unpack_from("<Q", value[1])
    return moment_of(ticks)
