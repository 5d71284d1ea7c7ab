"""CSV and spreadsheets → text in which every row can be understood alone.

A row becomes a line ``column: value; column: value``, since a passage from the middle of a table
is read without the table's head. Tables without a head become ``value | value``.
"""

import csv
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from io import BytesIO, StringIO

from rag_app.documents.archive import MAX_SHEETS_XML, check_archive
from rag_app.documents.naming import shown
from rag_app.documents.text import clean
from rag_app.errors import DocumentError

MAX_CELLS = 20_000_000
"""A few bytes of a workbook can claim sixteen billion cells."""
_DELIMITERS = ",;\t|，"
_NUMBER = re.compile(r"[-+]?[\d.,:/%\s]+")


def read_csv(text: str) -> str:
    """Return a table of separated values, whatever separates them, as lines of text."""
    head = next((line for line in text.split("\n") if line.strip()), "")
    delimiter = max(_DELIMITERS, key=head.count)
    try:
        rows = list(csv.reader(StringIO(text), delimiter=delimiter))
    except csv.Error:  # a quote that never closes: no table, but text all the same
        return text
    return "\n".join(table_lines(rows))


def read_xlsx(data: bytes, name: str) -> str:
    """Return the sheets of a workbook, each under its name as a heading.

    Raises:
        DocumentError: it is damaged, or has more cells than a table of text.
    """
    from openpyxl import load_workbook

    check_archive(data, name, max_xml=MAX_SHEETS_XML, max_tags=None)
    parts, seen = [], 0
    with warnings.catch_warnings():
        # openpyxl warns of styles and extensions that it leaves out; the text is whole.
        warnings.simplefilter("ignore")
        workbook = load_workbook(BytesIO(data), read_only=True, data_only=True)
        for sheet in workbook.worksheets:
            sheet.reset_dimensions()  # they may be untrue
            rows = []
            for row in sheet.iter_rows(values_only=True):
                seen += len(row) + 1
                if seen > MAX_CELLS:
                    msg = f"{shown(name)} has more than {MAX_CELLS:,} cells; save the part needed"
                    raise DocumentError(msg)
                rows.append([_cell(value) for value in row])
            if lines := list(table_lines(rows)):
                parts.append(f"## {_flat(sheet.title)}\n\n" + "\n".join(lines))
        workbook.close()
    return clean("\n\n".join(parts))


def table_lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the rows that are not empty as lines; the first gives the columns their names."""
    head: list[str] | None = None
    for number, row in enumerate(row for row in rows if any(cell.strip() for cell in row)):
        cells = [_flat(cell) for cell in row]
        if number == 0 and _is_head(cells):
            head = cells
        elif head is None:
            yield " | ".join(cell for cell in cells if cell)
        else:
            names = head + [""] * (len(cells) - len(head))
            named = zip(names, cells, strict=False)
            yield "; ".join(f"{name}: {cell}" if name else cell for name, cell in named if cell)
    if head is not None and number == 0:
        yield " | ".join(cell for cell in head if cell)


def _is_head(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    distinct = len(set(filled)) == len(filled) > 1
    return distinct and not any(_NUMBER.fullmatch(cell) or len(cell) > 60 for cell in filled)


def _flat(cell: str) -> str:
    return " ".join(cell.split())


def _cell(value: object) -> str:
    """Return a cell as people write it: no time where it is midnight, no ``.0``."""
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, datetime | date | time):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value)
