"""Records of old Excel workbooks (MS-XLS) that xlrd leaves out: text boxes, charts, formulas."""

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

_BOF, _EOF, _BOUNDSHEET, _CONTINUE = 0x809, 0x0A, 0x85, 0x3C
_FORMULA, _OBJECT, _TEXT_OBJECT, _FILTERED = 0x06, 0x5D, 0x1B6, 0x9B
_NAME, _NOTE, _UNKNOWN = 0x18, 0x1C, 0xFFFF
_COMMENT, _CONDITIONS = 0x19, frozenset({0x1B0, 0x879})
_OBJECTS = {0x05: "charts", 0x08: "pictures"}  # kinds of objects that hold no text box (2.5.143)

Record = tuple[int, bytes]


@dataclass
class OldSheet:
    """What lies on a sheet besides values and comments."""

    texts: list[str] = field(default_factory=list)
    """The texts of its text boxes."""
    objects: Counter[str] = field(default_factory=Counter)
    """What is not text, by kind."""
    formulas: int = 0
    blank: int = 0
    """Formulas whose stored result is an empty text."""
    filtered: bool = False
    """Whether a filter hides rows."""
    conditional: bool = False
    """Whether conditions give cells other colours."""


def old_sheets(workbook: bytes) -> list[OldSheet]:
    """Return the worksheets of a workbook's stream; [] where it is of before 1997."""
    starts = [
        struct.unpack_from("<I", content)[0]
        for kind, content in _records(workbook, 0)
        if kind == _BOUNDSHEET and len(content) > 5 and content[5] == 0
    ]
    return [_sheet(list(_records(workbook, start))) for start in starts]


def without_names_and_comments(workbook: bytes) -> bytes:
    """Return a workbook's stream with the records of names and comments as unknown ones."""
    stream, at = bytearray(workbook), 0
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        if kind in {_NAME, _NOTE}:
            struct.pack_into("<H", stream, at, _UNKNOWN)
        at += 4 + size
    return bytes(stream)


def _records(workbook: bytes, at: int) -> Iterator[Record]:
    """Yield the records of the part that begins there, without those of parts inside it."""
    depth = 0
    while at + 4 <= len(workbook):
        kind, size = struct.unpack_from("<HH", workbook, at)
        if depth < 2:
            yield kind, workbook[at + 4 : at + 4 + size]
        depth += (kind == _BOF) - (kind == _EOF)
        if depth <= 0:
            return
        at += 4 + size


def _sheet(records: list[Record]) -> OldSheet:
    sheet = OldSheet()
    object_kind = 0
    for at, (kind, content) in enumerate(records):
        if kind == _FORMULA and len(content) > 13:
            sheet.formulas += 1
            sheet.blank += content[6] == 3 and content[12:14] == b"\xff\xff"
        elif kind == _FILTERED:
            sheet.filtered = True
        elif kind in _CONDITIONS:
            sheet.conditional = True
        elif kind == _OBJECT and len(content) > 5:
            (object_kind,) = struct.unpack_from("<H", content, 4)
            if object_kind in _OBJECTS:
                sheet.objects[_OBJECTS[object_kind]] += 1
        elif kind == _TEXT_OBJECT and object_kind != _COMMENT and len(content) > 11:
            (characters,) = struct.unpack_from("<H", content, 10)
            if text := " ".join(_text(records[at + 1 :], characters).split()):
                sheet.texts.append(text)
    return sheet


def _text(records: list[Record], characters: int) -> str:
    """Return the text in the records that go on from the one of its box."""
    text = ""
    for kind, content in records:
        if kind != _CONTINUE or len(text) >= characters:
            break
        text += content[1:].decode("utf-16-le" if content[:1] == b"\x01" else "latin-1", "replace")
    return text
