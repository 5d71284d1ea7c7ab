"""Automatic numbers of headings and lists in OpenDocument (ODF 1.3, 16.30)."""

import re

from rag_app.documents.number_formats.numerals import numeral
from rag_app.documents.office.open_document.parts import tag, whole
from rag_app.documents.office.package import Element

_NUMBER_FORMATS = {
    "1": "decimal",
    "a": "lowerLetter",
    "A": "upperLetter",
    "i": "lowerRoman",
    "I": "upperRoman",
    "一, 二, 三, ...": "chineseCounting",
    "①, ②, ③, ...": "decimalEnclosedCircle",
    "壹, 贰, 叁, ...": "chineseLegalSimplified",
    "甲, 乙, 丙, ...": "ideographTraditional",
}
_PLACE = re.compile(r"%(\d{1,2})%")
"""The place of a level's number in a list's label, as LibreOffice writes it."""


class OpenNumbering:
    """Counts the items of each list style, one after the other."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}  # style and level → the last number

    def begin(self, style: str) -> None:
        """Begin a style's numbers anew."""
        self._counts = {key: count for key, count in self._counts.items() if key[0] != style}

    def start(self, style: str, level: int, number: int) -> None:
        """Let the next item of a level have a number."""
        self._counts[style, level] = number - 1

    def label(self, levels: Element, style: str, level: int) -> str:
        """Return the number of a heading or item, as its list counts it."""
        styles = {whole(item, "text:level", 0): item for item in levels}
        own = styles.get(level)
        kind = None if own is None else own.get(tag("style:num-format"))
        if own is None or kind is None:
            return "- " if style else ""
        if not kind:
            return ""
        start = whole(own, "text:start-value", 1)
        self._counts[style, level] = self._counts.get((style, level), start - 1) + 1
        for key in [key for key in self._counts if key[0] == style and key[1] > level]:
            del self._counts[key]
        numbers = {
            at: numeral(
                self._counts.get((style, at), 1),
                _NUMBER_FORMATS.get(str(styles[at].get(tag("style:num-format"))), "decimal"),
            )
            for at in range(1, level + 1)
            if at in styles
        }
        if form := own.get(tag("loext:num-list-format")):
            label = _PLACE.sub(lambda place: numbers.get(int(place[1]), ""), form)
            return f"{label.rstrip()} "
        first = level - whole(own, "text:display-levels", 1) + 1
        shown_numbers = ".".join(number for at, number in numbers.items() if at >= first)
        prefix, suffix = (own.get(tag(f"style:num-{side}")) or "" for side in ("prefix", "suffix"))
        return f"{prefix}{shown_numbers}{suffix.rstrip()} "
