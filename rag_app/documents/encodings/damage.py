"""Text of two bytes a character in which some are lost: what follows is read a byte too late.

Up to the next ASCII character every pair of bytes is then made of the halves of two characters.
The likeliest reading is found that may skip bytes at a price.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from rag_app.documents.encodings.character_frequency import frequent
from rag_app.documents.text import HAN

SKIPPED = "\ufffd"
"""Stands for bytes that belong to no character."""
_RARE_WITHIN, _RARE = 16, 1
"""More rare characters among so many may be halves: the line is read again."""
_RARE_PRIVATE, _RARE_LOST = 3, 2
"""As many of them a private character, which nobody writes, is worth, and a lost one."""
_PRICE, _PRICE_IN_DAMAGED = 16.0, 10.0
"""Of a skipped byte, as a negative log-probability; two wrong characters cost more than right ones
and it. It is less in text with bytes that are not characters."""
_CUT = 4.0  # what a last byte costs less: files are cut in a character
_ASCII, _TURN, _TURN_TO_SIGN = 5.0, 3.0, 6.0
"""Price of a character of ASCII, and of a letter or sign of it behind one that is not."""
_SIGNS = frozenset("@[\\]^_`{|}~")
"""Second halves of characters that hardly ever stand alone between Han."""
_MOST_BYTES = 4_000_000  # bytes of a text that are read so: each takes a few microseconds
_SIZES = {"gb18030": (2, 4, 1), "gbk": (2, 1), "utf-16-le": (2,), "utf-16-be": (2,)}
"""Bytes of a character; those of Big5's family as of GBK."""
_FOREIGN = "\u0370-\u04ff\u2500-\u257f\u3041-\u30fa"
"""Letters, lines of tables and Kana: as the second halves in ASCII, none stands alone amid Han."""
_RARE_CHARACTER = re.compile(
    f"[{HAN}\ue000-\uf8ff\uac00-\ud7a3\ufffd]|(?<=[{HAN}])[{_FOREIGN}@-~](?=[{HAN}\ufffd])"
)
_LATE = {code << 8: chr(code) for code in (9, 10, 13, *range(0x20, 0x7F))}
_LATE_ASCII = re.compile(f"[{''.join(map(chr, _LATE))}]{{3,}}")
"""Characters whose second byte is 0: no language has a word with three in a row."""


_DAMAGED_UTF8 = re.compile(
    rb"[a-o][\x80-\xbf]{2}(?![\x80-\xbf])|[\xe0-\xef][ -~][\x80-\xbf](?![\x80-\xbf])"
    rb"|[\xc2-\xdf][\x80-\xbf]{2}(?![\x80-\xbf])|[\xe0-\xef][\xc2-\xdf][\x80-\xbf]"
    rb"|[\xe1-\xef][\x80-\xbf][!#-'*+\-/0-9=?](?![ -~])"
)
"""Characters of three bytes, one of which is another since a bit of it is."""


class Language(NamedTuple):
    """What the text of a language is made of."""

    log_probability: Callable[[str], float]
    """The log-probability of a character."""
    common: Callable[[], frozenset[str]]
    """The characters of which it has few others."""


def seems_shifted(text: str, common: frozenset[str]) -> bool:
    """Return whether ``text`` holds so many rare characters in a crowd, as halves make."""
    at: list[int] = []
    for match in _RARE_CHARACTER.finditer(text):
        if match[0] not in common:
            at += [match.start()] * _weight(match[0])
    return any(last - first < _RARE_WITHIN for first, last in zip(at, at[_RARE:], strict=False))


def _weight(rare: str) -> int:
    if rare == SKIPPED or rare in _SIGNS:
        return _RARE_LOST
    return _RARE_PRIVATE if "\ue000" <= rare <= "\uf8ff" else 1


