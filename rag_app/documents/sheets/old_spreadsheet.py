"""Excel workbooks of before 2007 (.xls, .et) → text, as those of later ones."""

import os
import struct
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING

from rag_app.documents.formats import ExtractedText
from rag_app.documents.number_formats.number_format import EAST_ASIAN_FORMATS, as_shown
from rag_app.documents.office.package import (
    hidden_notes,
    struck_through,
    uncalculated_notes,
    unread_notes,
)
from rag_app.documents.sheets.old_records import OldSheet, old_sheets, without_names_and_comments
from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import HiddenColumns, cover
from rag_app.documents.text import clean, remark, shown
from rag_app.errors import DocumentError

if TYPE_CHECKING:
    from xlrd.book import Book
    from xlrd.formatting import XF
    from xlrd.sheet import Cell, Colinfo, Rowinfo, Sheet

_MOST_MERGED = 10_000_000  # characters that are repeated in merged cells
_OLE = b"\xd0\xcf\x11\xe0"
_STREAMS = ("Workbook", "Book")
_TROUBLES = (AssertionError, LookupError, ValueError, TypeError, AttributeError, struct.error)
"""xlrd's, mostly with what is not needed here, such as formulas in names."""
_WITHOUT_COMMENTS = "parts of it are damaged: comments were not read"


def read_xls(data: bytes, name: str) -> ExtractedText:
    """Return the visible sheets of a workbook, each under its name, and what was not read.

    Raises:
        DocumentError: it is damaged or needs a password.
    """
    import xlrd

    workbook = _records(data)
    notes: list[str] = []
    try:
        try:
            book = _opened(workbook)
        except _TROUBLES:
            workbook, notes = without_names_and_comments(workbook), [_WITHOUT_COMMENTS]
            book = _opened(workbook)
    except xlrd.XLRDError as error:
        locked = "encrypted" in str(error).lower()
        what = "needs a password; save a copy without one" if locked else "is damaged"
        msg = f"{shown(name)} {what}" + ("" if locked else f" ({error}); save it as xlsx")
        raise DocumentError(msg) from error
    sheets = _with_objects(book, workbook)
    visible = [(sheet, others) for sheet, others in sheets if sheet.visibility == 0]
    hidden = Counter({"sheets": len(sheets) - len(visible)})
    parts = [
        f"## {' '.join(sheet.name.split())}\n\n" + "\n".join(lines)
        for sheet, others in visible
        if (lines := _lines(book, sheet, others, hidden))
    ]
    notes += hidden_notes(hidden) + _object_notes([others for _, others in visible])
    return ExtractedText(clean("\n\n".join(parts)), notes=notes)


def _opened(workbook: bytes) -> "Book":
    import xlrd

    with open(os.devnull, "w", encoding="utf-8") as log:  # noqa: PTH123
        return xlrd.open_workbook(
            file_contents=workbook, formatting_info=True, ragged_rows=True, logfile=log
        )


def _with_objects(book: "Book", workbook: bytes) -> "list[tuple[Sheet, OldSheet]]":
    sheets, others = book.sheets(), old_sheets(workbook)
    if len(others) != len(sheets):  # it is older, or damaged
        others = [OldSheet() for _ in sheets]
    return list(zip(sheets, others, strict=True))


def _object_notes(sheets: Sequence[OldSheet]) -> list[str]:
    unread = sum((sheet.objects for sheet in sheets), Counter[str]())
    formulas = sum(sheet.formulas for sheet in sheets)
    blank = sum(sheet.blank for sheet in sheets)
    # One of many may be empty; where all are, the program that wrote them calculates nothing.
    return unread_notes(unread) + uncalculated_notes(blank if blank == formulas else 0)


def _records(data: bytes) -> bytes:
    """Return what of an OLE file is the workbook; xlrd itself never ends where sectors go round."""
    from olefile import OleFileIO

    if not data.startswith(_OLE):
        return data
    with OleFileIO(BytesIO(data)) as file:
        for stream in _STREAMS:
            if file.exists(stream):
                content: bytes = file.openstream(stream).read()
                return content
    return data


def _lines(book: "Book", sheet: "Sheet", others: OldSheet, hidden: Counter[str]) -> list[str]:
    """Return a sheet's rows, its comments, each with its cell and its text, and texts."""
    from xlrd.formula import cellname

    rows = _rows(book, sheet)
    if not (others.conditional or others.objects):  # which may be behind it
        hidden["cells"] += _remove_white(book, sheet, rows)
    comments = []
    for (row, column), note in sorted(sheet.cell_note_map.items()):
        there = row < len(rows) and column < len(rows[row])
        place = f"{cellname(row, column)} {rows[row][column] if there else ''}".strip()
        if text := " ".join(str(note.text).split()):
            comments.append(remark(text, place))
    left = {number for number, row in sheet.rowinfo_map.items() if _is_hidden(row)}
    left = set() if others.filtered else left
    hidden["rows"] += sum(any(rows[at]) for at in left if at < len(rows))
    columns = HiddenColumns(at for at, column in sheet.colinfo_map.items() if _is_hidden(column))
    seen = (columns.without(row) for at, row in enumerate(rows) if at not in left)
    lines = [*table_lines(seen), *comments, *others.texts]
    hidden["columns"] += len(columns.used)
    return lines


