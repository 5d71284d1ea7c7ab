"""Rows of tables in Word documents (ECMA-376, 17.4)."""

from collections.abc import Callable, Iterator

from rag_app.documents.office.package import Element, tag, value
from rag_app.documents.tables.cells import Continued, Covered, spanned

_MOST_COLUMNS = 1000


def table_rows(table: Element, text_of: Callable[[Element], str]) -> tuple[list[list[str]], int]:
    """Return the rows, a merged cell in each that it covers, and how many are head.

    Args:
        table: The table.
        text_of: Returns the text of a cell.
    """
    rows: list[list[str]] = []
    above: dict[int, str] = {}
    head = 0
    for row in _rows_of(table):
        if head == len(rows) and _row_property(row, "w:tblHeader") is not None:
            head += 1  # it is on each page
        cells = [""] * _number(value(_row_property(row, "w:gridBefore")))
        for cell in _cells(row):
            text = text_of(cell)
            across, down = (_property(cell, name) for name in ("w:hMerge", "w:vMerge"))
            if cells and across is not None and value(across) != "restart":
                cells.append(Covered(cells[-1]))
                continue
            if down is not None and value(down) != "restart":
                text = Continued(above.get(len(cells), text))
            above[len(cells)] = text
            span = _number(value(_property(cell, "w:gridSpan")))
            cells += spanned(text, max(1, span))
        rows.append(cells)
    return rows, head


def _rows_of(table: Element) -> Iterator[Element]:
    """Yield the rows of a table, not those of tables in it."""
    for row in table.iter(tag("w:tr")):
        if next(row.iterancestors(tag("w:tbl")), None) is table:
            yield row


def _row_property(row: Element, name: str) -> Element | None:
    return row.find(f"{tag('w:trPr')}/{tag(name)}")


def _number(text: str | None) -> int:
    return min(int(text), _MOST_COLUMNS) if text and text.isdecimal() else 0


def _property(cell: Element, name: str) -> Element | None:
    return cell.find(f"{tag('w:tcPr')}/{tag(name)}")


def _cells(row: Element) -> Iterator[Element]:
    """Yield the cells of a row but deleted ones."""
    for item in row:
        if item.tag == tag("w:tc"):
            if _property(item, "w:cellDel") is None:
                yield item
        elif item.tag in (tag("w:sdt"), tag("w:sdtContent"), tag("w:customXml"), tag("w:ins")):
            yield from _cells(item)
