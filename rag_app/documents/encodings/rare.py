"""Encodings that Python does not know, or that say nothing of themselves."""

import re

_TO_ASCII, _TO_CHINESE = b"\x0f", b"\x0e"
_GB_2312 = b"\x1b$)A"
_ISO_2022 = re.compile(rb"\x1b\$[()*+]?[@-G]|\x1bN")
_SHIFTED = re.compile(rb"\x0e([^\x0f\n]*)(?:\x0f|(?=\n)|$)")
_PAIR = re.compile(rb"[\xa1-\xfe]{2}")
_PAIRS = re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xfe]{2}|\x8e[\xa2-\xaf][\xa1-\xfe]{2})*[\xa1-\xfe]?")
_FIRST_ROW, _CELLS = 0xC4, 94
"""For EUC-TW, in which Han by strokes begin at this byte."""
_BIG5_ROW, _BIG5_CELLS, _BIG5_LOW = 0xA4, 157, 63
"""For Big5, whose first level has the same order; its second bytes are in two ranges."""


def iso_2022_cn(data: bytes) -> str | None:
    r"""Return text of ISO-2022-CN (RFC 1922) in simplified Chinese, None where it is not that.

    Example:
        >>> iso_2022_cn(b"\x1b$)A\x0eVPND\x0f 8110")
        '中文 8110'
    """
    if _GB_2312 not in data or _TO_CHINESE not in data:
        return None
    shifted = data.replace(_GB_2312, b"")
    plain = _SHIFTED.sub(lambda run: bytes(byte | 0x80 for byte in run[1]), shifted)
    try:
        return plain.decode("gb2312")
    except UnicodeDecodeError:
        return None


def holds_designations(data: bytes) -> bool:
    """Return whether bytes switch to character sets of ISO 2022."""
    return _ISO_2022.search(data) is not None


def as_euc_tw(data: bytes) -> str:
    """Return the Han of EUC-TW (CNS 11643, plane 1), near enough to tell whether it is that.

    Their order is that of the first level of Big5 but for a few that stand elsewhere. Where
    something else is among the bytes, there are none.
    """
    found: list[bytes] = []
    if not _PAIRS.fullmatch(data):
        return ""
    for pair in _PAIR.finditer(data):
        at = (pair[0][0] - _FIRST_ROW) * _CELLS + pair[0][1] - 0xA1
        if at >= 0:
            row, cell = divmod(at, _BIG5_CELLS)
            low = 0x40 + cell if cell < _BIG5_LOW else 0xA1 + cell - _BIG5_LOW
            found.append(bytes((_BIG5_ROW + row, low)))
    return b"".join(found).decode("big5", "replace")
