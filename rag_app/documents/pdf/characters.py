"""The characters of a PDF page with their boxes, turned so that reading goes right and down."""

from enum import Enum
from typing import NamedTuple

from rag_app.documents.encodings.garbage import holds_lone_letters, holds_lost_letters, torn_runs
from rag_app.documents.encodings.legibility import (
    MOST_UNREADABLE,
    gibberish,
    is_asian,
    is_plausible,
)

HYPHEN = "\u2010"
LONGEST_SIDE = 4000
"""The longest side of a picture when it is read, in pixels."""
_FEW_UNMAPPED = 12
_MOST_UNMAPPED = 0.04
_MOST_PRIVATE = 0.06
"""Share of private characters without a meaning above which they are not bullets: digits, say."""


class Space(Enum):
    """What is before a character."""

    NONE = 0
    GUESSED = 1
    """PDFium takes the gap for a space."""
    WRITTEN = 2
    """The PDF itself has one."""


class Char(NamedTuple):
    """One character; lengths in points, y upwards.

    ``left`` to ``right`` is its advance, so that neighbours in a word touch.
    """

    text: str
    left: float
    bottom: float
    right: float
    top: float
    size: float
    bold: bool = False
    spaced: Space = Space.NONE

    @property
    def middle(self) -> float:
        """Half its height."""
        return (self.bottom + self.top) / 2


class PageCharacters(NamedTuple):
    """What is written on a page, in the order in which the PDF draws it."""

    chars: list[Char]
    aside: tuple[list[Char], ...] = ()
    """Text that is turned against the rest, by its direction."""
    slanted: tuple[list[Char], ...] = ()
    """Lines of text that stand aslant, side by side as if they were level."""
    turn: str = ""
    """``vertical`` where columns of characters are read from right to left."""
    unmapped: str = ""
    """Characters whose font does not say which they are."""
    unsure: int = 0
    """Characters of a picture that were read with little confidence."""
    quarter: int | None = 0
    """Quarters by which they were turned; None where their places are not those on the page."""
    hidden: int = 0
    """How many more there are that a reader does not see."""

    @property
    def private(self) -> int:
        """How many characters of readable text are codes of a font, such as all of its digits.

        0 where they are but a few, or of a font of symbols.
        """
        codes = sum("\ue000" <= char <= "\uf8ff" and not "\uf000" <= char <= "\uf0ff"
                    for char in self.unmapped)  # fmt: skip
        return codes if codes > max(_FEW_UNMAPPED, len(self.chars) * _MOST_PRIVATE) else 0

    def without_torn(self) -> "tuple[PageCharacters, int]":
        """Return the page without characters that can't stand beside each other, and their number.

        They are codes of which a digit is damaged, so that the others are read a digit too late.
        """
        places = [at for at, char in enumerate(self.chars) for _ in char.text]
        runs = torn_runs("".join(char.text for char in self.chars))
        torn = {places[at] for start, end in runs for at in range(start, end)}
        if not torn:
            return self, 0
        chars = [char for at, char in enumerate(self.chars) if at not in torn]
        return self._replace(chars=chars), len(torn)

    @property
    def readable(self) -> bool:
        """False where the text is the codes of a font that maps to nothing sensible."""
        text = "".join(char.text for char in self.chars)
        if not text:
            return True
        unmapped = len(self.unmapped)
        if unmapped > len(text) * MOST_UNREADABLE and not is_plausible(text):
            return False
        # A map that is damaged has lost some of the characters.
        some = unmapped > max(_FEW_UNMAPPED, len(text) * _MOST_UNMAPPED)
        if some and is_asian(text) and not is_plausible(self.unmapped):
            return False
        torn = holds_lone_letters(text) or holds_lost_letters(text)
        return not gibberish(text) and not torn


def turned_upright(char: Char, quarter: int) -> Char:
    """Return a character of a page that is turned by quarters clockwise, upright."""
    left, bottom, right, top = char.left, char.bottom, char.right, char.top
    if quarter == 1:
        return char._replace(left=-top, right=-bottom, bottom=left, top=right)
    if quarter == 2:
        return char._replace(left=-right, right=-left, bottom=-top, top=-bottom)
    if quarter == 3:
        return char._replace(left=bottom, right=top, bottom=-right, top=-left)
    return char


def upright(char: Char) -> Char:
    """Return a character of vertical writing where it would stand in horizontal writing."""
    return char._replace(left=-char.top, right=-char.bottom, bottom=char.left, top=char.right)
