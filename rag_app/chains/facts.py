"""The numbers and names of a text as they are written: what an answer must not get wrong."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rag_app.documents.text import HAN, language_of
from rag_app.index.store.terms import fold

_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_WORD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9]*(?:[-_.+&/][A-Za-z0-9]+)*")
_PARTS = re.compile(r"[-_.+&/]")
UNITS = (
    "%|‰|个百分点|平方米|平方公里|立方米|公里|千米|厘米|毫米|微米|米|公顷|亩|公斤|千克|毫克|克|吨|斤"
    "|千瓦时|千瓦|兆瓦|瓦|千伏|伏|毫安|安|兆帕|千帕|帕|转|分贝|摄氏度|度|°c|毫升|升"
    "|小时|分钟|秒|天|日|周|个月|月|年|岁|美元|欧元|元|角"
    "|(?:kg|mg|g|km|cm|mm|m|kw|w|kv|v|mb|gb|tb|kb|ms|s|h)(?![a-z])"
)
_NUMBER = re.compile(rf"(\d+(?:[.:]\d+)*)\s*([万亿]?)(?:个(?=小时))?\s*({UNITS})?")
DIGITS = "零〇一二两三四五六七八九十百千万亿"
"""Chinese ones, and what they are multiplied by."""
_NUMERAL = re.compile(
    rf"百分之[{DIGITS}点]+|[{DIGITS}]{{2,}}(?:点[{DIGITS}]+)?"
    rf"|(?<=第)[{DIGITS}]|[{DIGITS}](?=(?:{UNITS}|[倍名人次项条款]))"
)
"""Chinese numbers; one alone, as in 一般 or 统一, only before a unit."""
_TITLE = re.compile(r"[《「『〈]([^》」』〉\n]{1,60})[》」』〉]")
_NAME = re.compile(
    rf"[{HAN}](?:[省县镇州]|市(?!场)|先生|女士|经理|主任|教授|某某|某)|[{HAN}]{{2}}(?:有限公司|集团)"
)
"""Names that say of what they are, with what stands before: places, people, companies."""
_ORDINARY = re.compile(
    "[城超门上都股我本该各某此全在的]市|[全本该各某外我]省|村镇|[的在是为由和与或]..?"
)
_NO_NAME = re.compile(
    "[我你您他她它这那本该此其哪谁何什为是有在从于对按除如怎几多当由被把将与和及或了还最每各某请若会以的]"
)
"""Characters of words that a question begins with where that is no name."""


_ERA = re.compile("[夏商周秦汉晋隋唐宋辽金元明清][代朝]")
"""A dynasty as a time: texts write it before a reign too, as in 清康熙二十三年."""
_TIME = re.compile("[古近现当历同年][代期]|民国|今年")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?=年)")
_OTHER_TIMES = re.compile(
    "[去上前次翌明后]一?年|第二年|同[期比]|以[来后前]|[自从至到起截]|年[前后]"
)
"""With one of these a sentence speaks of other years than the one it names."""


@dataclass(frozen=True)
class Facts:
    """The numbers and names of a text.

    Example:
        >>> passage = Facts.of("AB007的额定功率是1,079千瓦，重２９１公斤。")
        >>> [Facts.of(text).are_in(passage) for text in ("1079千瓦", "291千瓦", "AB008重291公斤")]
        [True, False, False]
    """

    numbers: Mapping[str, frozenset[str]]
    """In digits, without separators, each with the units that it has."""
    numerals: frozenset[str]
    """In Chinese."""
    words: frozenset[str]
    """Latin words that are names."""
    phrases: frozenset[str]
    """Titles in quotes, and what else can be recognized as a name."""
    all_words: frozenset[str]
    """All Latin words and the parts of those with hyphens."""
    letters: str
    """All that is no white space."""

    @classmethod
    def of(cls, text: str) -> "Facts":
        """Return the facts of a text in any writing."""
        plain = plain_numbers(text)
        words = list(_WORD.finditer(plain))
        folded = fold(_WORD.sub(" ", plain))
        numbers: dict[str, set[str]] = {}
        for number, power, unit in _NUMBER.findall(folded):
            numbers.setdefault(number, set()).add(power + unit)
        titles = {"".join(title.split()) for title in _TITLE.findall(fold(plain))}
        named = {name for name in _NAME.findall(folded) if not _ORDINARY.fullmatch(name)}
        whole = {fold(word.group()) for word in words}
        return cls(
            {number: frozenset(units) for number, units in numbers.items()},
            frozenset(match.group() for match in _NUMERAL.finditer(folded)),
            frozenset(fold(word.group()) for word in words if _is_name(word)),
            frozenset(titles | named),
            frozenset(whole.union(*map(_PARTS.split, whole))),
            "".join(fold(plain).split()),
        )

    def are_in(self, other: "Facts") -> bool:
        """Return whether all numbers and names stand in another text, as they are written."""
        return not self.lacking_in(other)

    def lacking_in(self, other: "Facts") -> frozenset[str]:
        """Return the numbers and names that another text lacks, or has with other units."""
        numbers = (
            number
            for number, units in self.numbers.items()
            if number not in other.numbers or not _agree(units, other.numbers[number])
        )
        phrases = (phrase for phrase in self.phrases if phrase not in other.letters)
        words, numerals = self.words - other.all_words, self.numerals - other.numerals
        return words.union(numerals, numbers, phrases)


def unmatched(question: str, text: str, document: str = "") -> frozenset[str]:
    """Return the numbers and names of a question that stand nowhere in a text.

    A passage about another year, model or product than is asked about lacks them, as it lacks the
    name that a question begins with where it has another one before the same word. Words of an
    English question count where they hold a digit: others may be names that the text translates.

    Args:
        question: What is asked.
        text: What is read for it.
        document: What else is known of the text's document: a model, such as WM-800, may be named
            in the title alone. The years and numbers of other passages tell nothing of this one.

    Example:
        >>> sorted(unmatched("WM-900在2023年卖了多少台？", "WM-800在2023年卖了八台。"))
        ['wm-900']
        >>> sorted(unmatched("临江图书馆有多少册书？", "临溪图书馆有三万册书。"))
        ['临江']
        >>> text = "清康熙二十三年，另雇渡夫六名。"
        >>> [sorted(unmatched(f"{era}代渡夫有几名？", text)) for era in "清明"]
        [[], ['明代']]
    """
    asked, held = Facts.of(question), Facts.of(text)
    words = asked.words - held.all_words - Facts.of(document).all_words
    if language_of(question) == "en":
        words = frozenset(word for word in words if any(char.isdigit() for char in word))
    numerals = {numeral for numeral in asked.numerals - held.numerals if len(numeral) > 1}
    phrases = {phrase for phrase in asked.phrases if phrase not in held.letters}
    numbers = asked.numbers.keys() - held.numbers.keys()
    return frozenset(
        words | numbers | numerals | phrases | _other_subject(question, text, document)
    )


def _other_subject(question: str, text: str, document: str) -> set[str]:
    """Return the name that a question begins with if a text has others before the same word."""
    letters = "".join(fold(f"{text}\n{document}").split())
    beginning = fold(question.strip())[:5]
    for length in (2, 3):
        name, word = beginning[:length], beginning[length : length + 2]
        if not re.fullmatch(rf"[{HAN}]{{{length + 2}}}", name + word) or _NO_NAME.search(
            name + word
        ):
            continue
        if _TIME.fullmatch(name) or (_ERA.fullmatch(name) and name[0] in letters):
            continue
        lacking = all(name[at : at + 2] not in letters for at in range(length - 1))
        if lacking and re.search(f"[{HAN}]{word}", letters):
            return {name}
    return set()


def other_year(question: str, sentence: str) -> frozenset[str]:
    """Return the year of a question if the sentence that answers it is about another one.

    Example:
        >>> sorted(other_year("2024年的广告收入是多少？", "2023年广告收入216万元。"))
        ['2024']
        >>> sorted(other_year("2022年的广告收入是多少？", "2023年广告收入216万元，上年180万元。"))
        []
    """
    asked, named = years(question), years(sentence)
    if len(asked) != 1 or len(named) != 1 or _OTHER_TIMES.search(sentence):
        return frozenset()
    return asked - named


def years(text: str) -> frozenset[str]:
    """Return the years that a text names in digits."""
    return frozenset(_YEAR.findall(plain_numbers(text)))


def plain_numbers(text: str) -> str:
    """Return ``text`` with digits of ASCII, and without the separators of thousands.

    Example:
        >>> plain_numbers("共１,234,567.5元")
        '共1234567.5元'
    """
    digits = "".join(str(int(char)) if char.isdecimal() else char for char in text)
    return _THOUSANDS.sub(lambda match: match.group().replace(",", ""), digits)


def _is_name(word: re.Match[str]) -> bool:
    """Return whether a Latin word is a name: all are among Han characters.

    In English those are with digits or capitals in them, or with a capital within a sentence.
    """
    letters, before = word.group(), word.string[: word.start()].strip()
    if re.search(f"[{HAN}]", word.string) or re.search(r".[A-Z0-9]", letters):
        return True
    return letters[0].isupper() and len(letters) > 1 and bool(before)


def _agree(units: frozenset[str], others: frozenset[str]) -> bool:
    """Return whether a number stands with one of its units, where both texts give one."""
    return "" in units or "" in others or bool(units & others)