def decoded_utf8(data: bytes) -> str:
    r"""Return UTF-8 with U+FFFD for damaged bytes, and for those of the same character.

    Example:
        >>> decoded_utf8(b"\x65\x9f\x8e" + "市".encode())
        '\ufffd市'
    """
    return _DAMAGED_UTF8.sub(b"\xff", data).decode("utf-8", "replace")


def ascii_in_step(text: str) -> str:
    """Return text with the ASCII in it that was read from UTF-16 a byte too late.

    Example:
        >>> ascii_in_step("known \u6100\u6e00\u6400 so on")
        'known and so on'
    """
    return _LATE_ASCII.sub(_in_step, text)


def _in_step(run: "re.Match[str]") -> str:
    written = sum(char in frequent() for char in run[0])  # such as 一一一
    return run[0] if 2 * written > len(run[0]) else run[0].translate(_LATE)


def resynced(data: bytes, codec: str, language: Language) -> str:
    """Return the likeliest text of ``data``, with U+FFFD where bytes were skipped.

    Args:
        data: Text in the encoding, damaged.
        codec: One of two bytes a character, or UTF-16 without a mark.
        language: The language of the text.
    """
    log_probability, common = language
    if codec.startswith("utf-16"):
        return _likeliest(data, codec, log_probability)
    # A line feed is never half of a character.
    lines = data.split(b"\n")
    texts = [line.decode(codec, "replace") for line in lines]
    damaged = any(SKIPPED in text for text in texts)
    for at, (line, text) in enumerate(zip(lines, texts, strict=True)):
        if seems_shifted(text, common()) or (damaged and not line.isascii()):
            skip = _PRICE_IN_DAMAGED if damaged else _PRICE
            texts[at] = _likeliest(line, codec, log_probability, skip)
    return "\n".join(texts)


def _likeliest(
    data: bytes, codec: str, log_probability: Callable[[str], float], skip: float = _PRICE
) -> str:
    """Return the cheapest way to take ``data`` apart, found from its front to its end."""
    if len(data) > _MOST_BYTES:
        return data.decode(codec, "replace")
    sizes = _SIZES.get(codec, (2, 1))
    price_of = _price_list(codec, log_probability)
    costs = [0.0] + [float("inf")] * len(data)
    steps: list[tuple[int, str]] = [(0, "")] * len(costs)
    for at in range(len(data)):
        four = data[at + 1 : at + 2].isdigit()
        ways = [
            (size, *price_of(data[at : at + size]))
            for size in sizes
            if at + size <= len(data) and (size != 4 or four)
        ]
        turns = at > 0 and not steps[at][1].isascii()
        skipped = skip - _CUT if at == len(data) - 1 else skip
        for size, char, price in (*ways, (1, SKIPPED, skipped)):
            own = price
            if turns and "@" <= char <= "~":
                own += _TURN_TO_SIGN if char in _SIGNS else _TURN
            if char and costs[at] + own < costs[at + size]:
                costs[at + size], steps[at + size] = costs[at] + own, (size, char)
    return _walked(steps)


def _price_list(
    codec: str, log_probability: Callable[[str], float]
) -> Callable[[bytes], tuple[str, float]]:
    """Return the character that some bytes are, "" for none, and what it costs."""
    ascii_size = 2 if codec.startswith("utf-16") else 1

    @cache
    def price(part: bytes) -> tuple[str, float]:
        if part == b"\x80" and codec.startswith("gb"):
            return "€", _ASCII
        try:
            char = part.decode(codec)
        except UnicodeDecodeError:
            return "", _PRICE
        if len(char) != 1 or (char.isascii() and len(part) != ascii_size):
            return "", _PRICE
        return char, _ASCII if char.isascii() else -log_probability(char)

    return price


def _walked(steps: Sequence[tuple[int, str]]) -> str:
    """Return the characters of the steps that lead to the end; what was skipped, as one."""
    found = []
    at = len(steps) - 1
    while at:
        size, char = steps[at]
        found.append(char)
        at -= size
    return re.sub(f"{SKIPPED}+", SKIPPED, "".join(reversed(found)))
