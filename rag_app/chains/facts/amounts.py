"""Amounts: numbers in any writing and their units, and answers that are an amount alone."""

import re
from collections.abc import Mapping
from decimal import Decimal

from rag_app.chains.questions import bare_question
from rag_app.documents.text import fold

_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
UNITS = (
    "%|‰|个百分点|平方米|平方公里|立方米|公里|千米|厘米|毫米|微米|米|公顷|亩|公斤|千克|毫克|克|吨|斤"
    "|千瓦时|千瓦|兆瓦|瓦|千伏|伏|毫安|安|兆帕|千帕|帕|转|分贝|摄氏度|度|°c|毫升|升"
    "|日元|韩元|港元|港币|美元|欧元|英镑|元|角|小时|分钟|秒|天|日|周岁|周|个月|月|年|岁"
    "|(?:kg|mg|g|km|cm|mm|m|kw|w|kv|v|mb|gb|tb|kb|ms|s|h)(?![a-z])"
)
_NUMBER = re.compile(rf"(\d+(?:[.:]\d+)*)\s*([万亿]?)(?:个(?=小时))?\s*({UNITS})?")
_VALUES = {"零": 0, "〇": 0, "两": 2, **{char: n for n, char in enumerate("一二三四五六七八九", 1)}}
_POWERS = {"十": 10, "百": 100, "千": 1000}
DIGITS = "零〇一二两三四五六七八九十百千万亿"
"""Chinese ones, and what they are multiplied by."""
_NUMERAL = re.compile(
    rf"百分之[{DIGITS}点]+|[{DIGITS}]+点[{DIGITS}]+|[{DIGITS}]{{2,}}"
    rf"|(?<=第)[{DIGITS}]|[{DIGITS}](?=(?:{UNITS}|[倍名人次项条款号]))"
)
"""Chinese numbers; one alone, as in 一般 or 统一, only before a unit."""
AMOUNT = re.compile(
    rf"(?:\d+(?:[.,:]\d+)*|[{DIGITS}]{{2,}})\s?[万亿]?(?:{UNITS}|[倍名人次项条款台家册张枚座间辆件]|[a-z]+)",
    re.IGNORECASE,
)
"""A number in any writing with its unit, as a text has it."""
_NO_NUMBER = re.compile("[百千万亿].*|[一二三四五六七八九]{2}")
"""Chinese numbers that name none: 万一, 千万, 七八个."""
_LONGEST_NUMERAL = 24
"""Characters; what is longer, as a row of one character in a broken file, is not a number."""
_TRADITIONAL = str.maketrans("萬億兩點", "万亿两点")
_KINDS = (
    "% ‰ 个百分点", "平方米 平方公里 公顷 亩", "立方米 毫升 升",
    "公里 千米 厘米 毫米 微米 米 km cm mm m", "公斤 千克 毫克 克 吨 斤 kg mg g",
    "小时 分钟 秒 天 日 周岁 周 个月 月 年 岁 时间 久 ms s h",
    "日元 韩元 港元 港币 美元 欧元 英镑 元 角 钱",
    "千瓦时", "摄氏度 度 °c", "千瓦 兆瓦 瓦 kw w", "千伏 伏 kv v", "毫安 安", "兆帕 千帕 帕", "转",
    "分贝", "mb gb tb kb",
)  # fmt: skip
"""Units of one kind each."""
_KIND_OF = {unit: kind for kind in _KINDS for unit in kind.split()}
OTHER_NAMES = {"日": "天", "周岁": "岁"}
"""Of units; one that is part of a date, as in 5月30日, is none."""
_ASKED_UNIT = re.compile(
    rf"(?:多少|几)(?:万|亿|个(?=[月小]))?({UNITS}|[台名家人次种册只项张所枚颗棵座间辆本件位户首篇](?!均)|钱)"
    "|多长(时间)|多(久)"
)
_ASKS_LENGTH = re.compile(
    "(?:[了过共]|历时|持续|长达)大?约?(?:(?:多少|几)(?:年|个?月|天|小时)|多久|多长时间)"
)
"""What asks how long something took or lasted, which a date does not say."""
_ONE_DATE = re.compile(
    r"\D*(?:(?!\d\d00)(?:1[6-9]|20)\d\d年(?:\d+月)?(?:\d+[日号])?|\d+月\d+[日号])(?![前后内间多])\D*"
)
"""A text whose only number is a date; a year of hundreds alone may be how long something was."""
_ASKED_FOR = re.compile(r"多少|多久|多[长高大重远深宽快](?:时间)?|几(?![乎何])")
_UNIT_ASKED = re.compile(rf"(?:[万亿]|个(?=小时|工作日))?(?:{UNITS}|人次|工作日)")
_CLAUSES = re.compile("[，,；;：:]")
_DIGITS = f"0123456789{DIGITS}半"
_NUMERALS = frozenset(_DIGITS)
_IN_NUMBER = "[.,:比到至~～–-]?"
_BEGUN = re.compile(
    rf"(?:(?:第|百分之)\s*)?(?:[{_DIGITS}](?:{_IN_NUMBER}[{_DIGITS}])*{_IN_NUMBER})?\Z"
)
"""A number, a ratio or a range so far, with what always belongs to it."""
_BETWEEN = frozenset("的了是为有在到应要需须会可以共达大约近每第前仅不超过至少最多，：,: ")
"""Characters that may be between the question's words and the number."""
_MODIFIERS = ("不超过", "超过", "至少", "最多", "大约", "约", "近", "每", "前", "仅")
"""What belongs to the number, unless the question says it."""
_END = "。"
_LONGER = re.compile("[。！？；\n|`]")  # what no amount alone has in it


