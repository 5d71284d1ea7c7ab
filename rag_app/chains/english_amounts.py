"""Amounts and years of Chinese texts in English: by rule, since a model gets numbers wrong."""

import re
from collections.abc import Mapping
from decimal import Decimal
from unicodedata import normalize

from rag_app.chains.facts import DIGITS, plain_numbers
from rag_app.index.store.terms import fold

_UNITS: Mapping[str, tuple[str, str]] = {
    "小时": ("hour", "hours"), "分钟": ("minute", "minutes"), "秒": ("second", "seconds"),
    "毫秒": ("millisecond", "milliseconds"), "天": ("day", "days"), "日": ("day", "days"),
    "周": ("week", "weeks"), "星期": ("week", "weeks"), "月": ("month", "months"),
    "年": ("year", "years"),
    "岁": ("year old", "years old"), "元": ("yuan", "yuan"), "美元": ("US dollar", "US dollars"),
    "欧元": ("euro", "euros"), "米": ("metre", "metres"), "公里": ("kilometre", "kilometres"),
    "千米": ("kilometre", "kilometres"), "厘米": ("centimetre", "centimetres"),
    "毫米": ("millimetre", "millimetres"), "微米": ("micrometre", "micrometres"),
    "平方米": ("square metre", "square metres"),
    "平方公里": ("square kilometre", "square kilometres"),
    "立方米": ("cubic metre", "cubic metres"), "公顷": ("hectare", "hectares"), "亩": ("mu", "mu"),
    "公斤": ("kilogram", "kilograms"), "千克": ("kilogram", "kilograms"), "克": ("gram", "grams"),
    "毫克": ("milligram", "milligrams"), "吨": ("tonne", "tonnes"), "斤": ("jin", "jin"),
    "升": ("litre", "litres"), "毫升": ("millilitre", "millilitres"), "瓦": ("watt", "watts"),
    "千瓦": ("kilowatt", "kilowatts"), "兆瓦": ("megawatt", "megawatts"),
    "千瓦时": ("kilowatt-hour", "kilowatt-hours"), "伏": ("volt", "volts"),
    "分贝": ("decibel", "decibels"), "摄氏度": ("°C", "°C"), "°c": ("°C", "°C"), "%": ("%", "%"),
    "个百分点": ("percentage point", "percentage points"), "倍": ("times", "times"),
    **dict.fromkeys("次个名位人户家台辆座间条册本件只项处张场支座所枚颗棵层", ("", "")),
}  # fmt: skip
"""One and several; what only counts is no word in English: what it counts is in the question."""
_SAME_UNITS = r"kwh|kg|mg|km|cm|mm|kw|gb|mb|tb|kb|ms|[gmwvsh]"
_BEFORE: Mapping[str, str] = {
    "大约": "about ", "约": "about ", "近": "nearly ", "不超过": "at most ", "超过": "more than ",
    "至少": "at least ", "最多": "at most ", "每": "every ", "前": "the first ",
}  # fmt: skip
_BEHIND: Mapping[str, str] = {
    "以上": " or more", "左右": "", "以内": "", "之内": "", "内": "",
}  # fmt: skip
_ROUND = {"左右": "about ", "以内": "within ", "之内": "within ", "内": "within "}
_NUMBER = rf"-?\d+(?:\.\d+)?|百分之[{DIGITS}点]+|[{DIGITS}]+(?:点[{DIGITS}]+)?"
_AMOUNT = re.compile(
    rf"({'|'.join(_BEFORE)})?({_NUMBER})\s*([万亿]?)(?:个(?=[月星小]))?\s*"
    rf"({'|'.join(sorted(map(re.escape, _UNITS), key=len, reverse=True))}|{_SAME_UNITS})?"
    rf"({'|'.join(_BEHIND)})?"
)
_YEAR = re.compile(r"(公元前?)?(\d{2,4}|[〇零一二三四五六七八九]{3,4})年")
_ASKS_YEAR = re.compile(r"\b(?:which|what) year\b", re.IGNORECASE)
_RATIO = re.compile(r"(\d+)比(\d+)")
_DATE = re.compile(r"(?:(\d{3,4})年)?(\d{1,2})月(?:(\d{1,2})[日号])?")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_LASTS = re.compile(r"how (?:long|many|old|often|much)|what (?:share|percentage)", re.IGNORECASE)
"""Of questions whose answer in years is no year."""
_VALUES = {"零": 0, "〇": 0, "两": 2, **{char: n for n, char in enumerate("一二三四五六七八九", 1)}}
_POWERS = {"十": 10, "百": 100, "千": 1000}
_MILLION, _BILLION = 10**6, 10**9


