"""Text or the codes of a font: what the characters of a page can be."""

import itertools
import re
import unicodedata

from rag_app.documents.encodings.character_frequency import frequent, ordinary
from rag_app.documents.text import HAN_CHARACTER

_MOST_STRANGE = 0.02  # share of characters that nobody writes which readable text may have
MOST_UNREADABLE = 0.3
"""Share of characters without a meaning above which a page's text can't be read."""
_FEW_STRANGE = 3
_MOST_ODD = 0.35
"""Share of private characters, rare ones and syllables of Korean among Han, some of each."""
_SMALL = r"[^\W\d_A-ZÀ-Þ]"
_HALVES = re.compile(
    rf"[‚„†‡‰‹›¡¢¤¦¨ª¬¯²³´µ¶¸¹º¼½¾¿™˜ˆ]|(?<!{_SMALL})[À-ÿŒœŠšŽžŸƒ]|[À-ÿŒœŠšŽžŸƒ](?!{_SMALL})"
)
"""What the bytes of Chinese characters look like one by one: letters with accents outside of words,
and signs that are rare where people write such letters."""
_MOST_HALVES = 0.2
_BYTES = re.compile(r"[\x80-\xac\xae-ÿŒœŠšŽžŸƒˆ˜‚„†‡‰‹›™•€–—‘’“”…]")
"""What a byte above ASCII looks like in Windows' code page 1252."""
_MOST_BYTES = 0.12
_MOST_TURNS = 0.55
"""Share of letters followed by something of another class, or it by them, above which a text that
has such bytes too is codes of two bytes each."""
_SOME_HAN = 0.2
_LEADER = re.compile(r"([.·…_\-–—=*])\1{3,}")  # what leads from a heading to its page, or is a rule
_COMMON_LETTERS = frozenset("aeinorst")  # more than half of the letters in European languages


def gibberish(text: str) -> bool:
    """Return whether ``text``, without spaces, is the codes of a font instead of writing.

    Such text is made of private characters, of the bytes of characters, of punctuation without
    words between, or of characters of all kinds that nobody writes beside each other.
    """
    text = _LEADER.sub(r"\1", text)
    strange = sum(_is_strange(char) for char in text)
    if strange > len(text) * MOST_UNREADABLE:
        return True
    if len(text) >= 12:
        halves = strange + len(_HALVES.findall(text))
        if halves > len(text) * _MOST_HALVES or _is_jumbled(text):
            return True
    han = HAN_CHARACTER.findall(text)
    rare = sum(char not in ordinary() and char not in frequent() for char in han)
    if len(han) >= 10 and rare > len(han) * 0.5:
        return True
    syllables = sum("\uac00" <= char <= "\ud7a3" for char in text)
    odd = strange + rare + (syllables if syllables < len(han) else 0)
    if strange >= _FEW_STRANGE and odd > len(text) * _MOST_ODD:
        return True
    marks = sum(char.isascii() and not char.isalnum() for char in text)
    letters = sum(char.isalpha() for char in text)
    return len(text) >= 12 and marks > len(text) * 0.5 and letters < len(text) * 0.25


def _is_jumbled(text: str) -> bool:
    """Return whether letters stand beside digits, marks and letters of another case, not words."""
    if len(_BYTES.findall(text)) < len(text) * _MOST_BYTES or _holds_han(text):
        return False
    kinds = [_kind(char) for char in text]
    if kinds.count("A") + kinds.count("a") < len(text) / 3:
        return False
    pairs = [pair for pair in itertools.pairwise(kinds) if "A" in pair or "a" in pair]
    turns = sum(first != second and first + second != "Aa" for first, second in pairs)
    return turns > len(pairs) * _MOST_TURNS


def _holds_han(text: str) -> bool:
    """Return whether common Chinese characters are among it, which no bytes one by one make."""
    return sum(char in ordinary() for char in HAN_CHARACTER.findall(text)) > _SOME_HAN * len(text)


def _kind(char: str) -> str:
    if char.isalpha():
        return "A" if char.isupper() else "a"
    return "0" if char.isdigit() else "."


def is_plausible(text: str) -> bool:
    """Return whether text whose font does not say what it is reads like a language all the same."""
    if sum(map(_is_strange, text)) > len(text) * _MOST_STRANGE:
        return False
    if is_asian(text):
        return True
    plain = unicodedata.normalize("NFKD", text).lower()
    letters = [char for char in plain if "a" <= char <= "z"]
    common = sum(char in _COMMON_LETTERS for char in letters)
    return len(letters) > len(text) * 0.5 and common > len(letters) * 0.5


def is_asian(text: str) -> bool:
    """Return whether most of ``text`` is Kana or common Chinese characters."""
    asian = sum("\u3041" <= char <= "\u30ff" or char in ordinary() for char in text)
    return asian > len(text) * 0.5


def _is_strange(char: str) -> bool:
    code = ord(char)
    return code < 32 or 0x7F <= code < 0xA0 or 0xE000 <= code <= 0xF8FF or code in (0xFFFD, 0xFFFF)
