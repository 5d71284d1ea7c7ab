"""Rows of tables as lines, with the names of their columns."""

from rag_app.documents.tables.cells import (
    NOTED,
    TOTAL,
    VALUE,
    Covered,
    Row,
    cells_once,
    filled_cells,
    goes_on,
)
from rag_app.documents.tables.forms import is_row_of_fields, is_row_of_form, plain_lines
from rag_app.documents.tables.periods import is_period

_FAR_ACROSS = 3
"""Columns that the first cell of a row covers besides its own where it only names the row."""

_LONG_VALUE = 40
"""Characters above which a text that is merged under several names is read once, under all."""


def named_row(head: Row, row: Row) -> str:
    """Return a row with the names of its columns; sections, notes and totals as what they are.

    Example:
        >>> named_row(["品名", "单价"], ["铅笔", "1.5"])
        '品名: 铅笔; 单价: 1.5'
    """
    if (line := _unnamed(head, row)) is not None:
        return line
    names = [*head, *[""] * (len(row) - len(head))]
    if TOTAL.fullmatch(row[0]):
        names, row = _of_total(names, row)
    covered = [cell == row[0] and isinstance(cell, Covered) for cell in row]
    if sum(covered) >= _FAR_ACROSS:  # of the first column only
        row = ["" if over else cell for over, cell in zip(covered, row, strict=True)]
    return "; ".join(_named(name, cell) for name, cell in _once(names, row) if cell)


def _once(names: Row, row: Row) -> list[tuple[str, str]]:
    """Return names and cells: what is merged under one name, and a sentence under several, once."""
    found: list[tuple[list[str], str]] = []
    for name, cell in zip(names, row, strict=False):
        merged = found and isinstance(cell, Covered) and found[-1][1] == cell
        if merged and (len(cell) > _LONG_VALUE or found[-1][0][-1] == name):
            found[-1][0].append(name)
        else:
            found.append(([name], cell))
    return [(", ".join(filter(None, dict.fromkeys(above))), cell) for above, cell in found]


def _named(name: str, cell: str) -> str:
    beside = goes_on(name, cell)  # of all rows that it stands beside
    return f"{name}: {cell}" if name and not beside else cell


def is_unnamed(head: Row, row: Row) -> bool:
    """Return whether a row stands in none of the columns: a section, note or row of a form."""
    return _unnamed(head, row) is not None


def _unnamed(head: Row, row: Row) -> str | None:
    """Return such a row as a line; None of one whose cells stand in the columns."""
    if _is_section(head, row):
        return row[0]
    if _is_note(head, row):
        return "; ".join(dict.fromkeys(filled_cells(row)))
    if _is_form(row):
        return next(plain_lines([row]))
    if _is_pair_across(head, row):
        return ": ".join(filled_cells(cells_once(row)))
    return None


def _is_form(row: Row) -> bool:
    """Return whether a row is one of a form, in a layout of its own unless colons tell."""
    own_layout = any(isinstance(cell, Covered) for cell in row)
    return is_row_of_form(row) or (own_layout and is_row_of_fields(row))


def _is_pair_across(head: Row, row: Row) -> bool:
    """Return whether a row is a name and one value across all other columns, of several names."""
    once = cells_once(row)
    if len(once) != 2 or not all(once) or len(row) < len(head) or VALUE.fullmatch(once[0]):
        return False
    start = next(at for at, cell in enumerate(row) if at and not isinstance(cell, Covered))
    return start < len(row) - start and len(set(head[start:])) >= _FAR_ACROSS


def _of_total(names: Row, row: Row) -> tuple[list[str], list[str]]:
    """Return names and cells of a row that adds up, merged ones once: they are of no column."""
    merged = [isinstance(cell, Covered) for cell in row]
    across = [False, *merged[2:], False]
    kept = ["" if over else name for name, over in zip(names, across, strict=False)]
    return kept, ["" if over else cell for over, cell in zip(merged, row, strict=True)]


def _is_note(head: Row, row: Row) -> bool:
    """Return whether a row is signed below a table, as by ``制表：王敏``, not in its columns."""
    values = filled_cells(row)
    first = next((at for at, cell in enumerate(row) if cell), len(head))
    if 2 * first >= len(head) or not NOTED.fullmatch(values[0]):
        return False
    if any(VALUE.fullmatch(value) and not is_period(value) for value in values):
        return 4 * len(values) < len(filled_cells(head))
    return 2 * len(values) <= len(filled_cells(head))


def _is_section(head: Row, row: Row) -> bool:
    """Return whether a row is one text that is across the table."""
    if VALUE.fullmatch(row[0]):
        return False
    return len(head) > 2 if len(row) == 1 else len(set(row)) == 1
