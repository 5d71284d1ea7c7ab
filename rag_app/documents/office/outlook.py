"""Outlook's messages (MS-OXMSG) → Markdown."""

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING
from zlib import crc32

from rag_app.documents.encodings.damage import SKIPPED
from rag_app.documents.encodings.detection import decode
from rag_app.documents.encodings.east_asian import in_step
from rag_app.documents.encodings.garbage import without_garbage
from rag_app.documents.formats import ExtractedText
from rag_app.documents.mail.message import mail_text
from rag_app.documents.office.rtf.reader import read_rtf
from rag_app.documents.parts import ReadPart, read_parts
from rag_app.documents.web.html import declared_charset, page_markdown, wider_charset
from rag_app.errors import DocumentError

if TYPE_CHECKING:
    from olefile import OleFileIO

_SUBJECT, _SENDER, _SENDER_ADDRESS, _TO, _CC = "0037", "0C1A", "5D01", "0E04", "0E03"
_BODY, _HTML, _RTF = "1000", "1013", "1009"
_CONTENT, _LONG_NAME, _SHORT_NAME = "3701", "3707", "3704"
_CODE_PAGES = (0x3FFD0003, 0x3FDE0003)  # of the message, and of the mail it was sent as
_WESTERN = 1252  # the code page of Western languages, which programs name where they know none
_SENT = (0x00390040, 0x0E060040)  # when it was submitted, when delivered: tags of properties
_DICTIONARY = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript "
    rb"\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
"""What compressed RTF refers to at its start (MS-OXRTFCP, 2.1.2.1)."""
_WINDOW = 4096  # bytes back to which compressed RTF refers
_MOST_UNPACKED = 64 * 2**20
_SECTOR = 512  # bytes; a compound file is a whole number of them (MS-CFB, 2.2)
_MARKUP = re.compile(r"</?\w+:\w+|\w=?\"[^\"\n]{0,60}\"|[<>{}]|par\b")
"""What a body is full of whose parts are out of order."""
_MOST_MARKUP = 0.15  # share of a paragraph

_DIRECTORY = "__substg1.0_".encode("utf-16-le")
"""How the entries of the file's directory begin, whose sectors hold no text."""


def read_msg(data: bytes, name: str, read_part: ReadPart) -> ExtractedText:
    """Return a message: subject, sender, receivers, date, text, and what it was sent with."""
    from olefile import OleFileIO

    with OleFileIO(BytesIO(data)) as file:
        message = _Message(file, name)
        messages = [message, *message.messages()]
        parts = [each.read() for each in messages]
        if len(data) % _SECTOR:
            parts = list(map(_without_markup, parts))
        texts, notes = read_parts(message.attachments(), read_part)
        notes = [*(note for each in messages for note in each.notes), *notes]
    return ExtractedText("\n\n".join(filter(None, [*parts, *texts])), notes=notes)


def _without_markup(text: str) -> str:
    """Return the text of a damaged file without paragraphs that are pieces of markup."""
    kept = [
        paragraph
        for paragraph in text.split("\n\n")
        if sum(map(len, _MARKUP.findall(paragraph))) <= _MOST_MARKUP * len(paragraph)
    ]
    return "\n\n".join(kept)


