"""Excel workbooks → text: each value as its sheet shows it, under the name of its column.

What a sheet hides is left out and counted; rows that a filter or a folded group hides stay, since
a click shows them. Comments, text boxes and charts follow their sheet.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeGuard

from rag_app.documents.archive import MAX_SHEETS_XML, check_archive
from rag_app.documents.formats import ExtractedText
from rag_app.documents.number_formats.number_format import as_shown
from rag_app.documents.office.package import (
    Package,
    hidden_notes,
    struck_through,
    uncalculated_notes,
    unescaped,
    unread_notes,
)
from rag_app.documents.sheets.opening import (
    open_workbook,
    uncalculated,
    without_guesses,
    without_traps,
)
from rag_app.documents.sheets.sheet_parts import SheetParts
from rag_app.documents.sheets.table_bounds import TableBounds
from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import Continued, Covered, HiddenColumns
from rag_app.documents.text import clean, remark, shown, superscript

if TYPE_CHECKING:
    from openpyxl.cell import Cell
    from openpyxl.cell.rich_text import TextBlock
    from openpyxl.styles.colors import Color
    from openpyxl.worksheet.worksheet import Worksheet

    from rag_app.documents.pdf.reader import ReadPicture
    from rag_app.documents.sheets.sheet_stream import SheetStream

_OF_ROWS = re.compile(rb"<(?:\w+:)?(?:worksheet|sst)\b")
_WHITE = re.compile("(?:[0-9A-F]{2})?(?:F[A-F]){3}", re.IGNORECASE)
_LAST_ROW, _LAST_COLUMN = 1_048_576, 16_384


def read_xlsx(data: bytes, name: str, read_picture: "ReadPicture | None" = None) -> ExtractedText:
    """Return the visible sheets of a workbook, each under its name, and what was not read.

    Raises:
        DocumentError: it is damaged, or has more cells than a table of text.
    """
    check_archive(data, name, max_xml=MAX_SHEETS_XML, max_tags=None, of_rows=_OF_ROWS)
    data = without_traps(without_guesses(data))
    parts: list[str] = []
    hidden: Counter[str] = Counter()
    drawn = SheetParts(Package(data), read_picture)
    with warnings.catch_warnings():
        # openpyxl warns of styles and extensions that it leaves out; the text is complete.
        warnings.simplefilter("ignore")
        book, notes = open_workbook(data)
        bounds = TableBounds(name)
        for sheet in book.wb.worksheets:
            if sheet.sheet_state != "visible":
                hidden["sheets"] += 1
                continue
            rows = map(drawn.in_cells, _rows(sheet, hidden, notes))
            lines = [*bounds.lines(table_lines(bounds.rows(rows)))]
            lines += [*_comments(sheet, drawn.comments(sheet.title)), *drawn.lines(sheet.title)]
            if lines:
                title = " ".join(sheet.title.split())
                parts.append(f"## {title}\n\n" + "\n".join(lines))
        streamed = [sheet.uncalculated for sheet in book.wb.worksheets if _is_stream(sheet)]
        missing_results = sum(streamed) if streamed else uncalculated(data)
        book.wb.close()
    charts = ((title, list(drawn.lines(title))) for title in drawn.chart_sheets())
    parts += [f"## {title}\n\n" + "\n".join(lines) for title, lines in charts if lines]
    notes += hidden_notes(hidden) + unread_notes(drawn.unread)
    if missing := book.shared_strings.missing:
        notes.append(f"{missing} cells were left out, whose texts the file has lost")
    notes += uncalculated_notes(missing_results)
    return ExtractedText(clean("\n\n".join(parts)), notes=notes)


def _comments(sheet: "Worksheet", entries: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """Yield the comments of a sheet, each with its cell and its text.

    Args:
        sheet: In which programs that know no discussions find a comment for each.
        entries: The entries of discussions: cell, author, text.
    """
    if _is_stream(sheet):  # those are not read row by row
        return
    for _, cell in sorted(sheet._cells.items()):
        if not cell.comment:
            continue
        said = [entry[1:] for entry in entries if entry[0] == cell.coordinate]
        for author, text in said or [("", " ".join(cell.comment.text.split()))]:
            place = " ".join(filter(None, [cell.coordinate, _shown(cell)]))
            if text:
                yield remark(text, place, author)


def _is_stream(sheet: "Worksheet | SheetStream") -> TypeGuard["SheetStream"]:
    return hasattr(sheet, "shown_rows")


def _rows(
    sheet: "Worksheet | SheetStream", hidden: Counter[str], notes: list[str]
) -> Iterator[list[str]]:
    """Yield the rows of a sheet as shown; a merged cell's value stands in each cell it covers."""
    if _is_stream(sheet):
        yield from _streamed_rows(sheet, hidden, notes)
        return
    merged = _merged(sheet)
    white = _WhiteCells(sheet)
    rows, columns = _hidden_rows(sheet), _hidden_columns(sheet)
    for number, row in _cells(sheet):
        seen = (None if white.hides(cell) else cell for cell in row)
        cells = [
            merged.get((number, column)) or _shown(cell) for column, cell in enumerate(seen, 1)
        ]
        if number in rows:
            hidden.update(["rows"] if any(cells) else [])
        else:
            yield columns.without(cells)
    hidden["columns"] += len(columns.used)
    hidden["cells"] += white.hidden


