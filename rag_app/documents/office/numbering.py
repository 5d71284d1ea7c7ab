"""Automatic numbers of paragraphs in Word (ECMA-376, 17.9): 第三条, 1.2.3, (一), •."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rag_app.documents.number_formats.numerals import numeral
from rag_app.documents.office.package import Element, tag, value

_LONGEST, _WIDEST = 200, 10
"""Characters of what is before a paragraph, and digits of a number with zeros, at most."""


@dataclass
class _Level:
    text: str = ""
    kind: str = "decimal"
    start: int = 1
    restart: int | None = None
    """The level (from 1) after which it starts again; 0: never; None: after any above it."""
    legal: bool = False
    close: bool = False  # true where nothing stands between number and text
    style: str = ""  # that of the paragraphs that are on this level
    width: int = 0  # digits to which zeros fill a number up, as in ``001``


@dataclass
class _List:
    levels: dict[int, _Level] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)


class Numbering:
    """The numbers of a document's paragraphs, counted one after the other."""

    def __init__(self, root: Element | None) -> None:
        self._lists: dict[str, _List] = {}
        self._overrides: dict[str, dict[int, _Level]] = {}
        self._starts: dict[str, dict[int, int]] = {}
        if root is None:
            return
        abstract = {
            str(value(item, "w:abstractNumId")): _List(dict(map(_level, item.iter(tag("w:lvl")))))
            for item in root.iter(tag("w:abstractNum"))
        }
        styled = {
            str(value(item.find(tag("w:styleLink")))): abstract[str(value(item, "w:abstractNumId"))]
            for item in root.iter(tag("w:abstractNum"))
        }
        for item in root.iter(tag("w:abstractNum")):  # of a list that a style has
            if (link := value(item.find(tag("w:numStyleLink")))) in styled:
                abstract[str(value(item, "w:abstractNumId"))] = styled[str(link)]
        for item in root.iter(tag("w:num")):
            number = str(value(item, "w:numId"))
            base = abstract.get(str(value(item.find(tag("w:abstractNumId")))))
            if base is None:
                continue
            self._lists[number] = base
            for override in item.iter(tag("w:lvlOverride")):
                level = int(value(override, "w:ilvl") or 0)
                if (start := value(override.find(tag("w:startOverride")))) is not None:
                    self._starts.setdefault(number, {})[level] = int(start)
                if (own := override.find(tag("w:lvl"))) is not None:
                    self._overrides.setdefault(number, {})[level] = _level(own)[1]

    def level_of(self, number: str | None, styles: Sequence[str], level: int) -> int:
        """Return the level that a list gives one of some styles, the first known; else ``level``.

        Such a link counts more than what the style says itself (ECMA-376, 17.9.23).
        """
        found = self._lists.get(number or "")
        linked = {} if found is None else {each.style: at for at, each in found.levels.items()}
        return next((linked[style] for style in styles if style in linked), level)

    def next(self, number: str, level: int) -> str:
        """Return what is before the next paragraph of a list, with the space after it."""
        found = self._lists.get(number)
        if found is None:
            return ""
        own = self._overrides.get(number, {})
        levels = {**found.levels, **own}
        current = levels.get(level)
        if current is None:
            return ""
        starts = self._starts.get(number, {})
        if level in starts:  # once, for the first paragraph of this list
            found.counts[level] = starts.pop(level) - 1
        found.counts[level] = found.counts.get(level, current.start - 1) + 1
        for deeper, other in levels.items():
            if deeper > level and other.restart != 0 and (other.restart or deeper) > level:
                found.counts.pop(deeper, None)
        if current.kind == "bullet":
            return "- "

        def count(match: "re.Match[str]") -> str:
            at = int(match[1]) - 1
            place = levels.get(at, _Level())
            legal = current.legal and place.kind != "decimalZero"  # whose digits are plain already
            kind = "decimal" if legal else place.kind
            return numeral(found.counts.get(at, place.start), kind).zfill(place.width)

        text = re.sub(r"%([1-9])", count, current.text)
        return text if current.close or not text else f"{text.rstrip()} "


def _level(item: Element) -> tuple[int, _Level]:
    restart = value(item.find(tag("w:lvlRestart")))
    start = value(item.find(tag("w:start")))
    legal = item.find(tag("w:isLgl"))
    form = next(item.iter(tag("w:numFmt")), None)
    kind = value(form)
    first = (value(form, "w:format") or "").partition(",")[0]  # 001, 002, 003, ...
    return int(value(item, "w:ilvl") or 0), _Level(
        text=(value(item.find(tag("w:lvlText"))) or "")[:_LONGEST],
        kind=kind or "decimal",
        start=int(start) if start and start.lstrip("-").isdigit() else 0,  # 17.9.25
        restart=int(restart) if restart and restart.isdigit() else None,
        legal=legal is not None and value(legal) not in ("0", "false"),
        close=value(item.find(tag("w:suff"))) == "nothing",
        style=value(item.find(tag("w:pStyle"))) or "",
        width=min(len(first), _WIDEST) if first.isdecimal() else 0,
    )


class SlideNumbering:
    """Counts the paragraphs of a shape on a slide that number themselves."""

    def __init__(self) -> None:
        self._counts: list[tuple[str, int]] = []
        """Scheme and number of the last paragraph of each level."""

    def next(self, level: int, properties: Element | None) -> str:
        """Return what is before the next paragraph, with the space after it.

        Args:
            level: How deep it is.
            properties: Those of the paragraph (``a:pPr``).
        """
        del self._counts[level + 1 :]
        self._counts += [("", 0)] * (level + 1 - len(self._counts))
        numbering = None if properties is None else properties.find(tag("a:buAutoNum"))
        if numbering is None:
            self._counts[level] = ("", 0)
            return ""
        scheme, start = numbering.get("type", "arabicPeriod"), numbering.get("startAt", "1")
        before, last = self._counts[level]
        number = last + 1 if before == scheme else int(start) if start.isdigit() else 1
        self._counts[level] = (scheme, number)
        return f"{_slide_label(number, scheme)} "


def _slide_label(number: int, scheme: str) -> str:
    """Return a number by a scheme of ECMA-376, 20.1.10.61."""
    kind = next((kind for start, kind in _SCHEMES.items() if scheme.startswith(start)), "decimal")
    text = numeral(number, kind)
    for end, shape in (("ParenBoth", "({})"), ("ParenR", "{})"), ("Period", "{}.")):
        if scheme.endswith(end):
            return shape.format(text)
    return text


_SCHEMES = {
    "alphaLc": "lowerLetter",
    "alphaUc": "upperLetter",
    "romanLc": "lowerRoman",
    "romanUc": "upperRoman",
    "circleNum": "decimalEnclosedCircle",
    "ea1": "chineseCounting",
}
"""How the schemes of slides begin → numbering format."""
