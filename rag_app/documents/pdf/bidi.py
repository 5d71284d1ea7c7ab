"""Right-to-left writing: the order of reading of characters that stand from left to right."""

import unicodedata
from collections.abc import Sequence
from itertools import groupby

_LETTERS = {"L": "L", "R": "R", "AL": "R", "EN": "N", "AN": "N", "ET": "N"}
"""Classes of Unicode's (UAX 9) to ours: letters to the right, to the left, and numbers."""
_IN_NUMBERS = {"CS", "ES"}


def is_rtl(text: str) -> bool:
    """Return whether a character is of Hebrew, Arabic or another script read from the right."""
    return text >= "\u0590" and unicodedata.bidirectional(text[-1]) in {"R", "AL"}


def is_mark(text: str) -> bool:
    """Return whether a character stands over or under another, as vowels of Hebrew do."""
    return text >= "\u0300" and unicodedata.category(text[-1]) == "Mn"


def logical_order(texts: Sequence[str]) -> list[int]:
    """Return the places of the characters of a line, spaces included, in the order of reading.

    Args:
        texts: The characters from left to right; a letter may carry its marks.
    """
    kinds = _kinds(texts)
    levels = _levels(kinds, _base(kinds))
    order = list(range(len(texts)))
    for level in range(max(levels, default=0), 0, -1):
        deep = [levels[at] >= level for at in order]
        start = 0
        for is_turned, group in groupby(deep):
            stop = start + len(list(group))
            if is_turned:
                order[start:stop] = order[start:stop][::-1]
            start = stop
    return order


def _kinds(texts: Sequence[str]) -> list[str]:
    """Return ``L``, ``R``, ``N`` of a number, or a space for what goes with its neighbours."""
    classes = [unicodedata.bidirectional(text[:1] or " ") for text in texts]
    kinds = [_LETTERS.get(each, " ") for each in classes]
    for at in range(1, len(kinds) - 1):
        if classes[at] in _IN_NUMBERS and kinds[at - 1] == kinds[at + 1] == "N":
            kinds[at] = "N"
    return kinds


def _base(kinds: Sequence[str]) -> int:
    """Return 1 for a line that is read from the right: by its ends, or by most of it."""
    letters = [kind for kind in kinds if kind in "LR"]
    if letters and letters[0] == letters[-1]:
        return int(letters[0] == "R")
    return int(letters.count("R") > letters.count("L"))


def _levels(kinds: Sequence[str], base: int) -> list[int]:
    """Return how deep each character is embedded: even ones are read to the right."""
    own = {"L": 2 * base, "R": 1, "N": 2 * base}
    levels = [own.get(kind, -1) for kind in kinds]
    at = 0
    for kind, group in groupby(kinds, lambda kind: kind in "RL"):
        run = list(group)
        stop = at + len(run)
        if not kind:
            before = kinds[at - 1] if at else ""
            after = kinds[stop] if stop < len(kinds) else ""
            between = _between(before, after, base)
            for place in range(at, stop):
                is_number = kinds[place] == "N"
                levels[place] = between + between % 2 if is_number else between
        at = stop
    return levels


def _between(before: str, after: str, base: int) -> int:
    """Return the level of what is between two letters."""
    if before == after == "R":
        return 1
    if before == after == "L":
        return 2 * base
    return base