def amount_in_english(amount: str, question: str) -> str | None:
    """Return what is only an amount, a year or a date in English, None for anything else.

    Example:
        >>> [amount_in_english(text, "How much?") for text in ("12万元", "三十一亿元", "六小时")]
        ['120,000 yuan', '3.1 billion yuan', '6 hours']
        >>> [amount_in_english(text, "When was it?") for text in ("762年", "2024年3月1日", "春天")]
        ['762', '1 March 2024', None]
    """
    text = fold(plain_numbers(amount)).strip().rstrip("。.")
    if _ASKS_YEAR.search(question) and len(years := set(_YEAR.findall(text))) == 1:
        return _year(*years.pop())
    if not _LASTS.search(question):
        if year := _YEAR.fullmatch(text):
            return _year(*year.groups())
        if date := _DATE.fullmatch(text):
            return _date(*date.groups())
    if ratio := _RATIO.fullmatch(text):
        return ":".join(ratio.groups())
    found = _AMOUNT.fullmatch(text)
    value = _value(found[2]) if found else None
    if found is None or value is None:
        return None
    before, number, power, unit, behind = (part or "" for part in found.groups())
    value *= {"": 1, "万": 10**4, "亿": 10**8}[power]
    if number.startswith("百分之"):
        unit = "%"
    one, several = _UNITS.get(unit) or (_as_written(amount, unit),) * 2
    word = one if value == 1 else several
    space = "" if word in ("", "%") else " "
    lead = _BEFORE.get(before) or _ROUND.get(behind, "")
    return f"{lead}{_written(value)}{space}{word}{_BEHIND.get(behind, '')}"


def _year(era: str | None, year: str) -> str:
    return f"{_value(year)}{' BC' if era == '公元前' else ''}"


def _date(year: str | None, month: str, day: str | None) -> str | None:
    if not 1 <= int(month) <= len(_MONTHS):
        return None
    return " ".join(filter(None, (day and str(int(day)), _MONTHS[int(month) - 1], year)))


def _as_written(amount: str, unit: str) -> str:
    """Return a unit of Latin letters as the text has it, such as GB."""
    amount = normalize("NFKC", amount)
    at = amount.lower().rfind(unit)
    return amount[at : at + len(unit)] if unit else ""


def _written(value: Decimal) -> str:
    for size, name in ((_BILLION, " billion"), (_MILLION, " million")):
        if value >= size and value * 100 % size == 0:
            return f"{(value / size).normalize():f}{name}"
    return f"{value.normalize():,f}"


def _value(number: str) -> Decimal | None:
    """Return the value of a number in digits or Chinese numerals."""
    number = number.removeprefix("百分之")
    if number[-1].isdigit():
        return Decimal(number)
    whole, _, fraction = number.partition("点")
    digits = [_VALUES.get(char) for char in fraction]
    if None in digits:
        return None
    value = _whole(whole)
    return None if value is None else Decimal(f"{value}.{''.join(map(str, digits))}".rstrip("."))


def _whole(numeral: str) -> int | None:
    """Return the value of a whole number in Chinese numerals, None where it is none."""
    for power, size in (("亿", 10**8), ("万", 10**4)):
        high, found, low = numeral.partition(power)
        if found:
            parts = (_whole(high), _whole(low.lstrip("零")) if low else 0)
            return None if None in parts else (parts[0] or 0) * size + (parts[1] or 0)
    if len(numeral) > 1 and all(char in _VALUES for char in numeral):  # 二〇二四
        return int("".join(str(_VALUES[char]) for char in numeral))
    total, digit = 0, None
    for char in numeral:
        if char in _VALUES:
            digit = _VALUES[char]
        elif char in _POWERS:
            total, digit = total + (1 if digit is None else digit) * _POWERS[char], None
        else:
            return None
    return total + (digit or 0)
