"""Dates, times and durations as a spreadsheet shows them, by their number formats."""

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from rag_app.documents.number_formats.chinese_numerals import chinese_digits, chinese_number
from rag_app.documents.number_formats.format_tokens import GENERAL, literal, numerals, tokens

_WEEKDAYS = "一二三四五六日"
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_CHINESE = re.compile(r"\[\$[^\]]*-(?:(?:[0-9A-F]*0)?[48]04|zh\b[^\]]*)\]", re.IGNORECASE)
"""The mark of what is written in Chinese."""
_LOCALE = re.compile(r"\[\$[^\]]*-[0-9A-F]*?(404|411)\]", re.IGNORECASE)
"""The marks of Taiwan and Japan, whose years are those of an era."""
_ERAS = {
    "404": ((date(1912, 1, 1), "民國"),),
    "411": (
        (date(2019, 5, 1), "令和"), (date(1989, 1, 8), "平成"), (date(1926, 12, 25), "昭和"),
        (date(1912, 7, 30), "大正"), (date(1868, 1, 25), "明治"),
    ),
}  # fmt: skip
"""Locale → the first days and the names of its eras, the last one first."""
_LOCAL_DATES = {"mm-dd-yy", "m/d/yy", "[$-f800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy"}
"""Formats that every country's program shows in its own way."""
_UNITS = {"h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}


def is_moment(section: str) -> bool:
    """Return whether a section of a format is one of dates or times."""
    found = tokens(section)
    return not GENERAL.search(section) and any(token["letters"] for token in found)


def shown_duration(value: timedelta, number_format: str) -> str:
    """Return a duration by its format, such as 26:15 by ``[h]:mm``."""
    section = number_format.partition(";")[0]
    found = tokens(section)
    sign, rest = ("-", -value) if value < timedelta() else ("", value)
    if not any(token["elapsed"] for token in found):
        section, found = "[h]:mm:ss", tokens("[h]:mm:ss")
    decimals = max((len(token["number"] or "") for token in found), default=0)
    rest = timedelta(seconds=round(rest.total_seconds(), decimals))
    shown = []
    for token in found:
        if name := token["elapsed"] or token["letters"]:
            count, rest = divmod(rest, _UNITS.get(name[0].lower(), timedelta.max))
            shown.append(f"{count:0{len(name)}}")
        elif token["number"]:
            shown.append(f"{rest.microseconds:06}"[: len(token["number"])])
        else:
            shown.append(literal(token))
    return sign + "".join(shown).strip()


def shown_moment(value: datetime | date | time, number_format: str) -> str:
    """Return a date or time by its format; one of no clear format as in ISO 8601."""
    section = number_format.partition(";")[0]
    if section.lower() == "m/d/yy h:mm" and isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    found = tokens(section)
    letters = "".join(token["letters"] or "" for token in found).lower()
    dated = isinstance(value, time) and not {*letters}.isdisjoint("yedga")
    if not is_moment(section) or section.lower() in _LOCAL_DATES or dated:
        # As people write it: no time where it is midnight.
        if isinstance(value, datetime):
            return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
        return value.isoformat()
    moment = _moment_of(value)
    half = any(token["ampm"] for token in found)
    shown = []
    for at, token in enumerate(found):
        if token["ampm"]:
            names = token["ampm"].split("/")
            shown.append(names[moment.hour >= 12])
        elif token["letters"]:
            name = "min" if _is_minute(found, at) else token["letters"].lower()
            width = len(token["letters"])
            shown.append(_word(moment, name, section) or _part(moment, name, width, half, section))
        elif token["number"]:  # of a second
            shown.append(f"{moment.microsecond:06}"[: len(token["number"].lstrip("."))])
        else:
            shown.append(literal(token))
    return "".join(shown).strip()


def _moment_of(value: datetime | date | time) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, time):
        return datetime.combine(date.min, value)
    return datetime.combine(value, time())


def _is_minute(found: Sequence["re.Match[str]"], at: int) -> bool:
    """Return whether an ``m`` means minutes: after hours, or before seconds."""
    around = [token["letters"] or token["elapsed"] for token in found]
    if not (around[at] or "").lower().startswith("m"):
        return False
    before = next((name for name in reversed(around[:at]) if name), "")
    after = next((name for name in around[at + 1 :] if name), "")
    return before.lower().startswith("h") or after.lower().startswith("s")


def _word(moment: datetime, name: str, section: str) -> str:
    """Return the name of a weekday, month or era, "" where a number is meant."""
    day, month = moment.weekday(), moment.month - 1
    kind, width = name[0], len(name)
    chinese = _CHINESE.search(section) is not None
    if kind == "g":
        return _era(moment, section)[0]
    if kind == "a" or (kind == "d" and width > 2 and chinese):
        return {4: "星期", 3: "" if kind == "a" else "周"}.get(width, "星期") + _WEEKDAYS[day]
    if kind == "d" and width > 2:
        return _DAYS[day] if width > 3 else _DAYS[day][:3]
    if kind == "m" and width > 2 and name != "min":
        if chinese:
            return f"{chinese_number(moment.month)}月"
        return _MONTHS[month][: {3: 3, 5: 1}.get(width)]
    return ""


def _era(moment: datetime, section: str) -> tuple[str, int]:
    """Return the name of the era of a date, "" where its country has none, and the year in it."""
    country = _LOCALE.search(section)
    for first, name in _ERAS[country[1]] if country else ():
        if moment.date() >= first:
            return name, moment.year - first.year + 1
    return "", moment.year


def _part(moment: datetime, name: str, width: int, half: bool, section: str) -> str:
    """Return a number of a date or time."""
    kind = name[0]
    words = numerals(section)
    if kind in "ye":
        year = moment.year if kind == "y" else _era(moment, section)[1]
        text = f"{year % 100:02}" if kind == "y" and width <= 2 else str(year)
        return chinese_digits(text, words[0]) if words else text
    hour = moment.hour % 12 or 12 if half else moment.hour
    month = moment.minute if name == "min" else moment.month
    number = {"d": moment.day, "h": hour, "s": moment.second}.get(kind, month)
    if words:
        return chinese_number(number, *words)
    return f"{number:02}" if width >= 2 else str(number)