class AmountAlone:
    """Leaves out of an answer, as it streams, what only repeats the question.

    That is what comes before the number, and what comes after its unit. An answer that says
    anything else there stays as it is, as does one to a question that asks for something else, or
    for an answer of some form.

    Example:
        >>> answer = AmountAlone("月球每年远离地球多少？")
        >>> answer.feed("每年远离地球") + answer.feed("约3.8厘米。") + answer.close()
        '约3.8厘米'
        >>> answer = AmountAlone("过滤器多久清洗一次？")
        >>> answer.feed("每两个月") + answer.feed("清洗一次") + answer.close()
        '每两个月'
    """

    def __init__(self, question: str) -> None:
        bare = bare_question(question)
        asked = [*_ASKED_FOR.finditer(bare)] if _bare(question) == _bare(bare) else []
        self._question = fold(bare)
        self._behind = _CLAUSES.split(_bare(bare[asked[-1].end() :]))[0] if asked else ""
        self._amount = bool(asked)
        self._begun = not asked
        self._held = ""
        self.text = ""
        """The answer so far, without what is held back."""

    def feed(self, text: str) -> str:
        """Return what is sure to stay, now that more of the answer has come."""
        self._held += text
        if not self._begun:
            self._begin()
        return self._pass(self._sure) if self._begun else ""

    def close(self) -> str:
        """Return the rest of the answer, once it is complete."""
        alone = (self.text + self._held).rstrip().removesuffix(_END)
        if self._amount and any(char in _NUMERALS for char in alone) and not _LONGER.search(alone):
            return self._pass(max(len(self._without_tail(alone)) - len(self.text), 0))
        return self._pass(len(self._held))

    @property
    def _sure(self) -> int:
        """How many of the characters held are not at an end that may be left out."""
        open_end = frozenset(self._behind + _END) if self._amount else frozenset()
        sure = len(self._held)
        while sure and fold(self._held[sure - 1]) in open_end:
            sure -= 1
        return sure

    def _begin(self) -> None:
        """Drop what restates the question, once something else comes."""
        for place, char in enumerate(self._held):
            pair = fold(self._held[max(place - 1, 0) : place + 1])
            if char in _NUMERALS and pair not in self._question:  # and not part of a name in it
                before = _BEGUN.sub("", self._held[:place])
                self._held = self._held[self._restated(before) :]
                self._begun = True
                return
            if fold(char) not in self._question and char not in _BETWEEN:
                self._begun = True
                return

    def _restated(self, before: str) -> int:
        """Return how much of what is before a number is only the question's words."""
        said = before.rstrip()
        own = (modifier for modifier in _MODIFIERS if modifier not in self._question)
        if modifier := next(filter(said.endswith, own), ""):
            before = said.removesuffix(modifier)
        known = sum(fold(char) in self._question for char in before)
        restates = len(before) > 1 and known * 2 > len(before) and before[-1] not in _NUMERALS
        return len(before) if restates else 0

    def _without_tail(self, alone: str) -> str:
        """Return an amount without the words of the question after its unit."""
        asked = _UNIT_ASKED.match(self._behind)
        whole = asked[0] if asked else ""
        counted = re.escape(whole or self._behind[:1]) or UNITS
        unit = re.compile(rf"[{_DIGITS}]\s*(?:{UNITS}|{counted})$")
        for length in range(min(len(self._behind) - len(whole), len(alone) - 1), 1, -1):
            rest = alone[:-length]
            if fold(alone[-length:]) == self._behind[-length:] and unit.search(rest):
                return rest
        return alone

    def _pass(self, length: int) -> str:
        passed, self._held = self._held[:length], self._held[length:]
        self.text += passed
        return passed


def _bare(question: str) -> str:
    return fold(question).strip().rstrip("?？。")


def plain_numbers(text: str) -> str:
    """Return ``text`` with digits of ASCII, and without the separators of thousands.

    Example:
        >>> plain_numbers("共１,234,567.5元")
        '共1234567.5元'
    """
    digits = "".join(str(int(char)) if char.isdecimal() else char for char in text)
    return _THOUSANDS.sub(lambda match: match.group().replace(",", ""), digits)


