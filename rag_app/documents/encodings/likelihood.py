"""Likelihoods of characters in text of a language: Chinese, Japanese or Korean."""

import re
from collections.abc import Callable
from functools import cache
from itertools import islice
from math import log

from rag_app.documents.encodings.character_frequency import (
    FREQUENT,
    frequent,
    frequent_hangul,
    hangul,
    ordinary,
    ordinary_kanji,
)

_PLAIN = -7.0  # what text of ASCII alone is taken to have
SOME = 0.1
"""Share of characters from which on a text is said to be in Chinese at all."""
_RANKED = 600  # how many of the frequent characters are in order
_SAMPLE = 4000  # Non-ASCII characters that are judged
PLAUSIBLE = -11.5
"""Mean log-probability of a character below which text isn't Chinese in that encoding.

Chinese text has -7 to -10; decoded wrongly it has -12 and less.
"""
_PLAUSIBLE_SHORT = -11.0
"""The same of a text of a few characters, which bytes of other encodings make by chance."""
CERTAIN_LEAST = 8
"""Characters from which on chance is no explanation of what bytes make."""


def plausibility(text: str) -> float:
    """Return how likely ``text`` is Chinese: the mean log-probability of its non-ASCII characters.

    Four classes of characters share the probability; within a class all are equally likely.
    ASCII proves nothing, so text that holds nothing else is as plausible as Chinese.
    """
    return mean(text, chinese)


def mean(text: str, log_probability: Callable[[str], float]) -> float:
    """Return the mean log-probability of the non-ASCII characters of ``text``."""
    sample = sample_of(text)
    return sum(map(log_probability, sample)) / len(sample) if sample else _PLAIN


def least_plausibility(size: int) -> float:
    """Return the plausibility that so many characters must have."""
    return PLAUSIBLE if size >= CERTAIN_LEAST else _PLAUSIBLE_SHORT


def is_chinese(text: str) -> bool:
    """Return whether frequent characters of Chinese are more than a few of the non-ASCII ones."""
    sample = sample_of(text)
    return SOME * len(sample) < sum(char in frequent() for char in sample)


def is_dense(text: str) -> bool:
    """Return whether more than a few characters are not ASCII; of the source of a page, few are."""
    start = text[:_SAMPLE]
    return SOME * len(start) < sum(not char.isascii() for char in start)


def sample_of(text: str) -> str:
    """Return the first characters other than ASCII text; control characters count."""
    runs = islice(re.finditer(r"[^\t-\r -~]{1,64}", text), _SAMPLE)
    return "".join(run.group() for run in runs)[:_SAMPLE]


def chinese(char: str) -> float:
    """Return the log-probability of a character in Chinese."""
    if char in frequent():
        return -7.1  # 0.75 shared by 900
    if char in ordinary():
        return -10.2  # 0.22 by 6,000
    if "０" <= char <= "９":
        return -10.2
    if "一" <= char <= "\u9fff":  # the block of GBK and Big5; beyond it is hardly ever text
        return -14.0
    return -13.0 if "！" <= char <= "～" or "\u2000" <= char <= "\u27ff" else -18.0


def by_rank(char: str) -> float:
    """Return the same as `chinese`, finer, where readings of one text are compared."""
    if "\u3001" <= char <= "\u301c":  # punctuation
        return max(chinese(char), -10.2)
    at = _rank().get(char)
    return chinese(char) if at is None else -3.2 - 0.7 * log(at + 1)  # 的: 0.04


@cache
def _rank() -> dict[str, int]:
    return {char: at for at, char in enumerate(FREQUENT[:_RANKED])}


def japanese(char: str) -> float:
    """Return the log-probability of a character in Japanese."""
    if "\u3041" <= char <= "\u3093" or char in "、。ー「」・":
        return -5.0  # 0.6 shared by 90
    if "\u30a1" <= char <= "\u30f6":
        return -6.8  # 0.1 by 86
    if char in ordinary_kanji():
        return -9.2  # 0.3 by 3,000
    return -13.0 if "！" <= char <= "～" or "\u2000" <= char <= "\u9fff" else -18.0


def korean(char: str) -> float:
    """Return the log-probability of a character in Korean."""
    if char in frequent_hangul():
        return -5.5  # 0.7 shared by 170
    if "\uac00" <= char <= "\ud7a3":
        return -9.2 if char in hangul() else -13.0  # 0.25 by 2,350; 0.02 by 8,800
    return -13.0 if "！" <= char <= "～" or "\u2000" <= char <= "\u9fff" else -18.0
