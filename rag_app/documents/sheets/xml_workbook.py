"""Workbooks in one XML file (XML Spreadsheet 2003), which many programs export as .xls → text."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO

from lxml import etree

from rag_app.documents.formats import ExtractedText
from rag_app.documents.number_formats.number_format import as_shown
from rag_app.documents.office.package import Element, hidden_notes, uncalculated_notes
from rag_app.documents.sheets.shared_strings import forget
from rag_app.documents.sheets.table_bounds import TableBounds
from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import HiddenColumns, MergedCells
from rag_app.documents.text import clean, remark

_SPREADSHEET = "urn:schemas-microsoft-com:office:spreadsheet"
_NAMED_FORMATS = {
    "Fixed": "0.00", "Standard": "#,##0.00", "Percent": "0.00%", "Scientific": "0.00E+00",
    "Currency": "#,##0.00", "Euro Currency": "€#,##0.00", "General Number": "General",
    "Short Time": "h:mm", "Medium Time": "h:mm AM/PM", "Long Time": "h:mm:ss",
    **dict.fromkeys(("Short Date", "Medium Date", "Long Date"), "yyyy-mm-dd"),
    "General Date": "yyyy-mm-dd h:mm", "Yes/No": '"Yes";"Yes";"No"',
    "True/False": '"True";"True";"False"', "On/Off": '"On";"On";"Off"',
}  # fmt: skip
_MOST_COLUMNS = 16_384


def read_xml_workbook(data: bytes, name: str) -> ExtractedText:
    """Return the visible sheets of a workbook, each under its name, and what was not read.

    Raises:
        DocumentError: it has more cells than a table of text.
    """
    return _XmlWorkbook(data, TableBounds(name)).read()


class _XmlWorkbook:
    """Reads sheet after sheet and row after row; no row is kept."""

    def __init__(self, data: bytes, bounds: TableBounds) -> None:
        self._elements = etree.iterparse(
            BytesIO(data),
            events=("start", "end"),
            tag=[_tag(name) for name in ("Style", "Worksheet", "Column", "Row")],
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            remove_comments=True,
        )
        self._bounds = bounds
        self._formats: dict[str, str] = {}
        self._hidden: Counter[str] = Counter()
        self._uncalculated = 0
        self._sheet: Element | None = None

    def read(self) -> ExtractedText:
        """Return what the workbook says."""
        parts = []
        for event, element in self._elements:
            if event == "end" and element.tag == _tag("Style"):
                self._note_style(element)
            elif event == "start" and element.tag == _tag("Worksheet"):
                title, remarks = " ".join(_value(element, "Name").split()), list[str]()
                rows = self._bounds.rows(self._rows(remarks))
                lines = [*self._bounds.lines(table_lines(rows)), *remarks]
                if element.findtext(".//{*}Visible", "").startswith("SheetHidden"):
                    self._hidden["sheets"] += 1
                elif lines:
                    parts.append(f"## {title}\n\n" + "\n".join(lines))
        notes = hidden_notes(self._hidden) + uncalculated_notes(self._uncalculated)
        return ExtractedText(clean("\n\n".join(parts)), notes=notes)

    def _note_style(self, style: Element) -> None:
        form = style.find(_tag("NumberFormat"))
        parent = self._formats.get(_value(style, "Parent"), "General")
        own = parent if form is None else _value(form, "Format") or parent
        self._formats[_value(style, "ID")] = _NAMED_FORMATS.get(own, own)

    def _rows(self, remarks: list[str]) -> Iterator[list[str]]:
        """Yield the rows of the sheet that has begun, and note the comments on its cells."""
        merged = MergedCells()
        number = column = 0
        styles: dict[int, str] = {}
        unseen = HiddenColumns()
        for event, element in self._elements:
            if event != "end":
                continue
            if element.tag == _tag("Worksheet"):
                self._hidden["columns"] += len(unseen.used)
                return
            if element.tag == _tag("Column"):
                columns = _columns(element, column + 1)
                column = columns.stop - 1
                styles |= dict.fromkeys(columns, _value(element, "StyleID"))
                if _value(element, "Hidden") == "1":
                    unseen.update(at - 1 for at in columns)
            elif element.tag == _tag("Row"):
                before, number = number, _number(element, "Index", number + 1)
                if number > before + 1:
                    yield []
                row = self._row(element, merged, styles, remarks)
                if _value(element, "Hidden") != "1":
                    yield unseen.without(row)
                elif any(row):
                    self._hidden["rows"] += 1
                forget(element)

    def _row(
        self,
        element: Element,
        merged: MergedCells,
        styles: dict[int, str],
        remarks: list[str],
    ) -> list[str]:
        row: list[str] = []
        merged.fill(row)
        for cell in element.iterchildren(_tag("Cell")):
            merged.fill(row, min(_number(cell, "Index", 0), _MOST_COLUMNS) - 1)
            style = _value(cell, "StyleID") or _value(element, "StyleID")
            text = self._text(cell, style or styles.get(len(row) + 1, ""))
            remarks += _remarks(cell, text)
            across = min(_number(cell, "MergeAcross", 0), _MOST_COLUMNS)
            merged.append(row, text, across + 1, _number(cell, "MergeDown", 0) + 1)
        return row

    def _text(self, cell: Element, style: str) -> str:
        data = cell.find(_tag("Data"))
        text = "" if data is None else "".join(data.itertext())
        if data is None or not text:
            self._uncalculated += bool(_value(cell, "Formula"))
            return ""
        number_format = self._formats.get(style, "General")
        kind = _value(data, "Type")
        try:
            if kind == "Number":
                number = float(text)
                whole = number.is_integer() and "." not in text
                return as_shown(int(number) if whole else number, number_format)
            if kind == "DateTime":
                return as_shown(datetime.fromisoformat(text), number_format)
        except (ValueError, OverflowError):
            return text
        return as_shown(text.strip() == "1") if kind == "Boolean" else text


def _columns(element: Element, first: int) -> range:
    """Return the columns from 1 that an element is about, the first of them or one after it."""
    start = max(first, _number(element, "Index", first))
    stop = start + 1 + _number(element, "Span", 0)
    return range(start, min(stop, max(start, _MOST_COLUMNS) + 1))


def _remarks(cell: Element, text: str) -> Iterator[str]:
    for comment in cell.iterchildren(_tag("Comment")):
        said = " ".join("".join(comment.itertext()).split())
        if said:
            yield remark(said, text, _value(comment, "Author"))


def _tag(name: str) -> str:
    return f"{{{_SPREADSHEET}}}{name}"


def _value(element: Element, name: str) -> str:
    return str(element.get(_tag(name)) or "")


def _number(element: Element, name: str, default: int) -> int:
    written = _value(element, name)
    return int(written) if written.isdecimal() and len(written) < 8 else default