class _Message:
    def __init__(self, file: "OleFileIO", name: str, storage: str = "") -> None:
        self._file = file
        self._name = name
        self._storage = storage  # the storage of a message within another; empty for the outer one
        self.notes: list[str] = []

    def read(self) -> str:
        """Return the message without what it was sent with."""
        sender, address = self.text(_SENDER), self.text(_SENDER_ADDRESS)
        fields = [
            ("From", f"{sender} <{address}>" if address and address != sender else sender),
            ("To", self.text(_TO)),
            ("Cc", self.text(_CC)),
            ("Date", self.sent()),
        ]
        return mail_text(self.text(_SUBJECT), fields, self.body())

    def text(self, tag: str, folder: str = "") -> str:
        """Return a text property: Unicode, or in the code page of its maker."""
        unicode = self._stream(f"{tag}001F", folder)
        text = unicode.decode("utf-16-le", "replace").strip("\0")
        data = b"" if unicode else self._stream(f"{tag}001E", folder).strip(b"\0\xff")
        # Sectors of other streams, filled up with zeros: the table of sectors is damaged.
        if _DIRECTORY in unicode or "\0" in text or b"\0" in data:
            self.notes.append("the message is damaged and in part was not read; get it again")
            return ""
        if unicode:
            text, _ = in_step(unicode, text, "utf-16-le")
            return (without_garbage(text, SKIPPED) or "").strip("\0 \r\n")
        page = next((self._numbers[tag] for tag in _CODE_PAGES if tag in self._numbers), _WESTERN)
        try:
            declared = None if page == _WESTERN else wider_charset(f"cp{page}")  # which others name
            return decode(data, self._name, declared=declared)[0].strip() if data.strip() else ""
        except DocumentError:
            return data.decode(f"cp{_WESTERN}", "replace").strip()

    def body(self) -> str:
        """Return the richest form of the text."""
        if page := self._stream(f"{_HTML}0102"):
            return page_markdown(decode(page, self._name, declared=declared_charset(page))[0])
        if text := self.text(_BODY):
            return text
        packed = self._stream(f"{_RTF}0102")
        text, notes = rtf_text(packed, self._name) if packed else ("", [])
        self.notes += notes
        return text

    def sent(self) -> str:
        """Return when it was sent, in UTC."""
        found = self._numbers
        return moment_of(next((found[tag] for tag in _SENT if found.get(tag)), 0))

    @cached_property
    def _numbers(self) -> dict[int, int]:
        """Properties of one size by their tags; of the others only how long they are."""
        data = self._stream("__properties_version1.0", whole_name=True)
        start = 24 if self._storage else 32
        entries = (struct.unpack_from("<IIQ", data, at) for at in range(start, len(data) - 15, 16))
        return {tag: value for tag, _, value in entries}

    def attachments(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and content of each file that it was sent with."""
        for folder in self._folders():
            content = self._stream(f"{_CONTENT}0102", folder)
            name = self.text(_LONG_NAME, folder) or self.text(_SHORT_NAME, folder)
            if content and name:
                yield name, content

    def messages(self) -> Iterator["_Message"]:
        """Yield the messages that it was sent with."""
        for folder in self._folders():
            storage = f"{folder}/__substg1.0_{_CONTENT}000D"
            if self._file.exists(storage):
                yield _Message(self._file, self._name, storage)

    def _folders(self) -> list[str]:
        return sorted({path[0] for path in self._file.listdir() if path[0].startswith("__attach")})

    def _stream(self, name: str, folder: str = "", *, whole_name: bool = False) -> bytes:
        name = name if whole_name else f"__substg1.0_{name}"
        path = "/".join(filter(None, [self._storage, folder, name]))
        return bytes(self._file.openstream(path).read()) if self._file.exists(path) else b""


def moment_of(ticks: int) -> str:
    """Return a time of Windows' (tenths of a microsecond since 1601) in UTC, "" if it isn't one."""
    if not 0 < ticks < 2**61:
        return ""
    moment = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
    return f"{moment:%Y-%m-%d %H:%M %z}"


def rtf_text(packed: bytes, name: str) -> tuple[str, list[str]]:
    """Return the text of compressed RTF, and what to say of it."""
    if not _is_whole(packed):
        return "", ["the text is damaged and was not read; get the message again"]
    return read_rtf(uncompressed_rtf(packed), name).text, []


def _is_whole(packed: bytes) -> bool:
    """Return whether compressed RTF has the checksum that it names (MS-OXRTFCP, 2.1.3.2)."""
    if len(packed) < 16:
        return True
    size, _, kind, checksum = struct.unpack_from("<II4sI", packed)
    found = crc32(packed[16 : size + 4], 0xFFFFFFFF) ^ 0xFFFFFFFF
    return bool(kind != b"LZFu" or found == checksum)


def uncompressed_rtf(data: bytes) -> bytes:
    """Return RTF as it was before Outlook compressed it (MS-OXRTFCP, 3.1)."""
    size, kind = struct.unpack_from("<I4s", data, 4) if len(data) >= 16 else (0, b"")
    if kind != b"LZFu":
        return data[16:]
    text = bytearray(_DICTIONARY)
    limit = len(text) + min(size, _MOST_UNPACKED)
    for item, refers in _compressed_items(data, 16):
        if not item or len(text) >= limit:
            break
        if not refers:
            text += item
            continue
        reference = int.from_bytes(item, "big")
        back = (len(text) - (reference >> 4)) % _WINDOW
        if not back:  # the end
            break
        for _ in range((reference & 15) + 2):
            text.append(text[-back] if back <= len(text) else 0)
    return bytes(text[len(_DICTIONARY) :])


def _compressed_items(data: bytes, at: int) -> Iterator[tuple[bytes, bool]]:
    """Yield the items from there on, and whether they refer to text before: bits say, by eights."""
    while at < len(data):
        flags, at = data[at], at + 1
        for bit in range(8):
            refers = bool(flags >> bit & 1)
            yield data[at : at + 1 + refers], refers
            at += 1 + refers
