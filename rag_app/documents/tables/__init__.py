"""Tables → text in which every row can be understood alone.

A row becomes a line ``column: value; column: value``, since a passage from the middle of a table
is read without the table's head. Rows of forms become ``label: value``, rows of tables without a
head ``value | value``.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import groupby

from rag_app.documents.tables.beside import columns_of_lists, side_by_side
from rag_app.documents.tables.cells import (
    NOTED,
    TOTAL,
    VALUE,
    Continued,
    Covered,
    Row,
    filled_cells,
    one_line,
)
from rag_app.documents.tables.forms import form_line, is_filled_in, is_form, plain_lines, sections
from rag_app.documents.tables.heads import column_names, has_values_below, head_rows, is_labels
from rag_app.documents.tables.rows import is_unnamed, named_row

_BROKEN = 200  # rows above a head by which it is told that it belongs to another table
_MOST_CELLS = 200_000
"""Cells of a table that are looked at together; the rows below have the same head, one by one."""


def table_lines(rows: Iterable[Row], *, head: int = 0) -> Generator[str, None, list[str]]:
    """Yield the rows that are not empty as lines, and return the names of the columns of the last.

    The head is the first row of labels above columns of values, wherever it is: below title
    rows, after a form, or in two rows, whose names are joined (``支出/实际``). Where nothing tells,
    the first row of distinct labels is one. Empty rows part tables; one without a head of its own
    keeps that of the table above it.

    Args:
        rows: The rows of the table.
        head: As many rows the file itself calls the head, believed where nothing else tells.
    """
    named, names = head, list[str]()
    rows = (row for row in rows if not _is_continued(row))
    for filled, group in groupby(rows, key=lambda row: any(cell.strip() for cell in row)):
        if filled:
            block = ([one_line(cell) for cell in row] for row in group)
            names = yield from _block_lines(_first_rows(block), names, named)
            for row in block:
                yield from [named_row(names, row)] if names else plain_lines([row])
            named = 0
    return names


def lines_below(
    rows: Sequence[Row], head: Sequence[str] | None = None
) -> tuple[list[str], Sequence[str]]:
    """Return the lines of a part of a table, and the head that the next part goes on with.

    Args:
        rows: The rows of the part.
        head: What the part before it returned; None where this is the first.
    """
    if head is None:
        lines = table_lines(rows)
        found: list[str] = []
        while True:
            try:
                found.append(next(lines))
            except StopIteration as end:
                return found, end.value
    filled = [[one_line(cell) for cell in row] for row in rows if any(cell.strip() for cell in row)]
    for count in (3, 2, 1):  # the head, where it is repeated
        if head and len(filled) >= count and column_names(filled[:count]) == list(head):
            filled = filled[count:]
    if filled and is_labels(filled[0]) and has_values_below(filled, 0):
        return lines_below(rows)  # another table
    shown = (named_row(head, row) for row in filled) if head else plain_lines(filled)
    return list(shown), head


def form_lines(rows: Sequence[Row]) -> list[str]:
    """Return the rows of a form as lines; none is the head of those below.

    Example:
        >>> form_lines([["发货人：", "海丰公司"], ["装货港 宁波", "毛重 16T", ""]])
        ['发货人: 海丰公司', '装货港 宁波 | 毛重 16T']
    """
    block = [[one_line(cell) for cell in row] for row in rows if any(cell.strip() for cell in row)]
    if is_filled_in(block):
        return list(map(form_line, block))
    parts = sections(block)
    if not any(name for name, _ in parts):
        return list(plain_lines(block))
    return [line for name, part in parts for line in [*filter(None, [name]), *form_lines(part)]]


def _first_rows(rows: Iterator[list[str]]) -> list[list[str]]:
    """Return as many rows as show what a table looks like."""
    cells, found = 0, []
    for row in rows:
        found.append(row)
        cells += len(row)
        if cells > _MOST_CELLS:
            break
    return found


def _is_continued(row: Row) -> bool:
    kinds = {type(cell) for cell in row if cell.strip()}
    return Continued in kinds and kinds <= {Continued, Covered}


def _block_lines(
    block: list[list[str]], head: list[str], named: int = 0
) -> Generator[str, None, list[str]]:
    """Yield the lines of tables one below the other, and return the head of the last one."""
    while block:
        head, block = yield from _first_table_lines(block, head, named)
        named = 0
    return head


def _first_table_lines(
    block: list[list[str]], before: list[str], named: int
) -> Generator[str, None, tuple[list[str], list[list[str]]]]:
    """Yield the lines of one table; return its head, and the rows of tables below it.

    Args:
        block: Rows of the table.
        before: The head of the table above it.
        named: Rows that the file calls the head.
    """
    if is_filled_in(block):
        yield from map(form_line, block)
        return [], []
    titles = _count_titles(block)
    yield from ("; ".join(dict.fromkeys(filled_cells(row))) for row in block[:titles])
    body = _without_zero(block[titles:])
    tables = side_by_side(body) or _parts_of_form(body)
    for table in tables:
        yield from table_lines(table)
    if tables:
        return [], []
    start, stop = head_rows(body)
    if start == stop and 0 < named - titles < len(body):
        stop = named - titles
    if start == stop:
        head = before if _goes_on(before, body) and not is_form(body) else []
    else:
        head = column_names(body[start:stop])
    yield from form_lines(body[:start])
    if not head:
        yield from plain_lines(body[stop:])
        return head, []
    end = _end_of_table(body, head, titles, stop)
    rows = body[stop:end]
    if start < stop and _are_lost(head, rows):
        yield " | ".join(dict.fromkeys(filled_cells(head)))
    for columns in columns_of_lists(head, rows):
        part = head[columns]
        cut = (row[columns] for row in rows if list(row) != head)
        yield from (named_row(part, row) for row in cut if any(row))
    return head, body[end:]


def _goes_on(head: Sequence[str], body: Sequence[Row]) -> bool:
    """Return whether rows below a gap have the columns of a head; totals have no last remarks."""
    width = max(map(len, body), default=0)
    totals = 2 < width < len(head) < 2 * width and TOTAL.fullmatch(body[0][0]) is not None
    return len(head) > 1 and (width == len(head) or totals)


def _parts_of_form(body: Sequence[Row]) -> list[list[Row]]:
    """Return the parts of a form with their names above them; [] if the first is none."""
    found = sections(body)
    if not (found and found[0][0] and is_filled_in(found[0][1])):
        return []
    return [[*([[name]] if name else []), *rows] for name, rows in found]


def _count_titles(block: Sequence[Row]) -> int:
    """Return how many rows are above a table."""
    titles = next((at for at, row in enumerate(block) if not _is_title(row)), len(block))
    if titles == len(block):  # nothing but such rows
        several = (at for at, row in enumerate(block) if len(set(filled_cells(row))) > 1)
        titles = next(several, titles)
    return titles


def _without_zero(body: list[list[str]]) -> list[list[str]]:
    """Return a table without the number of its head, where its rows are numbered from that on."""
    if len(body) > 1 and body[0][0] == "0" and body[1][0] == "1":
        below = [["", *body[0][1:]], *body[1:]]
        return below if has_values_below(below, 0) else body
    return body


def _end_of_table(body: Sequence[Row], head: Row, titles: int, stop: int) -> int:
    """Return where a table ends below which another one with a title and a head begins.

    Args:
        body: Rows of both.
        head: The names of the columns of the first.
        titles: Rows above the body.
        stop: Where its values begin.
    """
    if any(map(_is_title, body[stop : stop + 1])):  # its parts have titles
        return len(body)
    for at in range(stop + 1, len(body) - 2):
        title, names = body[at], body[at + 1]
        if (
            _is_title(title)
            and is_labels(names)
            and (titles or not set(head).isdisjoint(filled_cells(names)))
            and _breaks(body[max(stop, at - _BROKEN) : at], names)
            and has_values_below(body[: _next_title(body, at + 1)], at + 1)
        ):
            return at
    return len(body)


def _next_title(body: Sequence[Row], at: int) -> int:
    return next((row for row in range(at, len(body)) if _is_title(body[row])), len(body))


def _breaks(rows: Sequence[Row], names: Row) -> bool:
    """Return whether a name is in a column of nothing but values."""
    for column, name in enumerate(names):
        cells = [row[column] for row in rows if column < len(row) and row[column]]
        cells = [cell for cell in cells if not isinstance(cell, Covered)]
        if name and cells and all(map(VALUE.fullmatch, cells)):
            return True
    return False


def _are_lost(head: Sequence[str], rows: Sequence[Row]) -> bool:
    """Return whether names of a head would not be read, since nothing is below them."""
    unused = {at for at, name in enumerate(head) if name}
    for row in rows:
        if not unused:
            break
        if not is_unnamed(head, row):
            unused.difference_update([at for at, cell in enumerate(row) if cell])
    return bool(unused)


def _is_title(row: Row) -> bool:
    """Return whether a row is above a table: one text, or notes such as ``编制：设备科``."""
    values = filled_cells(row)
    return len(set(values)) <= 1 or all(map(NOTED.fullmatch, values))
