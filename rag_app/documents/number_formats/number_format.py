"""Cell values as a spreadsheet shows them, by their number formats (ECMA-376, 18.8.30)."""

import operator
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from rag_app.documents.number_formats.chinese_numerals import chinese_digits, chinese_number
from rag_app.documents.number_formats.format_tokens import (
    GENERAL,
    literal,
    numerals,
    sections,
    tokens,
)
from rag_app.documents.number_formats.moment_format import is_moment, shown_duration, shown_moment

EAST_ASIAN_FORMATS = (
    dict.fromkeys((27, 36, 50, 52, 57), 'yyyy"年"m"月"')
    | dict.fromkeys((28, 29, 51, 53, 54, 58), 'm"月"d"日"')
    | {30: "m-d-yy", 31: 'yyyy"年"m"月"d"日"', 32: 'h"时"mm"分"', 33: 'h"时"mm"分"ss"秒"'}
    | dict.fromkeys((34, 55), '上午/下午h"时"mm"分"')
    | dict.fromkeys((35, 56), '上午/下午h"时"mm"分"ss"秒"')
)
"""Number → format, of those that programs in Chinese know by their numbers alone (ECMA-376,
18.8.30): files use them without saying what they are."""
_CONDITION = re.compile(r"\[(<=|>=|<>|=|<|>)\s*(-?[\d.]+)\]")
_COMPARISONS = {
    "<=": operator.le, ">=": operator.ge, "<>": operator.ne,
    "=": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_FRACTION = re.compile(r"([#0?]\s+)?[#0?]+/([#0?]+|\d+)")
_ENDS = re.compile("[.E]", re.IGNORECASE)  # what is in the last run of places only
_TEXT = 3  # where the section for text is
_MOST_PARTS = 4  # digits of a fraction's parts


def as_shown(value: object, number_format: str = "General") -> str:
    """Return a cell's value as its sheet shows it; dates of no clear format as in ISO 8601.

    Args:
        value: As openpyxl gives it.
        number_format: The cell's.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, timedelta):
        return shown_duration(value, number_format)
    if isinstance(value, datetime | date | time):
        return shown_moment(value, number_format)
    if isinstance(value, int | float):
        return _number(value, number_format)
    return _text(str(value), number_format)


def _general(value: float) -> str:
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e21):
        return str(int(value))
    return f"{value:.15g}"


def _number(value: float, number_format: str) -> str:
    if number_format in {"General", "@"}:
        return _general(value)
    section, value = _section(sections(number_format), value)
    if not section and ";" in number_format:  # it hides the number
        return ""
    found = tokens(section)
    if general := GENERAL.search(section):
        words = numerals(section)
        before, after = section[: general.start()], section[general.end() :]
        text = _in_words(_general(value), *words) if words else _general(value)
        return "".join([*_literals(before), text, *_literals(after)]).strip()
    if not any(token["number"] for token in found):
        if is_moment(section):  # 星期五: openpyxl knows no dates by their weekdays alone
            return _as_moment(value, section)
        shown = "".join(map(literal, found))
        return shown if shown.strip() else _general(value)
    return _fraction(value, section) if "/" in section else _decimal(value, section)


def _decimal(value: float, section: str) -> str:
    found = tokens(section)
    value *= 100 ** sum(token["other"] == "%" for token in found)
    digits = iter(_across(value, [token["number"] for token in found if token["number"]]))
    shown = "".join(next(digits) if token["number"] else literal(token) for token in found)
    words = numerals(section)
    return (chinese_digits(shown, words[0]) if words else shown).strip()


def _as_moment(value: float, section: str) -> str:
    from openpyxl.utils.datetime import from_excel

    try:
        return shown_moment(from_excel(value), section)
    except (OverflowError, ValueError):
        return _general(value)


def _in_words(number: str, digits: str, units: str) -> str:
    """Return a number in Chinese numerals, digit by digit after its point."""
    whole, point, fraction = number.partition(".")
    if not whole.lstrip("-").isdecimal() or not (fraction.isdecimal() or not point):
        return number
    sign = "-" if whole.startswith("-") else ""
    words = chinese_number(abs(int(whole)), digits, units, full=True)
    return f"{sign}{words}{point}{chinese_digits(fraction, digits)}"


def _literals(part: str) -> Iterator[str]:
    return map(literal, tokens(part))


def _fraction(value: float, section: str) -> str:
    """Return a number as its format writes fractions, such as ``1 1/2`` by ``# ?/?``."""
    found = _FRACTION.search(section)
    if found is None:
        return _general(value)
    places = found[2]
    most = 10 ** min(len(places), _MOST_PARTS) - 1
    given = int(places) if places.isdecimal() and int(places) else 0
    part = Fraction(repr(abs(value)))
    part = Fraction(round(part * given), given) if given else part.limit_denominator(most)
    whole = int(part) if found[1] else 0
    rest = (part - whole) * given if given else part - whole
    over = given or rest.denominator
    shown = [str(whole)] if whole or not rest else []
    shown += [f"{rest.numerator}/{over}"] if rest else []
    return ("-" if value < 0 else "") + " ".join(shown)


def _section(parts: Sequence[str], value: float) -> tuple[str, float]:
    """Return the part of a format for a number, and the number as that part has it."""
    conditions = [_CONDITION.search(part) for part in parts]
    if any(conditions):
        for part, found in zip(parts, conditions, strict=True):
            if found is None or _COMPARISONS[found[1]](value, float(found[2])):
                return part, value
        return "General", value
    if value < 0 and (len(parts) > 2 or (len(parts) > 1 and parts[1].strip())):
        return parts[1], -value
    if value == 0 and len(parts) > 2:
        return parts[2], value
    return parts[0], value


def _text(value: str, number_format: str) -> str:
    """Return text as a format shows it, such as ``@"号"``."""
    parts = sections(number_format)
    section = next((part for part in reversed(parts) if "@" in part), "@")
    if len(parts) > _TEXT and not parts[_TEXT]:
        return ""  # it hides text
    return "".join(value if token["other"] == "@" else literal(token) for token in tokens(section))


def _across(value: float, patterns: Sequence[str]) -> list[str]:
    """Return the digits of a number for each run of places, as in ``000-0000`` and ``0!.0,``."""
    if len(patterns) == 1 or any(_ENDS.search(pattern) for pattern in patterns[:-1]):
        return [_digits(value, patterns[0]), *[""] * (len(patterns) - 1)]
    places = [len(re.sub("[^#0?]", "", pattern.partition(".")[0])) for pattern in patterns]
    digits, point, fraction = _digits(value, "".join(patterns)).partition(".")
    found = []
    for width in reversed(places[1:]):
        found.append(digits[-width:])
        digits = digits[:-width]
    found[0] += point + fraction
    return [digits, *reversed(found)]


def _rounded(value: float, decimals: int) -> Decimal:
    """Return a number rounded as spreadsheets do: halves away from zero."""
    number = Decimal(repr(value))
    with localcontext(prec=400):
        return number.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def _scientific(value: float, pattern: str) -> str:
    """Return a number with an exponent, a multiple of as many places as are before the point."""
    mantissa, _, exponent = pattern.upper().partition("E")
    whole, _, fraction = mantissa.partition(".")
    step = max(len(whole.replace(",", "")), 1)
    number = Decimal(repr(value))
    power = number.adjusted() // step * step if number else 0
    digits = _rounded(float(number.scaleb(-power)), len(fraction))
    sign = "-" if power < 0 else "+" if "+" in exponent else ""
    return f"{digits:f}E{sign}{abs(power):0{len(exponent) - 1}}"


def _digits(value: float, pattern: str) -> str:
    if "E" in pattern.upper():
        return _scientific(value, pattern)
    whole, _, fraction = pattern.partition(".")
    scaled = value / 1000 ** (len(pattern) - len(pattern.rstrip(",")))
    number = _rounded(scaled, len(fraction.rstrip(",")))
    if not number and "0" not in pattern:  # places that zeros leave empty, as accountants' "-"??
        return ""
    text = f"{number:{',' if ',' in whole.rstrip(',') else ''}f}"
    optional = len(fraction) - len(fraction.rstrip("#?,"))
    if optional and "." in text:
        keep = len(text) - optional
        text = (text[:keep] + text[keep:].rstrip("0")).rstrip(".")
    least = whole.count("0")
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    missing = least - len(digits.partition(".")[0])
    return sign + "0" * max(missing, 0) + digits