def _streamed_rows(
    stream: "SheetStream", hidden: Counter[str], notes: list[str]
) -> Iterator[list[str]]:
    before = 0
    for number, cells in stream.shown_rows():
        if number > before + 1:
            yield []
        yield stream.hidden_columns.without(cells)
        before = number
    hidden["columns"] += len(stream.hidden_columns.used)
    if stream.damaged:
        title = " ".join(shown(stream.title).split())
        notes.append(f"{title} is damaged: what follows row {before} was not read")


def _cells(sheet: "Worksheet") -> Iterator[tuple[int, Sequence["Cell | None"]]]:
    """Yield the rows with their numbers, of several empty ones between others one."""
    from openpyxl.cell import MergedCell

    rows: dict[int, dict[int, Cell]] = {}
    for (number, column), cell in sorted(sheet._cells.items()):  # others would be made, a million
        if cell.value is not None or isinstance(cell, MergedCell):
            rows.setdefault(number, {})[column] = cell
    before = 0
    for number, cells in rows.items():
        if number > before + 1:
            yield before + 1, ()
        yield number, [cells.get(column) for column in range(1, max(cells) + 1)]
        before = number


def _shown(cell: "Cell | None") -> str:
    if cell is None:
        return ""
    if hasattr(cell.value, "as_list"):  # several fonts in one cell
        return unescaped("".join(map(_of_one_font, cell.value)))
    text = unescaped(as_shown(cell.value, getattr(cell, "number_format", None) or "General"))
    return struck_through(text) if text and cell.has_style and cell.font.strike else text


def _of_one_font(part: "str | TextBlock") -> str:
    if isinstance(part, str):
        return part
    text = superscript(part.text) if part.font.vertAlign == "superscript" else part.text
    return struck_through(text) if part.font.strike else text


class _WhiteCells:
    """Cells that are white on white; none where conditions or designs of tables give colours."""

    def __init__(self, sheet: "Worksheet") -> None:
        self._styles: dict[int, bool] = {}
        self._unknown = bool(sheet.conditional_formatting or sheet.tables or sheet._images)
        self.hidden = 0

    def hides(self, cell: "Cell | None") -> bool:
        """Return whether a cell can't be seen, and count it."""
        if self._unknown or cell is None or cell.value is None or not cell.has_style:
            return False
        if cell.style_id not in self._styles:
            self._styles[cell.style_id] = _is_white(cell.font.color) and (
                cell.fill.fill_type is None
                or (cell.fill.fill_type == "solid" and _is_white(cell.fill.start_color))
            )
        self.hidden += self._styles[cell.style_id]
        return self._styles[cell.style_id]


def _is_white(colour: "Color | None") -> bool:
    if colour is None or colour.tint:
        return False
    if colour.type == "rgb":
        return _WHITE.fullmatch(colour.rgb) is not None
    return (colour.type, colour.value) in {("theme", 0), ("indexed", 9), ("indexed", 1)}


def _hidden_rows(sheet: "Worksheet") -> set[int]:
    """Return the rows that are hidden for good, from 1."""
    from openpyxl.utils import range_boundaries

    hidden = {
        number
        for number, row in sheet.row_dimensions.items()
        if row.hidden and not row.outlineLevel
    }
    filters = [sheet.auto_filter, *(table.autoFilter for table in sheet.tables.values())]
    for each in filters:
        if each is not None and each.ref and each.filterColumn:
            _, first, _, last = range_boundaries(each.ref)
            hidden -= set(range(first or 0, min(last or 0, _LAST_ROW) + 1))
    return hidden


def _hidden_columns(sheet: "Worksheet") -> HiddenColumns:
    return HiddenColumns(
        at
        for column in sheet.column_dimensions.values()
        if column.hidden and not column.outlineLevel
        for at in range((column.min or 1) - 1, min(column.max or 0, _LAST_COLUMN))
    )


def _merged(sheet: "Worksheet") -> dict[tuple[int, int], str]:
    """Return the text of merged cells by row and column (from 1), unless they are too many."""
    found: dict[tuple[int, int], str] = {}
    for cells in getattr(sheet, "merged_cells", None) or ():
        first = sheet.cell(cells.min_row, cells.min_col)
        text = _shown(first)
        for row, column in cells.cells:
            first_column = text if row == cells.min_row else Continued(text)
            found[row, column] = first_column if column == cells.min_col else Covered(text)
    return found