def _remove_white(book: "Book", sheet: "Sheet", rows: list[list[str]]) -> int:
    """Empty the cells that are white on the white of a sheet; return how many."""
    white = {at for at, style in enumerate(book.xf_list) if _is_white_on_white(book, style)}
    removed = 0
    for at, row in enumerate(rows if white else ()):
        for column in range(min(len(row), sheet.row_len(at))):
            if row[column] and sheet.cell(at, column).xf_index in white:
                row[column] = ""
                removed += 1
    return removed


def _is_white_on_white(book: "Book", style: "XF") -> bool:
    known = style.font_index < len(book.font_list)
    ground = style.background
    coloured = ground.fill_pattern > 1 or (
        ground.fill_pattern == 1 and not _is_white(book, ground.pattern_colour_index)
    )
    return known and not coloured and _is_white(book, book.font_list[style.font_index].colour_index)


def _is_white(book: "Book", colour: int) -> bool:
    return bool(book.colour_map.get(colour) == (255, 255, 255))


def _is_hidden(dimension: "Rowinfo | Colinfo") -> bool:
    """Return whether a row or column is hidden for good, not in a group that can be opened."""
    return bool(dimension.hidden) and not dimension.outline_level


def _rows(book: "Book", sheet: "Sheet") -> list[list[str]]:
    rows = [
        [_struck(book, sheet, at, column, _shown(book, cell)) for column, cell in enumerate(row)]
        for at, row in enumerate(map(sheet.row, range(sheet.nrows)))
    ]
    merged = 0
    for top, bottom, left, right in sheet.merged_cells:
        text = rows[top][left] if top < len(rows) and left < len(rows[top]) else ""
        merged += (bottom - top) * (right - left) * len(text)
        if not text or merged > _MOST_MERGED:
            continue
        cover(rows[top:bottom], left, right)
    return rows


def _struck(book: "Book", sheet: "Sheet", row: int, column: int, text: str) -> str:
    """Return a cell's text, what of it is struck through as in Markdown."""
    style = sheet.cell(row, column).xf_index
    known = style is not None and style < len(book.xf_list)
    fonts = [(0, book.xf_list[style].font_index if known else 0)]
    fonts += sheet.rich_text_runlist_map.get((row, column), [])
    if not any(_is_struck(book, font) for _, font in fonts):
        return text
    ends = [start for start, _ in fonts[1:]] + [len(text)]
    parts = [(text[start:end], font) for (start, font), end in zip(fonts, ends, strict=True)]
    return "".join(struck_through(part) if _is_struck(book, font) else part for part, font in parts)


def _is_struck(book: "Book", font: int) -> bool:
    return font < len(book.font_list) and bool(book.font_list[font].struck_out)


def _shown(book: "Book", cell: "Cell") -> str:
    from xlrd import XL_CELL_BOOLEAN, XL_CELL_DATE, XL_CELL_ERROR, error_text_from_code

    if cell.ctype == XL_CELL_ERROR:
        return str(error_text_from_code.get(cell.value, "#ERROR"))
    if cell.ctype == XL_CELL_BOOLEAN:
        return as_shown(bool(cell.value))
    number_format = _format(book, cell)
    value = _moment(book, cell, number_format) if cell.ctype == XL_CELL_DATE else cell.value
    return as_shown(value, number_format)


def _format(book: "Book", cell: "Cell") -> str:
    if cell.xf_index is None or cell.xf_index >= len(book.xf_list):
        return "General"
    key = book.xf_list[cell.xf_index].format_key
    found = book.format_map.get(key)
    return str((found and found.format_str) or EAST_ASIAN_FORMATS.get(key, "General"))


def _moment(book: "Book", cell: "Cell", number_format: str) -> object:
    """Return the date, time or duration that a number stands for."""
    from xlrd.xldate import xldate_as_datetime

    if "[h" in number_format.lower() or "[m" in number_format.lower():
        return timedelta(days=cell.value)
    try:
        moment: datetime = xldate_as_datetime(cell.value, book.datemode)
    except (ValueError, OverflowError):
        return cell.value
    return moment.time() if 0 <= cell.value < 1 else moment
