"""The state of a group of RTF, inherited from the one around it: how its text looks."""

import re
from dataclasses import dataclass

from rag_app.documents.office.rtf.words import BEHIND

_COLOURS = re.compile(rb"\\colortbl([^{}]{0,20000})")
_SYMBOL_FONT = re.compile(
    rb"\\f(\d{1,5})\b[^;]{0,300}?(?:\\[a-z]+-?\d*|\})\s*(Symbol|Wingdings(?: 2)?|Webdings)\s*;"
)
"""Its whole name: Segoe UI Symbol has letters."""
_LONGEST_TABLE = 100_000  # bytes of the table of fonts
_WHITE = re.compile(rb"\\red255\\green255\\blue255(?!\d)")


@dataclass
class RtfState:
    """What a group inherits from the one around it."""

    codec: str = ""
    """Empty for that of the document."""
    symbols: str = ""
    """The font where it is one of symbols."""
    fallback: int = 1
    """Characters that stand for a Unicode one in old readers."""
    unread: bool = False
    hidden: bool = False
    white: bool = False
    coloured: bool = False
    """Whether there is another colour behind text."""
    struck: bool = False
    raised: bool = False
    table: bool = False
    level: int = 0
    """The level of a heading."""
    fonts: bool = False
    note: bool = False
    remark: bool = False
    """Whether text is of a comment."""

    def make_plain(self) -> None:
        """Undo how text looks."""
        self.hidden = self.struck = self.raised = self.white = False
        self.codec, self.symbols = ("", "") if self.symbols else (self.codec, "")

    def is_hidden(self) -> bool:
        """Return whether text can't be seen: cells of tables may have a colour of their own."""
        return self.hidden or (self.white and not self.coloured and not self.table)

    def look(self, word: str, number: int | None, white: frozenset[int]) -> None:
        """Obey a word of `LOOKS` or `BEHIND`; ``white`` are the numbers of white."""
        if word in {"v", "deleted"}:
            self.hidden = number != 0
        elif word in {"strike", "striked"}:
            self.struck = number != 0
        elif word == "cf":
            self.white = (number or 0) in white
        elif word in BEHIND:
            self.coloured = (number or 0) not in white | {0}
        else:
            self.raised = word == "super" and number != 0


def white_colours(data: bytes) -> frozenset[int]:
    """Return the numbers of white in the table of colours, none where the page has a colour."""
    table = _COLOURS.search(data)
    if table is None or b"\\background" in data:
        return frozenset()
    entries = enumerate(table[1].split(b";"))
    return frozenset(at for at, entry in entries if _WHITE.search(entry))


def symbol_fonts(data: bytes) -> dict[int, str]:
    """Return the names of fonts of symbols by their numbers."""
    table = data.partition(b"\\fonttbl")[2][:_LONGEST_TABLE].partition(b"\\colortbl")[0]
    return {int(number): name.decode() for number, name in _SYMBOL_FONT.findall(table)}
