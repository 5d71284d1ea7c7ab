"""Amounts and years of Chinese texts in English: by rule, since a model gets numbers wrong."""

import re
from collections.abc import Mapping
from decimal import Decimal
from unicodedata import normalize

from rag_app.chains.facts.amounts import DIGITS, in_digits, plain_numbers, value_of
from rag_app.documents.text import HAN, fold

_UNITS: Mapping[str, tuple[str, str]] = {
    "小时": ("hour", "hours"), "分钟": ("minute", "minutes"), "秒": ("second", "seconds"),
    "毫秒": ("millisecond", "milliseconds"), "天": ("day", "days"), "日": ("day", "days"),
    "周": ("week", "weeks"), "星期": ("week", "weeks"), "月": ("month", "months"),
    "年": ("year", "years"),
    "岁": ("year old", "years old"), "周岁": ("year old", "years old"), "元": ("yuan", "yuan"),
    "美元": ("US dollar", "US dollars"), "欧元": ("euro", "euros"),
    "米": ("metre", "metres"), "公里": ("kilometre", "kilometres"),
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
"""One and several; what only counts has no word in English: what it counts is in the question."""
_LONGEST_FIRST = sorted(_UNITS, key=len, reverse=True)
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
    rf"({'|'.join(map(re.escape, _LONGEST_FIRST))}|{_SAME_UNITS})?"
    rf"({'|'.join(_BEHIND)})?"
)
_YEAR = re.compile(r"(公元前?)?(\d{2,4}|[〇零一二三四五六七八九]{3,4})年(?!代)")
_DECADE = re.compile(r"(\d{3}0)年代")
_WRITTEN = re.compile(
    r"(?<![A-Za-z\d.-])(?:(?:\d{3,4}年)?\d{1,2}月(?:\d{1,2}[日号])?|\d{3}0年代|\d{3,4}年"
    r"|\d+(?:\.\d+)?[万亿]?(?:个(?=[月星小]))?"
    rf"(?:{'|'.join(re.escape(unit) for unit in _LONGEST_FIRST if _UNITS[unit][0])})?"
    r"(?![A-Za-z\d.]))"
)
"""An amount or a date in figures, without a character that only counts."""
_REIGN_YEAR = re.compile(rf"[{HAN}]{{2}}[{DIGITS}元]{{1,3}}[年载]")
_ASKS_YEAR = re.compile(r"\b(?:which|what) year\b", re.IGNORECASE)
_RATIO = re.compile(r"(\d+)比(\d+)")
_DATE = re.compile(r"(?:(\d{3,4})年)?(\d{1,2})月(?:(\d{1,2})[日号])?")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_MONTH = re.compile(
    rf"\b(?:({'|'.join(month for month in _MONTHS if month != 'May')})"
    r"|(May)(?= \d)|(?<=\d )(May)|(?<=\bin )(May))\b"
)
"""A month; may is most often none."""
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = (
    "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth",
)  # fmt: skip
_COUNTS: Mapping[str, Decimal] = {
    **{word: Decimal(value) for value, word in enumerate(_SMALL)},
    **{word: Decimal(10 * value) for value, word in enumerate(_TENS, 2)},
    **{word: Decimal(value) for value, word in enumerate(_ORDINALS, 3)},
    **dict.fromkeys(("both", "twice", "double", "pair", "couple", "second"), Decimal(2)),
    "dozen": Decimal(12), "half": Decimal("0.5"),
}  # fmt: skip
_SCALES: Mapping[str, int] = {
    "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "千": 10**3, "万": 10**4, "亿": 10**8,
}  # fmt: skip
_SCALE = "(?:hundred|thousand|million|billion|trillion)s?"
_WORD = rf"{'|'.join(word for word in _COUNTS if word != 'second')}|{_SCALE}"
_IN_WORDS = re.compile(
    rf"\b(?:{_WORD}|(?<=the )second)(?:(?:-| and | )(?:{_WORD}))*\b",
    re.IGNORECASE,
)
_IN_FIGURES = re.compile(rf"(\d+(?:\.\d+)?)(?![\d.]*s\b)(?:\s?({_SCALE}\b|[千万亿]))?")
_AT_ALL = re.compile(f"[{DIGITS}]+|半")  # Chinese numerals wherever they are, as in 三分之一
_LASTS = re.compile(r"how (?:long|many|old|often|much)|what (?:share|percentage)", re.IGNORECASE)
"""Questions whose answer in years is not a date."""
_MILLION, _BILLION = 10**6, 10**9
_ENORMOUS = 10**18  # from here on a number is more likely none


