"""Answers to questions for an amount: the number with its unit, without the question's words."""

import re

from rag_app.chains.bare_question import bare_question
from rag_app.chains.facts import DIGITS, UNITS
from rag_app.index.store.terms import fold

_ASKED_FOR = re.compile(r"多少|多久|多[长高大重远深宽快](?:时间)?|几(?![乎何])")
_CLAUSES = re.compile("[，,；;：:]")
_DIGITS = f"0123456789{DIGITS}半"
_NUMERALS = frozenset(_DIGITS)
_BETWEEN = frozenset("的了是为有在到应要需须会可以共达大约近每第前仅不超过至少最多，：,: ")
"""Characters that may stand between the question's words and the number."""
_MODIFIERS = ("不超过", "超过", "至少", "最多", "大约", "约", "近", "每", "第", "前", "仅")
"""What belongs to the number, unless the question says it."""
_END = "。"
_LONGER = re.compile("[。！？；\n|`]")
"""What no amount alone has in it."""


class AmountAlone:
    """Leaves out of an answer, as it streams, what only repeats the question.

    That is what comes before the number, and what comes behind its unit. An answer that says
    anything else there stays as it is, and so does one to a question that asks for no amount, or
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
        """Return the rest of the answer, once it is whole."""
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
                self._held = self._held[self._restated(self._held[:place]) :]
                self._begun = True
                return
            if fold(char) not in self._question and char not in _BETWEEN:
                self._begun = True
                return

    def _restated(self, before: str) -> int:
        """Return how much of what stands before a number is only the question's words."""
        for modifier in _MODIFIERS:
            if before.endswith(modifier) and modifier not in self._question:
                before = before.removesuffix(modifier)
                break
        own = sum(fold(char) in self._question for char in before)
        restates = len(before) > 1 and own * 2 > len(before) and before[-1] not in _NUMERALS
        return len(before) if restates else 0

    def _without_tail(self, alone: str) -> str:
        """Return an amount without the words of the question behind its unit."""
        unit = re.compile(rf"[{_DIGITS}]\s*(?:{UNITS}|{re.escape(self._behind[:1]) or UNITS})$")
        for length in range(min(len(self._behind), len(alone) - 1), 1, -1):
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
