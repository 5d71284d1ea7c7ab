"""Fields of Word documents (ECMA-376, 17.16): what they show, not the code that they follow."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from lxml import etree

from rag_app.documents.office.package import Element, tag, value
from rag_app.documents.office.word.eq_fields import LONGEST_CODE, eq_text

_SEEN = frozenset(
    map(tag, ("w:t", "w:tab", "w:br", "w:cr", "w:sym", "w:noBreakHyphen", "w:drawing", "w:pict",
              "w:object", "w:footnoteReference", "w:endnoteReference"))
)  # fmt: skip
"""What a run shows."""
_DEEP = 40  # fields in the codes of others beyond which none is looked at
_EQUATION = re.compile(r"\s*EQ\b(.*)", re.IGNORECASE | re.DOTALL)
_BUTTON = re.compile(r"\s*(?:MACRO|GOTO)BUTTON\s+\S+\s+(.*)", re.IGNORECASE | re.DOTALL)


class _Field(NamedTuple):
    """A field that begins and ends in one part."""

    begin: Element
    separate: Element | None
    end: Element


def without_field_codes(root: Element) -> Element:
    """Take what the codes of fields hold out of a part, such as other fields; return it.

    Fields that only have a code show what it says: equations and buttons.
    """
    reader = _FieldReader(_fields(root))
    for item in root.iter():
        if item.tag == tag("w:fldChar"):
            reader.meet(item)
        elif item.tag in _SEEN or item.tag == tag("w:instrText"):
            reader.read(item)
    for item in reader.unseen:
        parent = item.getparent()
        if parent is not None:
            parent.remove(item)
    for end, code in reader.without_result:
        _show(end, code)
    return root


class _FieldReader:
    """Goes through a part, and knows in which fields it is."""

    def __init__(self, fields: Sequence[_Field]) -> None:
        self._begins = {field.begin: field for field in fields}
        self._separators = {field.separate: field for field in fields}
        self._ends = {field.end: field for field in fields}
        self._codes = {field.end: "" for field in fields}
        self._coded: list[_Field] = []  # the fields in whose code an element is
        self._empty: list[_Field] = []  # those that have shown nothing yet
        self.unseen: list[Element] = []  # what the codes hold besides instructions
        self.without_result: list[tuple[Element, str]] = []
        """The ends of fields that have shown nothing, and their codes."""

    def meet(self, mark: Element) -> None:
        """Go on at the begin, the end or the middle of a field."""
        if (field := self._begins.get(mark)) is not None:
            self._coded.append(field)
            self._empty.append(field)
        elif (field := self._separators.get(mark)) is not None:
            self._coded.remove(field)
        elif (field := self._ends.get(mark)) is not None:
            if field in self._empty:
                self.without_result.append((mark, self._codes[mark]))
            self._coded = [each for each in self._coded if each is not field]
            self._empty = [each for each in self._empty if each is not field]

    def read(self, item: Element) -> None:
        """Go on at an instruction, or at something that is shown outside of codes."""
        if not self._coded:
            if item.tag in _SEEN:
                self._empty.clear()
            return
        if item.tag in {tag("w:t"), tag("w:instrText")}:
            end = self._coded[-1].end
            if len(self._codes[end]) < LONGEST_CODE:
                self._codes[end] += item.text or ""
        if item.tag in _SEEN:
            self.unseen.append(item)


def _fields(root: Element) -> list[_Field]:
    open_fields: list[tuple[Element, list[Element]]] = []
    found: list[_Field] = []
    for mark in root.iter(tag("w:fldChar")):
        kind = value(mark, "w:fldCharType")
        if kind == "begin":
            open_fields.append((mark, []))
        elif kind == "separate" and open_fields:
            open_fields[-1][1].append(mark)
        elif kind == "end" and open_fields:
            begin, separators = open_fields.pop()
            if len(open_fields) < _DEEP:
                found.append(_Field(begin, next(iter(separators), None), mark))
    return found


def _show(end: Element, code: str) -> None:
    """Put what a code shows in the place of the end of its field."""
    if equation := _EQUATION.fullmatch(code):
        shown = eq_text(equation[1])
    elif button := _BUTTON.fullmatch(code):
        shown = button[1].strip()
    else:
        return
    parent = end.getparent()
    if parent is not None and shown:
        text = etree.Element(tag("w:t"))
        text.text = shown
        parent.replace(end, text)
