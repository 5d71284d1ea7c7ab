"""Numbers as the numbering formats of documents write them (ECMA-376, 17.18.59)."""

from collections.abc import Callable, Sequence
from functools import partial

from rag_app.documents.number_formats.chinese_numerals import chinese_digits, chinese_number

_DIGITS = "〇一二三四五六七八九"
_LEGAL = "零壹贰叁肆伍陆柒捌玖"
_TRADITIONAL_LEGAL = "零壹貳參肆伍陸柒捌玖"
_STEMS = "甲乙丙丁戊己庚辛壬癸"
_BRANCHES = "子丑寅卯辰巳午未申酉戌亥"
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"),
          (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
_FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}
_MOST = 32_767
_SIGNS: dict[str, Sequence[str]] = {
    "ideographTraditional": _STEMS,
    "ideographZodiac": _BRANCHES,
    "ideographZodiacTraditional": [_STEMS[at % 10] + _BRANCHES[at % 12] for at in range(60)],
}
"""The signs of a format, which begin again after the last one."""
_DIGIT_BY_DIGIT = ("ideographDigital", "japaneseDigitalTenThousand", "taiwaneseDigital")
_ONES = (
    "Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven",
    "Twelve", "Thirteen", "Fourteen", "Fifteen", "Sixteen", "Seventeen", "Eighteen", "Nineteen",
)  # fmt: skip
_TENS = ("", "", "Twenty", "Thirty", "Forty", "Fifty", "Sixty", "Seventy", "Eighty", "Ninety")
_ORDINALS = {
    "One": "First", "Two": "Second", "Three": "Third", "Five": "Fifth", "Eight": "Eighth",
    "Nine": "Ninth", "Twelve": "Twelfth",
}  # fmt: skip


def numeral(number: int, kind: str) -> str:
    """Return a number as a format writes it, in plain digits where that is not known here."""
    if kind == "none":
        return ""
    if not 0 < number <= _MOST:
        return f"{number:02}" if kind == "decimalZero" else str(number)
    if write := _NUMERALS.get(kind):
        return write(number)
    if "Legal" in kind:
        return chinese_number(number, _LEGAL, "拾佰仟")
    if kind.startswith(("chinese", "taiwanese", "japanese")):
        return chinese_number(number)
    return str(number)


def _sign(signs: Sequence[str], number: int) -> str:
    return signs[(number - 1) % len(signs)]


def _letter(number: int) -> str:
    return chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)


def _roman(number: int) -> str:
    text = ""
    for size, sign in _ROMAN:
        text += sign * (number // size)
        number %= size
    return text


def _circled(number: int) -> str:
    for last, first, code in ((20, 1, 0x2460), (35, 21, 0x3251), (50, 36, 0x32B1)):
        if number <= last:
            return chr(code + number - first)
    return f"({number})"


def _circled_ideograph(number: int) -> str:
    return chr(0x327F + number) if number <= 10 else f"({chinese_number(number)})"


def _ordinal(number: int) -> str:
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _cardinal_text(number: int) -> str:
    if number >= 100:
        return str(number)
    if number < 20:
        return _ONES[number]
    return _TENS[number // 10] + (f"-{_ONES[number % 10].lower()}" if number % 10 else "")


def _ordinal_text(number: int) -> str:
    if number >= 100:
        return _ordinal(number)
    before, hyphen, last = _cardinal_text(number).rpartition("-")
    word = last.capitalize()
    word = _ORDINALS.get(word) or (f"{word[:-1]}ieth" if word.endswith("y") else f"{word}th")
    return f"{before}{hyphen}{word.lower() if hyphen else word}"


def _traditional_legal(number: int) -> str:
    return chinese_number(number, _TRADITIONAL_LEGAL, "拾佰仟")


_NUMERALS: dict[str, Callable[[int], str]] = {
    **{kind: partial(_sign, signs) for kind, signs in _SIGNS.items()},
    **dict.fromkeys(_DIGIT_BY_DIGIT, lambda number: chinese_digits(str(number), _DIGITS)),
    "lowerLetter": _letter,
    "upperLetter": lambda number: _letter(number).upper(),
    "lowerRoman": _roman,
    "upperRoman": lambda number: _roman(number).upper(),
    "decimalEnclosedCircle": _circled,
    "decimalEnclosedCircleChinese": _circled,
    "ideographEnclosedCircle": _circled_ideograph,
    "decimalEnclosedParen": lambda number: f"({number})",
    "decimalEnclosedFullstop": lambda number: f"{number}.",
    "decimalZero": lambda number: f"{number:02}",
    "decimalFullWidth": lambda number: str(number).translate(_FULL_WIDTH),
    "decimalFullWidth2": lambda number: str(number).translate(_FULL_WIDTH),
    "numberInDash": lambda number: f"- {number} -",
    "ordinal": _ordinal,
    "cardinalText": _cardinal_text,
    "ordinalText": _ordinal_text,
    "ideographLegalTraditional": _traditional_legal,
}
