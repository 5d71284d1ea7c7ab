"""The encoding of a text: found by strict decoding and by how common its characters are.

Chinese is expected; Japanese and Korean must be much likelier than it to be believed.
"""

import codecs
import re

from rag_app.documents.encodings.damage import SKIPPED
from rag_app.documents.encodings.east_asian import (
    SHIFTING,
    damaged_chinese,
    east_asian,
    in_step,
    or_foreign,
)
from rag_app.documents.encodings.garbage import without_garbage, without_strays
from rag_app.documents.encodings.likelihood import (
    CERTAIN_LEAST,
    PLAUSIBLE,
    is_chinese,
    is_dense,
    plausibility,
)
from rag_app.documents.encodings.named import (
    Found,
    declared_chinese,
    decode_as,
    in_declared,
    in_utf32,
    seven_bit,
)
from rag_app.documents.encodings.rare import as_euc_tw, holds_designations
from rag_app.documents.encodings.single_byte import best_single_byte
from rag_app.documents.encodings.utf8 import HEAD, declared_utf8, in_utf8, mostly_utf8
from rag_app.documents.text import shown
from rag_app.errors import DocumentError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = frozenset({"cp1252", "iso-8859-1", "iso-8859-15", "us-ascii", "ascii", "latin1"})
_LONG_RUN = re.compile(rb"[\x80-\xff]{6,}")
"""Bytes of another writing: Western words have a letter with a mark here and there."""
_MOST_OF_A_RULE = 2  # different bytes of a run that is a rule or a row of dots, in whatever writing
_CONTROL = re.compile(r"[\x00-\x06\x0e-\x19\x1c-\x1f\x7f]")
_CONTROL_SHARE = 0.01
_BINARY = re.compile(
    r"(?:[\x01-\x06\x0e-\x19\x1c-\x1f\x7f][^\x01-\x06\x0e-\x19\x1c-\x1f\x7f]{0,15}){12}"
)
"""Many control characters near each other: a piece of a binary file amid the text."""
_FEW = 4  # control characters that any text may hold; the loader takes them out


def decode(
    data: bytes, name: str, encoding: str | None = None, *, declared: str | None = None
) -> tuple[str, str]:
    """Return the text of ``data`` and the name of its encoding.

    Args:
        data: The bytes of a text file.
        name: What errors call it.
        encoding: Its encoding where known; else it is found out.
        declared: What the file says of itself, believed if it can be true.

    Raises:
        DocumentError: the encoding is unknown, wrong or can't be told, or this isn't text.
    """
    name = shown(name)
    if encoding is not None:
        return decode_as(data, name, encoding)
    for mark, codec in _BOMS:
        if data.startswith(mark):
            return _readable(data, *in_step(data, *decode_as(data, name, codec)), name)
    if declared in _WESTERN and _is_other_writing(data):
        declared = None  # programs name these where they know of no encoding
    found = (
        seven_bit(data)
        or in_utf32(data)
        or declared_chinese(data, declared)
        or in_utf8(data)
        or mostly_utf8(data)
        or in_declared(data, declared)
        or declared_utf8(data, declared)
        or east_asian(data)
        or in_utf8(data, nul=True)
        or damaged_chinese(data)
        or in_declared(data, declared, damaged=True)
        or best_single_byte(data)
    )
    if found is None:
        raise DocumentError(
            f"{name} is not text in an encoding that can be detected; give it with --encoding "
            "(such as gb18030 or big5), or convert the file if it is binary"
        )
    if _holds_controls(found[0]):
        msg = f"{name} holds binary data, not text; convert it to text, PDF or DOCX first"
        raise DocumentError(msg)
    found = or_foreign(data, *found)
    _check_known(data, *found, name)
    return _readable(data, *in_step(data, *found), name)


def _readable(data: bytes, text: str, codec: str, name: str) -> Found:
    """Return text without the pieces that are not writing: U+FFFD stands for each.

    What is valid UTF-8 is what its writer wrote. Other encodings read almost any bytes as text.
    """
    if codec not in SHIFTING | {"utf-16"} and SKIPPED not in text:
        return text, codec
    damaged = codec in SHIFTING and SKIPPED in text
    kept = without_garbage(text, SKIPPED, damaged=damaged)
    if kept is None:
        raise DocumentError(f"{name} is damaged: most of it is not text; get it or save it again")
    lost = text.count(SKIPPED) > data.count(SKIPPED.encode())
    if lost and is_chinese(kept) and is_dense(kept):
        kept = without_strays(kept, SKIPPED)
    return kept, codec


def _check_known(data: bytes, text: str, codec: str, name: str) -> None:
    """Refuse text in an encoding that is not read, which others read as text.

    Raises:
        DocumentError: it is in one.
    """
    what = "ISO 2022" if data.isascii() and codec == "utf-8" and holds_designations(data) else ""
    if codec in SHIFTING and not codec.startswith("utf-16"):
        other = as_euc_tw(data[:HEAD])
        likelier = plausibility(other) > max(plausibility(text) + 1, PLAUSIBLE)
        what = "EUC-TW" if len(other) >= CERTAIN_LEAST and likelier else ""
    if what:
        msg = f"{name} is in {what}, which is not read; convert it to UTF-8, such as with iconv"
        raise DocumentError(msg)


def _is_other_writing(data: bytes) -> bool:
    high = data[:HEAD].translate(None, bytes(range(128)))
    runs = [run for run in _LONG_RUN.findall(data[:HEAD]) if len(set(run)) > _MOST_OF_A_RULE]
    return 2 * sum(map(len, runs)) > len(high)


def _holds_controls(text: str) -> bool:
    crowded = _BINARY.search(text) is not None
    return crowded or len(_CONTROL.findall(text)) > max(_FEW, _CONTROL_SHARE * len(text))