def amount_in_english(amount: str, question: str) -> str | None:
    """Return what is only an amount, a year or a date in English, None for anything else.

    Example:
        >>> [amount_in_english(text, "How much?") for text in ("12万元", "三十一亿元", "六小时")]
        ['120,000 yuan', '3.1 billion yuan', '6 hours']
        >>> dates = ("762年", "2024年3月1日", "1950年代", "春天")
        >>> [amount_in_english(date, "When was it?") for date in dates]
        ['762', '1 March 2024', '1950s', None]
    """
    text = fold(plain_numbers(amount)).strip().rstrip("。.")
    if _ASKS_YEAR.search(question) and len(years := set(_YEAR.findall(text))) == 1:
        return _year(*years.pop())
    if not _LASTS.search(question) and (date := _date_in_english(text)):
        return date
    if ratio := _RATIO.fullmatch(text):
        return ":".join(ratio.groups())
    found = _AMOUNT.fullmatch(text)
    value = value_of(found[2].removeprefix("百分之")) if found else None
    if found is None or value is None or value >= _ENORMOUS:
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


def year_of_reign(date: str, text: str) -> str:
    """Return the year that a text gives in brackets after one of a reign, nothing for other dates.

    Example:
        >>> year_of_reign("开元十二年", "开元十二年（724年），李白离开蜀地。")
        '724年'
    """
    if not _REIGN_YEAR.fullmatch(date):
        return ""
    found = re.search(rf"{date}\s*[(（]({_YEAR.pattern})[)）]", text)
    return found[1] if found else ""


def _date_in_english(text: str) -> str | None:
    if year := _YEAR.fullmatch(text):
        return _year(*year.groups())
    if decade := _DECADE.fullmatch(text):
        return f"{decade[1]}s"
    date = _DATE.fullmatch(text)
    return _date(*date.groups()) if date else None


def _year(era: str | None, year: str) -> str:
    return f"{value_of(year)}{' BC' if era == '公元前' else ''}"


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


def values(text: str) -> frozenset[Decimal]:
    """Return the numbers that an English or Chinese text says, in figures or words, but one.

    Example:
        >>> sorted(map(int, values("In March 2024, three million yuan for 25 rooms")))
        [3, 25, 2024, 3000000]
        >>> values("2024年3月，三百万元修25间房") == values("In March 2024, 3 million for 25 rooms")
        True
    """
    plain = in_digits(text)
    found = {_scaled(number, scale) for number, scale in _IN_FIGURES.findall(plain)}
    words = _IN_WORDS.findall(_IN_FIGURES.sub("; ", plain))
    found |= {_in_words(number) for number in words}
    months = ("".join(names) for names in _MONTH.findall(plain))
    found |= {Decimal(_MONTHS.index(month) + 1) for month in months}
    return frozenset(found - {Decimal(1)})


def keeps_numbers(translation: str, original: str, question: str) -> bool:
    """Return whether a translated answer says the numbers of the original, and no others.

    Numbers of the question may be repeated, or left out.

    Example:
        >>> [keeps_numbers(text, "三百万元", "How much?") for text in ("3 million", "30 million")]
        [True, False]
    """
    known = _all_values(original) | _all_values(question)
    said = _all_values(translation) | _all_values(question)
    return values(translation) <= known and values(original) <= said


def with_english_amounts(text: str) -> str:
    """Return a Chinese text in which amounts and dates stand in English.

    Example:
        >>> with_english_amounts("2024年3月投资三十一亿元")
        'March 2024 投资 3.1 billion yuan'
    """

    def in_english(match: re.Match[str]) -> str:
        amount = amount_in_english(match.group(), "")
        return match.group() if amount is None else f" {amount} "

    return " ".join(_WRITTEN.sub(in_english, in_digits(text)).split())


def _all_values(text: str) -> frozenset[Decimal]:
    """Return the numbers that a text may say."""
    found = {value_of(numeral) for numeral in _AT_ALL.findall(text) if numeral != "半"}
    half = {Decimal("0.5"), Decimal(30)} if "半" in text else set()
    ordinal = {Decimal(2)} if "second" in text.lower() else set()
    return values(text).union(half, ordinal, (value for value in found if value is not None))


def _scaled(number: str, scale: str) -> Decimal:
    return Decimal(number) * _SCALES.get(scale.lower().removesuffix("s"), 1)


def _in_words(number: str) -> Decimal:
    """Return the value of English number words in a row."""
    total, part = Decimal(0), Decimal(0)
    for word in re.findall("[a-z]+", number.lower()):
        scale = _SCALES.get(word.removesuffix("s"))
        if word in _COUNTS:
            fraction = word in _ORDINALS and 0 < part < len(_SMALL)  # as in one third
            part = _COUNTS[word] + (0 if fraction else part)
        elif scale == _SCALES["hundred"]:
            part = (part or Decimal(1)) * scale
        elif scale:
            total, part = total + (part or Decimal(1)) * scale, Decimal(0)
    return total + part
