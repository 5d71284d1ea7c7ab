"""The rows of a large sheet as shown, one by one (ECMA-376, 18.3): none of them is kept.

openpyxl takes 20 µs a cell for that, mostly to make objects of what is empty or known already.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from lxml import etree
from openpyxl import Workbook
from openpyxl.cell.read_only import ReadOnlyCell
from openpyxl.utils import column_index_from_string
from openpyxl.utils.datetime import from_excel, from_ISO8601
from openpyxl.worksheet._read_only import ReadOnlyWorksheet

from rag_app.documents.number_formats.number_format import as_shown
from rag_app.documents.office.package import Element, struck_through, unescaped
from rag_app.documents.progress import counted
from rag_app.documents.sheets.shared_strings import SharedStrings, forget, string_text
from rag_app.documents.tables.cells import HiddenColumns

_LAST_COLUMN = 16_384
_DIGITS = "0123456789"
_KNOWN = 2**16  # numbers whose text is kept, since tables repeat them


class _Style(NamedTuple):
    number_format: str = "General"
    dated: bool = False
    lasting: bool = False  # whether a date is a duration
    struck: bool = False


class SheetStream(ReadOnlyWorksheet):  # type: ignore[misc]
    """A sheet that openpyxl knows of, and does not read."""

    def __init__(self, book: Workbook, title: str, part: str, strings: SharedStrings) -> None:
        super().__init__(book, title, part, strings)
        self._styles: dict[str | None, _Style] = {}
        self.guessed = False
        """Whether a formula's zero means that it was not calculated."""
        self._number = lru_cache(_KNOWN)(self._shown_number)
        self.hidden_columns = HiddenColumns()
        """Those that are hidden for good; known before the first row."""
        self.uncalculated = 0
        """Formulas without a result."""
        self.damaged = False
        """Whether the sheet broke off."""

    def _get_size(self) -> None:
        """Know nothing of the size: it may be untrue, and to count takes as long as to read."""

    def shown_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows that hold something, each with its number, up to where it is damaged."""
        number = 0
        with self._get_source() as file:
            tags = ("{*}row", "{*}col", "{*}sheetData")
            elements = etree.iterparse(
                file, tag=tags, resolve_entities=False, load_dtd=False, remove_comments=True,
                remove_pis=True,
            )  # fmt: skip
            try:
                for _, element in counted(elements, "rows"):
                    kind = etree.QName(element).localname
                    if kind == "sheetData":
                        break
                    if kind == "col":
                        self._note_column(element)
                        continue
                    place = element.get("r", "")
                    number = int(place) if place.isdecimal() else number + 1
                    if cells := self._cells(element):
                        yield number, cells
                    forget(element)
            except etree.XMLSyntaxError:
                self.damaged = True

    def _cells(self, row: Element) -> list[str]:
        cells: list[str] = []
        column = 0
        for cell in row:
            place = cell.get("r")
            column = _column(place.rstrip(_DIGITS)) if place else column + 1
            if not (0 < column <= _LAST_COLUMN) or not (text := self._text(cell)):
                continue
            cells += [""] * (column - len(cells))
            cells[column - 1] = text
        return cells

    def _text(self, cell: Element) -> str:
        kind, index = cell.get("t", "n"), cell.get("s")
        if kind == "inlineStr":
            item = cell.find("{*}is")
            value = "" if item is None else string_text(item)
        else:
            value = next((part.text or "" for part in cell if str(part.tag).endswith("v")), "")
        if not value or (self.guessed and value == "0" and cell.find("{*}f") is not None):
            self.uncalculated += kind != "str" and cell.find("{*}f") is not None
            return ""
        style = self._style(index)
        if kind == "n":
            text = self._number(value, style)
        elif kind == "b":
            text = as_shown(value.strip() not in {"0", "false"}, style.number_format)
        else:
            text = unescaped(as_shown(self._value(value, kind), style.number_format))
        return struck_through(text) if style.struck else text

    def _value(self, value: str, kind: str) -> object:
        try:
            if kind == "s":
                return self._shared_strings[int(value)]
            return from_ISO8601(value) if kind == "d" else value
        except ValueError:
            return value

    def _shown_number(self, value: str, style: _Style) -> str:
        try:
            number = float(value) if any(mark in value for mark in ".eE") else int(value)
        except ValueError:
            return value
        if not style.dated:
            return as_shown(number, style.number_format)
        try:
            moment = from_excel(number, self.parent.epoch, timedelta=style.lasting)
        except (OverflowError, ValueError):
            return "#VALUE!"
        return as_shown(moment, style.number_format)

    def _style(self, index: str | None) -> _Style:
        if index not in self._styles:
            self._styles[index] = self._found_style(index)
        return self._styles[index]

    def _found_style(self, index: str | None) -> _Style:
        number = int(index) if index and index.isdecimal() else 0
        book = self.parent
        try:
            cell = ReadOnlyCell(self, 1, 1, None, style_id=number)
            dated, lasting = number in book._date_formats, number in book._timedelta_formats
            return _Style(cell.number_format or "General", dated, lasting, bool(cell.font.strike))
        except IndexError:  # of no style that there is
            return _Style()

    def _note_column(self, column: Element) -> None:
        first, last = column.get("min", ""), column.get("max", "")
        hidden = column.get("hidden") in {"1", "true"} and column.get("outlineLevel", "0") == "0"
        if hidden and first.isdecimal() and last.isdecimal():
            self.hidden_columns.update(range(int(first) - 1, min(int(last), _LAST_COLUMN)))


@lru_cache(_LAST_COLUMN)
def _column(letters: str) -> int:
    """Return the number of a column from 1, 0 if it has none."""
    try:
        return int(column_index_from_string(letters))
    except ValueError:
        return 0
