"""Encodings of one byte a character, told apart by the words that they make of the bytes.

A wrong one makes capitals, signs and letters of other scripts in the middle of words.
"""

import codecs
import re
import unicodedata
from functools import cache

_SCRIPTS = {
    "LATIN": ("cp1252", "cp1250", "cp1254", "cp1257", "mac_roman"),
    "CYRILLIC": ("cp1251", "koi8_r", "cp866"),
    "ARABIC": ("cp1256", "iso8859_6"),
    "GREEK": ("cp1253",),
    "HEBREW": ("cp1255",),
    "THAI": ("cp874",),
}
"""Script → its encodings, the likelier one first; all are of Windows, old Unix and Mac files."""
_FREQUENT = {
    "LATIN": frozenset("éèàùçâêîôûäöüßáíóúñåøæãõłżąęćśźńčšřžůěşğıőű"),
    "CYRILLIC": frozenset("оеаинтсрвлкмдпуя"),
    "ARABIC": frozenset("اليمنورتبةعدسفهكقحأ"),
    "GREEK": frozenset("αοιετσνηυρπκμλςίόάέ"),
    "HEBREW": frozenset("יוהלאתרבשמנםדחקעפ"),
    "THAI": frozenset("านรอกเงมยลวดทสตะปบคหแ่้ิีั์ไ"),
}
"""The letters that make up four fifths of the text in a script; of Latin ones, those with marks."""
_SIGNS = frozenset("’‘“”–—…«»„‚°§©®€£·•\xa0¿¡،؛؟")  # what stands between words
_WORD = re.compile(r"(?:[^\W\d_]|[\u0e31-\u0e4e])+(?:['’][^\W\d_]+)*")
_PRICE_OF_OTHERS = 1.0  # log-odds against a script other than Latin, a character
_FREQUENT_LETTER, _LETTER, _SIGN = -2.5, -5.0, -5.0
_WRONG = -9.0
"""Log-probability of a sign within a word, a capital after a small letter, another script."""
_PLAUSIBLE = -4.6  # mean log-probability above which a reading is believed
_SAMPLE = 4000


def best_single_byte(data: bytes) -> tuple[str, str] | None:
    """Return the text of ``data`` and its encoding, None where no reading has words.

    Example:
        >>> best_single_byte("Чай растёт на склонах гор".encode("koi8_r"))
        ('Чай растёт на склонах гор', 'koi8-r')
    """
    best: tuple[float, str, str] | None = None
    for script, names in _SCRIPTS.items():
        for codec in names:
            try:
                text = data.decode(codec)
            except UnicodeDecodeError:
                continue
            score = _plausibility(text, script)
            if score > _PLAUSIBLE and (best is None or score > best[0]):
                best = score, text, codecs.lookup(codec).name
    return best[1:] if best else None


def _plausibility(text: str, script: str) -> float:
    """Return the mean log-probability of the characters beyond ASCII."""
    scores: list[float] = []
    at = 0
    for match in _WORD.finditer(text):
        scores += _of_signs(text[at : match.start()])
        scores += _of_word(match[0], script)
        at = match.end()
        if len(scores) > _SAMPLE:
            break
    else:
        scores += _of_signs(text[at:])
    mean = sum(scores) / max(len(scores), 1)
    return mean - (_PRICE_OF_OTHERS if script != "LATIN" else 0)


def _of_signs(text: str) -> list[float]:
    return [_SIGN if char in _SIGNS else _WRONG for char in text if not char.isascii()]


def _of_word(word: str, script: str) -> list[float]:
    letters = [char for char in word if not char.isascii()]
    if not letters:
        return []
    # Capitals stand at the front of a word, or all over it.
    shaped = word == word.lower() or word[1:] == word[1:].lower() or word == word.upper()
    foreign = script != "LATIN" and len(letters) < sum(char not in "'’" for char in word)
    crowded = script == "LATIN" and len(letters) > max(1, len(word) / 2)
    if not shaped or foreign or crowded:
        return [_WRONG] * len(letters)
    return [_of_letter(char, script) for char in letters]


@cache
def _of_letter(char: str, script: str) -> float:
    if char == "’":
        return _SIGN
    if not unicodedata.name(char, "").startswith((script, "COMBINING")):
        return _WRONG
    return _FREQUENT_LETTER if char.lower() in _FREQUENT[script] else _LETTER
