"""UTF-8 that may be damaged, or only in some lines of a text."""

import re

from rag_app.documents.encodings.damage import SKIPPED, decoded_utf8
from rag_app.documents.encodings.likelihood import (
    CERTAIN_LEAST,
    PLAUSIBLE,
    SOME,
    chinese,
    plausibility,
    sample_of,
)
from rag_app.documents.encodings.named import DAMAGE, MIXED, Found, errors_of, line_by_line, strict

HEAD = 100_000
"""Bytes looked at where the whole would take long."""
_NAMES = frozenset({"utf-8", "utf8"})
_LETTER = re.compile("[A-Za-z]")
_CERTAIN = 4  # characters of UTF-8 to each damaged one that no other encoding has by chance
LOST = 10.0
"""Log-odds against a place at which bytes of UTF-8 are lost."""
_DAMAGE_OF_UTF8 = 0.02


def in_utf8(data: bytes, *, nul: bool = False) -> Found | None:
    """Return text that is UTF-8, with NUL in it or not."""
    # UTF-16 without a mark is full of NUL, and often valid UTF-8; true UTF-8 hardly ever has any.
    text = None if b"\0" in data[:HEAD] and not nul else strict(data, "utf-8")
    return None if text is None else (text, "utf-8")


def mostly_utf8(data: bytes) -> Found | None:
    """Return UTF-8 of which a few bytes are wrong, those as U+FFFD.

    By chance, text in another encoding has one valid sequence to several that are not.
    """
    if data[:HEAD].count(0) > max(1, DAMAGE * len(data[:HEAD])):  # UTF-16, without a mark
        return None
    text = data.decode("utf-8", "replace")
    if not _is_certain(text) or mixed_lines(data):
        return None
    few = text.count(SKIPPED) <= max(1, _DAMAGE_OF_UTF8 * len(text))
    return (decoded_utf8(data), "utf-8") if few else None


def declared_utf8(data: bytes, declared: str | None) -> Found | None:
    """Return text that says it is UTF-8, though a few bytes of it are wrong.

    Of other encodings, hardly any two characters beyond U+0800 are valid UTF-8 by chance.
    """
    if declared is None or declared.lower() not in _NAMES:
        return None
    text = data.decode("utf-8", "replace")
    right = sum(char >= "\u0800" and char != SKIPPED for char in text)
    certain = right >= max(2, text.count(SKIPPED))
    return (decoded_utf8(data), "utf-8") if certain else None


def _is_certain(text: str) -> bool:
    """Return whether bytes that were decoded as UTF-8, where need be with U+FFFD, are UTF-8."""
    right = sum(map(len, re.findall(r"[^\x00-\x7f\ufffd]+", text)))
    return right >= max(CERTAIN_LEAST, _CERTAIN * text.count(SKIPPED))


def torn_utf8(data: bytes, other: float | None) -> Found | None:
    """Return UTF-8 cut in some characters where that is likelier than another reading is.

    Args:
        data: The bytes.
        other: The log-probability of the other reading, None where there is none.
    """
    text = data.decode("utf-8", "replace")
    lost = re.findall(f"{SKIPPED}+", text)
    sample = sample_of(text.replace(SKIPPED, ""))
    written = len(sample) + len(_LETTER.findall(text))
    if len(sample) < max(2, len(lost)) or not SOME * written < len(sample):
        return None
    score = sum(map(chinese, sample))
    likelier = score - LOST * len(lost) > (other if other is not None else float("-inf"))
    believed = likelier and score / len(sample) > PLAUSIBLE
    return (decoded_utf8(data), "utf-8") if believed else None


def mixed_lines(data: bytes) -> Found | None:
    """Return text that is UTF-8 in some lines and GB 18030 in the others, as logs of two programs.

    Both must be plausible: single lines of GBK can be valid UTF-8 by chance.
    """
    lines = [line for line in data.split(b"\n") if not line.isascii()]
    unicode = b"\n".join(line for line in lines if strict(line, "utf-8") is not None)
    others = b"\n".join(line for line in lines if strict(line, "utf-8") is None)
    national = strict(others, "gb18030")
    if b"\0" in data[:HEAD] or not unicode or not national:
        return None
    score = plausibility(national)
    torn = others.decode(errors="ignore")  # UTF-8, cut in a character, of which the rest is right
    mostly = 2 * len(sample_of(torn).encode()) >= len(sample_of(others.decode("latin-1")))
    damaged = mostly and plausibility(torn) >= score
    damaged = damaged or _is_certain(others.decode(errors="replace"))
    if damaged or min(score, plausibility(unicode.decode())) <= PLAUSIBLE:
        return None
    return line_by_line(data, errors_of("gb18030")), MIXED