def in_digits(text: str) -> str:
    """Return ``text`` with `plain_numbers`, those in Chinese among them.

    Example:
        >>> in_digits("二十三岁时捐了三百万元，占百分之六点五")
        '23岁时捐了300万元，占6.5%'
        >>> in_digits("万一七八个人统一行动")
        '万一七八个人统一行动'
    """
    return _NUMERAL.sub(_digits_of, plain_numbers(text).translate(_TRADITIONAL))


def _digits_of(numeral: re.Match[str]) -> str:
    written = numeral.group()
    if written.startswith("百分之"):
        value = value_of(written.removeprefix("百分之"))
        return written if value is None else f"{value}%"
    number = written[:-1] if re.fullmatch("[^万亿]+[万亿]", written) else written
    value = None if _NO_NUMBER.fullmatch(written) else value_of(number)
    return written if value is None else f"{value}{written[len(number) :]}"


def value_of(number: str) -> Decimal | None:
    """Return the value of a number in digits or Chinese numerals, None if it is not one.

    Example:
        >>> [value_of(number) for number in ("2.50", "二点三", "一亿零五万", "七点钟")]
        [Decimal('2.50'), Decimal('2.3'), Decimal('100050000'), None]
    """
    if number[-1:].isdigit():
        return Decimal(number)
    if len(number) > _LONGEST_NUMERAL:
        return None
    whole, _, fraction = number.partition("点")
    digits = [_VALUES.get(char) for char in fraction]
    value = _whole(whole) if whole and None not in digits else None
    return None if value is None else Decimal(f"{value}.{''.join(map(str, digits))}".rstrip("."))


def _whole(numeral: str) -> int | None:
    """Return the value of a whole number in Chinese numerals, None if it is not one."""
    for power, size in (("亿", 10**8), ("万", 10**4)):
        high, found, low = numeral.partition(power)
        if found:
            parts = (_whole(high), _whole(low.lstrip("零")) if low else 0)
            return None if None in parts else (parts[0] or 0) * size + (parts[1] or 0)
    if len(numeral) > 1 and all(char in _VALUES for char in numeral):  # 二〇二四
        return int("".join(str(_VALUES[char]) for char in numeral))
    total, digit, last = 0, None, 10**4
    for char in numeral:
        if char in _VALUES:
            digit = _VALUES[char]
        elif _POWERS.get(char, last) < last:
            last = _POWERS[char]
            total, digit = total + (1 if digit is None else digit) * last, None
        else:
            return None
    return total + (digit or 0)


def units_of(text: str) -> Mapping[str, frozenset[str]]:
    """Return the numbers in digits of a folded text, each with the units that it has.

    One with another name has both; see `OTHER_NAMES`.

    Example:
        >>> [(number, sorted(units)) for number, units in units_of("5天,5个,3万元").items()]
        [('5', ['', '天']), ('3', ['万元'])]
    """
    found: dict[str, set[str]] = {}
    for match in _NUMBER.finditer(text):
        number, power, unit = match.groups("")
        units = found.setdefault(number, set())
        units.add(power + unit)
        if unit in OTHER_NAMES and not text[: match.start()].endswith("月"):
            units.add(OTHER_NAMES[unit])
    return {number: frozenset(units) for number, units in found.items()}


def asked_unit(question: str) -> str | None:
    """Return the unit of the one amount that a question asks for.

    Example:
        >>> asked_unit("电站有多少台机组？"), asked_unit("哺乳假有多长时间？"), asked_unit("谁？")
        ('台', '时间', None)
    """
    asked = list(_ASKED_UNIT.finditer(fold(question)))
    return next(filter(None, asked[0].groups())) if len(asked) == 1 else None


def other_unit(question: str, answer: str) -> frozenset[str]:
    """Return the unit that a question asks for if an answer has amounts of other kinds alone.

    Example:
        >>> sorted(other_unit("电站有多少台机组？", "25.4万千瓦"))
        ['台']
        >>> sorted(other_unit("修这座桥用了几年？", "2013年"))
        ['年']
    """
    unit = asked_unit(question)
    said = fold(in_digits(answer))
    if unit and _ASKS_LENGTH.search(question) and _ONE_DATE.fullmatch(said):
        return frozenset({unit})
    given = units_of(said).values()
    if unit is None or not given or any("" in units for units in given):
        return frozenset()
    if re.search(f"[{DIGITS}]{unit}", said):  # of one character, as in 三家: no number in digits
        return frozenset()
    units = {name.lstrip("万亿") for units in given for name in units}
    kinds = {None, _KIND_OF.get(unit)}
    fits = unit in units if unit == "岁" else any(_KIND_OF.get(name) in kinds for name in units)
    return frozenset() if fits else frozenset({unit})  # a year of a reign is not an age
