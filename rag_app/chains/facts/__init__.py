"""The numbers and names of a text as they are written: what an answer must not get wrong."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rag_app.chains.facts.amounts import DIGITS, in_digits, units_of
from rag_app.chains.facts.romanization import FULL_NAME
from rag_app.documents.text import HAN, fold

_WORD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9]*(?:[-_.+&/][A-Za-z0-9]+)*")
_PARTS = re.compile(r"[-_.+&/]")
_TITLE = re.compile(r"[《「『〈]([^》」』〉\n，。！？,]{1,60})[》」』〉]")
_PERSON = re.compile(rf"(?:是|为|叫|由)(?!何[人时年日事物处地])({FULL_NAME})(?=[。，、；！,;\s]|$)")
"""Who somebody is said to be."""
_NAME = re.compile(
    rf"[{HAN}](?:[省县州]|镇(?![压静定守痛])|市(?!场)|先生|女士|经理|主任|教授|某某|某)|[{HAN}]{{2}}(?:有限公司|集团)"
)
"""Nouns that say what kind of thing the name before them is: places, people, companies."""
_ORDINARY = re.compile(
    "[城超门上都股我本该各某此全在的]市|[全本该各某外我节]省|村镇|[的在是为由和与或了给到过向从被将对]..?"
    "|[些几哪个两座条一二三四五六七八九十乡于把出撤设及县内市][省县镇州市]|[院要来所]教授"
    "|[位名总副](?:先生|女士|经理|主任|教授)|任(?:经理|主任|教授)"
    "|.?[哪么一个].?(?:集团|有限公司)"
)
_NEGATIVE = re.compile(
    rf"(?:(?<![\w.%)])[-−]|(?<=[{HAN}])[-−](?=[\d.]+\s*(?:[%‰度至到~]|°c|摄氏度|个百分点))|负|零下)"
    r"(\d+(?:[.:]\d+)*)"
)
"""A number below zero; between Han characters a line is that of a range: 1月-3月."""
_DAY = re.compile(r"(?:(\d{1,2})月)?(\d{1,2})[日号]")
_NAMED_YEAR = re.compile(rf"([{HAN}]{{2}})(\d{{1,2}}|元)[年载]")  # as of a reign
_POWERS = {"万", "亿"}
_LESS = re.compile(
    "[降减跌少亏负低缩]|零下|下滑|decline|f[ea]ll|drop|los[st]|down|below|minus|less|reduc"
)
"""Words that make a number without a sign negative."""


@dataclass(frozen=True)
class Facts:
    """The numbers and names of a text.

    Example:
        >>> passage = Facts.of("AB007的额定功率是1,079千瓦，重２９１公斤。")
        >>> [Facts.of(text).are_in(passage) for text in ("1079千瓦", "291千瓦", "AB008重291公斤")]
        [True, False, False]
        >>> passage = Facts.of("3月5日开工，4月9日至16日停工。开元十二年他离开蜀地，前后两年。")
        >>> [Facts.of(text).are_in(passage) for text in ("4月16日", "3月9日", "开元二年")]
        [True, False, False]
    """

    numbers: Mapping[str, frozenset[str]]
    """In digits, without separators, each with the units that it has."""
    unsigned: frozenset[str]
    """Those of them written without a minus."""
    below_zero: frozenset[str]
    """Those written with one."""
    numerals: frozenset[str]
    """Chinese ones that are not exact numbers, such as 七八."""
    words: frozenset[str]
    """Latin words that are names."""
    phrases: frozenset[str]
    """Titles in quotes, and what else can be recognized as a name."""
    days: frozenset[tuple[str, str]]
    """Each with its month, empty where none is before it."""
    named_years: frozenset[tuple[str, str]]
    """What is before a year that has few digits, and that year."""
    all_words: frozenset[str]
    """All Latin words and the parts of those with hyphens."""
    letters: str
    """All that is not white space."""

    @classmethod
    def of(cls, text: str) -> "Facts":
        """Return the facts of a text in any writing."""
        plain = in_digits(text)
        words = list(_WORD.finditer(plain))
        folded = fold(_WORD.sub(" ", plain))
        titles = {"".join(title.split()) for title in _TITLE.findall(fold(plain))}
        named = {name for name in _NAME.findall(folded) if not _ORDINARY.fullmatch(name)}
        whole = {fold(word.group()) for word in words}
        numbers = units_of(folded)
        below_zero = frozenset(_NEGATIVE.findall(folded))
        unsigned = units_of(_NEGATIVE.sub(" ", folded)) if below_zero else numbers
        return cls(
            numbers,
            frozenset(unsigned),
            below_zero,
            frozenset(re.findall(f"[{DIGITS}]{{2,}}", folded)),
            frozenset(fold(word.group()) for word in words if _is_name(word)),
            frozenset(titles.union(named, _PERSON.findall(folded))),
            _days_of(folded),
            frozenset(_NAMED_YEAR.findall(folded)),
            frozenset(whole.union(*map(_PARTS.split, whole))),
            "".join(fold(plain).split()),
        )

    def are_in(self, other: "Facts") -> bool:
        """Return whether all numbers and names occur in another text as they are written."""
        return not self.lacking_in(other)

    def lacking_in(self, other: "Facts") -> frozenset[str]:
        """Return the numbers and names that another text lacks, or has with other units."""
        numbers = (
            number
            for number, units in self.numbers.items()
            if number not in other.numbers
            or not _agree(units, other.numbers[number])
            or not self._has_sign(number, other)
        )
        phrases = (phrase for phrase in self.phrases if phrase not in other.letters)
        words, numerals = self.words - other.all_words, self.numerals - other.numerals
        return words.union(numerals, numbers, phrases, self._dates_lacking_in(other))

    def _dates_lacking_in(self, other: "Facts") -> frozenset[str]:
        """Return the dates of which another text has the parts, in other dates."""
        alone = {day for month, day in other.days if not month}
        known = {day for _, day in other.days} - alone
        days = [
            f"{month}月{day}日" for month, day in self.days - other.days if month and day in known
        ]
        names = {name for name, _ in other.named_years}
        counted = {*other.numbers, "元"}
        years = [
            f"{name}{year}年"
            for name, year in self.named_years - other.named_years
            if name in names and year in counted
        ]
        return frozenset(days + years)

    def _has_sign(self, number: str, other: "Facts") -> bool:
        """Return whether a number is below zero in another text too, or in neither."""
        if number in self.unsigned & other.unsigned or number in self.below_zero & other.below_zero:
            return True
        said = self.letters if number in other.below_zero else other.letters
        return _LESS.search(said) is not None


def _days_of(text: str) -> frozenset[tuple[str, str]]:
    """Return the days of a text, each with the month that is before it, as in 4月9日至16日."""
    days, month = set(), ""
    for named, day in _DAY.findall(text):
        month = named or month
        days.add((month, day))
    return frozenset(days)


def _is_name(word: re.Match[str]) -> bool:
    """Return whether a Latin word is a name: all are among Han characters.

    In English those are with digits or capitals in them, or with a capital within a sentence.
    """
    letters, before = word.group(), word.string[: word.start()].strip()
    if re.search(f"[{HAN}]", word.string) or re.search(r".[A-Z0-9]", letters):
        return True
    return letters[0].isupper() and len(letters) > 1 and bool(before)


def _agree(units: frozenset[str], others: frozenset[str]) -> bool:
    """Return whether a number stands with one of its units, where both texts give one.

    8.15亿 may be 8.15亿美元.
    """
    if "" in units | others:
        return True
    powers = {unit[0] for unit in units} & {unit[0] for unit in others} & _POWERS
    return bool(units & others or powers & (units | others))
