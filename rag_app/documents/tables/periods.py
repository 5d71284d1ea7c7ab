"""Dates, years and counts in the rows of tables: what looks like a value and may name a column."""

import re
from collections.abc import Sequence
from itertools import pairwise

from rag_app.documents.tables.cells import SAMPLE, VALUE, Row

YEAR = re.compile(
    r"(?:FY|Q[1-4]\s*)?(?:19|20)\d\d(?:年|年度|Q[1-4]|H[12]|E|A)?|\d{1,2}[月日]|[1-4]季度"
)
"""What looks like a value and may name a column all the same."""
PERIOD = re.compile(
    r"(?:19|20)\d\d\s?[-/年]\s?\d{1,2}\s?(?:[-/月]\s?\d{1,2}\s?日?|月)?|(?:19|20)\d\d\.\d{1,2}\.\d{1,2}"
    r"|(?:(?:19|20)\d\d\s?年\s?)?\d{1,2}\s?月?\s?[-–—~至]\s?\d{1,2}\s?月"
    r"|(?:19|20)\d\d\s?[-–—]\s?(?:19|20)\d\d\s?(?:年度?)?|\d{1,2}\s?[-–—]\s?\d{1,2}\s?年"
)
"""A date or span of months or years, as balance sheets have them over columns: two in a row."""
DATE = re.compile(r"(?:(?:19|20)\d\d[-/年])?(\d{1,2})[-/月](\d{1,2})日?|((?:19|20)\d\d)年?")
"""A month and day, or a year."""
_FEWEST_DAYS = 7
"""Numbers that follow each other, as those of days, above which they may name columns."""
_FEWEST_COUNTED = 3  # numbers from 1 on that name all columns but the first


def is_calendar(body: Sequence[Row], at: int) -> bool:
    """Return whether a row is days that follow each other, or years, above columns of others."""
    first, *dates = body[at] or [""]
    found = [DATE.fullmatch(date) for date in dates]
    if len(found) < 2 or VALUE.fullmatch(first):
        return False
    days = [(int(match[1]), int(match[2])) for match in found if match and match[1]]
    years = [int(match[3]) for match in found if match and match[3]]
    if len(days) == len(found):
        rising = all(_is_next_day(day, after) for day, after in pairwise(days))
    else:
        rising = len(years) == len(found) and not first and years == sorted(set(years))
    below = [cell for row in body[at + 1 : at + 1 + SAMPLE] for cell in row[1:] if cell]
    return rising and not any(map(DATE.fullmatch, below))


def is_counted(body: Sequence[Row]) -> bool:
    """Return whether the first row names its columns 1, 2, 3, as months or lessons."""
    first, *numbers = body[0] or [""]
    counted = len(numbers) >= _FEWEST_COUNTED and list(map(str, range(1, len(numbers) + 1)))
    return bool(first) and not VALUE.fullmatch(first) and numbers == counted


def is_periods(body: Sequence[Row], at: int) -> bool:
    """Return whether a row is nothing but years, dates or months above columns of other values."""
    first, *periods = body[at] or [""]
    if first or len(set(periods)) < 2 or not all(map(is_period, periods)):
        return False
    below = [cell for row in body[at + 1 : at + 1 + SAMPLE] for cell in row[1:] if cell]
    return any(map(VALUE.fullmatch, below)) and not any(map(is_period, below))


def is_period(cell: str) -> bool:
    """Return whether a cell is a year, a date or a span of months."""
    return bool(YEAR.fullmatch(cell) or PERIOD.fullmatch(cell))


def is_ordered(periods: list[str]) -> bool:
    """Return whether dates rise or fall, as those over columns do and values hardly ever."""
    numbers = [tuple(map(int, re.findall(r"\d+", period))) for period in periods]
    return numbers in (sorted(numbers), sorted(numbers, reverse=True))


def _is_next_day(day: tuple[int, int], after: tuple[int, int]) -> bool:
    """Return whether a month and day follow others, in the same month or as the first of one."""
    return after in {(day[0], day[1] + 1), (day[0] % 12 + 1, 1)}


def without_days(values: list[str]) -> list[str]:
    """Return what is in a row besides the days of a month: ``1 2 3 …``, which name columns."""
    days = [value for value in values if value.isdecimal() and len(value) < 3]
    first = int(days[0]) if days else 0
    if len(days) < _FEWEST_DAYS or days != [str(first + at) for at in range(len(days))]:
        return values
    return [value for value in values if value not in days] + [f"{day}日" for day in days]
