"""Cell values as a spreadsheet shows them, by their number formats (ECMA-376, 18.8.30)."""

import operator
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

_SECTIONS = re.compile(r'((?:"[^"]*"|[\\!].|[^;"\\!])*)(?:;|$)')
_CONDITION = re.compile(r"\[(<=|>=|<>|=|<|>)\s*(-?[\d.]+)\]")
_COMPARISONS = {
    "<=": operator.le, ">=": operator.ge, "<>": operator.ne,
    "=": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_TOKENS = re.compile(
    r'"(?P<quoted>[^"]*)"|[\\!](?P<escaped>.)|_.|\*.|\[\$(?P<currency>[^\]-]*)(?:-[^\]]*)?\]'
    r"|\[(?P<elapsed>h+|m+|s+)\]|\[[^\]]*\]|(?P<ampm>AM/PM|A/P|上午/下午)"
    r"|(?P<letters>y+|m+|d+|h+|s+|e+(?![+-])|a{3,4})|(?P<number>[#0?][#0?,]*(?:\.[#0?]*,*)?(?:E[+-]0+)?)"
    r"|(?P<other>.)",
    re.IGNORECASE,
)
_WEEKDAYS = "一二三四五六日"
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_CHINESE_MONTHS = "一 二 三 四 五 六 七 八 九 十 十一 十二".split()  # noqa: SIM905
_CHINESE = re.compile(r"\[\$[^\]]*-(?:[0-9A-F]*0)?[48]04\]", re.IGNORECASE)
"""The mark of what is written in Chinese."""
_GENERAL = re.compile("General|G/通用格式", re.IGNORECASE)
_FRACTION = re.compile(r"([#0?]\s+)?[#0?]+/([#0?]+|\d+)")
_TEXT = 3
"""Where the section for text is."""
_MOST_PARTS = 4
"""Digits of a fraction's parts."""
_LOCAL_DATES = {"mm-dd-yy", "m/d/yy", "[$-f800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy"}
"""Formats that every country's program shows in its own way."""


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
        return _duration(value, number_format)
    if isinstance(value, datetime | date | time):
        return _moment(value, number_format)
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
    section, value = _section(_sections(number_format), value)
    if not section and ";" in number_format:  # it hides the number
        return ""
    tokens = _tokens(section)
    if general := _GENERAL.search(section):
        before, after = section[: general.start()], section[general.end() :]
        return "".join([*_literals(before), _general(value), *_literals(after)]).strip()
    if not any(token["number"] for token in tokens):
        literal = "".join(map(_literal, tokens))
        return literal if literal.strip() else _general(value)
    if "/" in section:
        return _fraction(value, section)
    value *= 100 ** sum(token["other"] == "%" for token in tokens)
    digits = iter(_across(value, [token["number"] for token in tokens if token["number"]]))
    shown = (next(digits) if token["number"] else _literal(token) for token in tokens)
    return "".join(shown).strip()


def _literals(part: str) -> Iterator[str]:
    return map(_literal, _TOKENS.finditer(part))


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


@lru_cache(1024)
def _sections(number_format: str) -> list[str]:
    sections = [match[1] for match in _SECTIONS.finditer(number_format)]
    return (sections if number_format.endswith(";") else sections[:-1]) or [number_format]


@lru_cache(1024)
def _tokens(section: str) -> "list[re.Match[str]]":
    return list(_TOKENS.finditer(section))


def _section(sections: Sequence[str], value: float) -> tuple[str, float]:
    """Return the part of a format for a number, and the number as that part has it."""
    conditions = [_CONDITION.search(section) for section in sections]
    if any(conditions):
        for section, found in zip(sections, conditions, strict=True):
            if found is None or _COMPARISONS[found[1]](value, float(found[2])):
                return section, value
        return "General", value
    if value < 0 and (len(sections) > 2 or (len(sections) > 1 and sections[1].strip())):
        return sections[1], -value
    if value == 0 and len(sections) > 2:
        return sections[2], value
    return sections[0], value


def _text(value: str, number_format: str) -> str:
    """Return text as a format shows it, such as ``@"号"``."""
    sections = _sections(number_format)
    section = next((part for part in reversed(sections) if "@" in part), "@")
    if len(sections) > _TEXT and not sections[_TEXT]:
        return ""  # it hides text
    return "".join(
        value if token["other"] == "@" else _literal(token) for token in _TOKENS.finditer(section)
    )


def _literal(token: "re.Match[str]") -> str:
    found = token["quoted"] or token["escaped"] or token["currency"] or token["letters"]
    return found or token["other"] or ""


def _across(value: float, patterns: Sequence[str]) -> list[str]:
    """Return the digits of a number for each run of places, as in ``000-0000`` and ``0!.0,``."""
    if len(patterns) == 1 or any("." in pattern or "E" in pattern.upper() for pattern in patterns):
        return [_digits(value, patterns[0]), *[""] * (len(patterns) - 1)]
    places = [len(re.sub("[^#0?]", "", pattern)) for pattern in patterns]
    digits = _digits(value, "".join(patterns))
    found = []
    for width in reversed(places[1:]):
        found.append(digits[-width:])
        digits = digits[:-width]
    return [digits, *reversed(found)]


def _rounded(value: float, decimals: int) -> Decimal:
    """Return a number rounded as spreadsheets do: halves away from zero."""
    number = Decimal(repr(value))
    with localcontext(prec=400):
        return number.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def _digits(value: float, pattern: str) -> str:
    if "E" in pattern.upper():
        decimals = len(re.findall(r"[0#?]", pattern.upper().partition("E")[0].partition(".")[2]))
        return f"{value:.{decimals}E}"
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


def _duration(value: timedelta, number_format: str) -> str:
    seconds = round(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    text = f"{seconds // 3600}:{seconds // 60 % 60:02}"
    return sign + (text + f":{seconds % 60:02}" if "s" in number_format or seconds % 60 else text)


def _moment(value: datetime | date | time, number_format: str) -> str:
    section = number_format.partition(";")[0]
    if section.lower() == "m/d/yy h:mm" and isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    tokens = _tokens(section)
    letters = [token["letters"] for token in tokens if token["letters"]]
    if (
        not letters
        or _GENERAL.search(section)
        or section.lower() in _LOCAL_DATES
        or (isinstance(value, time) and not _is_wordy(tokens))
    ):
        return _iso(value)
    moment = _moment_of(value)
    half = any(token["ampm"] for token in tokens)
    chinese = _CHINESE.search(section) is not None
    shown = []
    for at, token in enumerate(tokens):
        if token["ampm"]:
            names = token["ampm"].split("/")
            shown.append(names[moment.hour >= 12])
        elif token["letters"]:
            name, is_minute = token["letters"].lower(), _is_minute(tokens, at)
            word = _word(moment, name, chinese=chinese) if not is_minute else ""
            shown.append(word or _part(moment, name, is_minute, half))
        elif token["number"]:  # of a second
            shown.append(f"{moment.microsecond:06}"[: len(token["number"].lstrip("."))])
        else:
            shown.append(_literal(token))
    return "".join(shown).strip()


def _is_wordy(tokens: Sequence["re.Match[str]"]) -> bool:
    return any(token["ampm"] or token["quoted"] for token in tokens)


def _moment_of(value: datetime | date | time) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, time):
        return datetime.combine(date.min, value)
    return datetime.combine(value, time())


def _is_minute(tokens: Sequence["re.Match[str]"], at: int) -> bool:
    """Return whether an ``m`` means minutes: after hours, or before seconds."""
    around = [token["letters"] or token["elapsed"] for token in tokens]
    before = next((name for name in reversed(around[:at]) if name), "")
    after = next((name for name in around[at + 1 :] if name), "")
    return before.lower().startswith("h") or after.lower().startswith("s")


def _word(moment: datetime, name: str, *, chinese: bool) -> str:
    """Return the name of a weekday or month, "" where a number is meant."""
    day, month = moment.weekday(), moment.month - 1
    kind, width = name[0], len(name)
    if kind == "a" or (kind == "d" and width > 2 and chinese):
        return {4: "星期", 3: "" if kind == "a" else "周"}.get(width, "星期") + _WEEKDAYS[day]
    if kind == "d" and width > 2:
        return _DAYS[day] if width > 3 else _DAYS[day][:3]
    if kind == "m" and width > 2:
        if chinese:
            return f"{_CHINESE_MONTHS[month]}月"
        return _MONTHS[month][: {3: 3, 5: 1}.get(width)]
    return ""


def _part(moment: datetime, name: str, minute: bool, half: bool) -> str:
    kind, width = name[0], len(name)
    if kind in "ye":
        return f"{moment.year % 100:02}" if kind == "y" and width <= 2 else str(moment.year)
    hour = moment.hour % 12 or 12 if half else moment.hour
    numbers = {"d": moment.day, "h": hour, "s": moment.second}
    number = (moment.minute if minute else moment.month) if kind == "m" else numbers[kind]
    return f"{number:02}" if width >= 2 else str(number)


def _iso(value: datetime | date | time) -> str:
    """Return a moment as people write it: no time where it is midnight."""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    return value.isoformat()
