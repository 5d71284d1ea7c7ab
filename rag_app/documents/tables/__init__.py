"""Tables → text in which every row can be understood alone.

A row becomes a line ``column: value; column: value``, since a passage from the middle of a table
is read without the table's head. Rows of forms become ``label: value``, rows of tables without a
head ``value | value``.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import groupby

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
from rag_app.documents.tables.forms import (
    form_line,
    is_filled_in,
    is_form,
    is_row_of_form,
    plain_lines,
)
from rag_app.documents.tables.heads import (
    DATE,
    column_names,
    has_values_below,
    head_rows,
    is_labels,
)

_FAR_ACROSS = 3
"""Columns that the first cell of a row covers besides its own where it only names the row."""
_MOST_CELLS = 200_000
"""Cells of a table that are looked at together; the rows below have the same head, one by one."""


def table_lines(rows: Iterable[Row], *, head: int = 0) -> Iterator[str]:
    """Yield the rows that are not empty as lines, each with the names of its columns.

    The head is the first row of labels above columns of values, wherever it is: below title
    rows, after a form, or in two rows, whose names are joined (``支出/实际``). Where nothing tells,
    the first row of distinct labels is one. Empty rows part tables; one without a head of its own
    keeps that of the table above it.

    Args:
        rows: The rows of the table.
        head: As many rows the file itself calls the head, believed where nothing else tells.
    """
    yield from _table_lines(rows, head)


def lines_below(
    rows: Sequence[Row], head: Sequence[str] | None = None
) -> tuple[list[str], Sequence[str]]:
    """Return the lines of a part of a table, and the head that the next part goes on with.

    Args:
        rows: The rows of the part.
        head: What the part before it returned; None where this is the first.
    """
    if head is None:
        lines = _table_lines(rows)
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
    shown = (_named(head, row) for row in filled) if head else plain_lines(filled)
    return list(shown), head


def form_lines(rows: Sequence[Row]) -> list[str]:
    """Return the rows of a form as lines; none is the head of those below.

    Example:
        >>> form_lines([["发货人：", "海丰公司"], ["装货港 宁波", "毛重 16T", ""]])
        ['发货人: 海丰公司', '装货港 宁波 | 毛重 16T']
    """
    block = [[one_line(cell) for cell in row] for row in rows if any(cell.strip() for cell in row)]
    return list(map(form_line, block) if is_filled_in(block) else plain_lines(block))


def _table_lines(rows: Iterable[Row], named: int = 0) -> Generator[str, None, list[str]]:
    head: list[str] = []
    rows = (row for row in rows if not _is_continued(row))
    for filled, group in groupby(rows, key=lambda row: any(cell.strip() for cell in row)):
        if filled:
            block = ([one_line(cell) for cell in row] for row in group)
            head = yield from _block_lines(_first_rows(block), head, named)
            for row in block:
                yield from [_named(head, row)] if head else plain_lines([row])
            named = 0
    return head


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


def _side_by_side(body: Sequence[Row]) -> list[list[Row]]:
    """Return the tables that are beside each other, apart by an empty column; [] if it is one.

    Each has a head of its own, and their values begin in different rows, or each names its rows:
    else the empty column may only set off some columns of one table.
    """
    width = max(map(len, body), default=0)
    used = [any(at < len(row) and row[at] for row in body) for at in range(width)]
    runs = [list(run) for filled, run in groupby(range(width), key=used.__getitem__) if filled]
    parts = [[row[run[0] : run[-1] + 1] for row in body] for run in runs]
    alone = sum(any(part[0]) for part in parts) == 1
    begins = [_first_values(part, alone=alone) for part in parts]
    if len(parts) > 1 and None not in begins and _name_their_rows(parts):
        return list(map(_titled, parts))
    if None in begins or len(set(begins)) < 2:
        return []
    columns = [
        (runs[group[0]][0], runs[group[-1]][-1] + 1)
        for group in (list(same) for _, same in groupby(range(len(runs)), begins.__getitem__))
    ]
    return [[row[first:end] for row in body] for first, end in columns]


def _name_their_rows(parts: Sequence[Sequence[Row]]) -> bool:
    """Return whether each of the parts that are beside each other names its rows.

    They do so under the same name, or by texts that are each another, beside values.
    """
    heads = [head_rows(part) for part in parts]
    names, named = set(), True
    for part, (start, stop) in zip(parts, heads, strict=True):
        head = part[stop - 1]
        if start > 1 or len(head) < 2 or (start and len(filled_cells(part[0])) > 1):
            return False
        names.add(head[0])
        named = named and _names_rows([row for row in part[stop:] if row and row[0]])
    return named or len(names) == 1


def _titled(table: Sequence[Row]) -> list[Row]:
    """Return a table with the title above its head in each name of it."""
    start, stop = head_rows(table)
    title = "".join(table[0]) if start else ""
    names = [f"{title}/{name}" if name else "" for name in column_names(table[start:stop])]
    return [names, *table[stop:]] if title else list(table)


def _names_rows(rows: Sequence[Row]) -> bool:
    """Return whether the first cells of rows are texts or dates, each another, beside values."""
    names = [row[0] for row in rows]
    texts = [name for name in names if not VALUE.fullmatch(name) or DATE.fullmatch(name)]
    values = any(VALUE.fullmatch(cell) for row in rows for cell in row[1:] if cell)
    return values and len(names) > 1 and len(set(texts)) == len(names)


def _first_values(table: Sequence[Row], *, alone: bool) -> int | None:
    """Return the row in which the values under a head begin, None where there is no head.

    Args:
        table: Its rows, and those of what is beside it.
        alone: Whether nothing stands beside the first row, which then needs no values to be a head.
    """
    start, stop = head_rows(table)
    is_head = start < stop and ((alone and start == 0) or has_values_below(table, stop - 1))
    return stop if is_head else None


def _block_lines(
    block: list[list[str]], before: list[str], named: int = 0
) -> Generator[str, None, list[str]]:
    """Yield the lines of one table and return its head.

    Args:
        block: Rows of the table.
        before: The head of the table above it.
        named: Rows that the file calls the head.
    """
    if is_filled_in(block):
        yield from map(form_line, block)
        return []
    titles = next((at for at, row in enumerate(block) if not _is_title(row)), len(block))
    if titles == len(block):  # nothing but such rows
        titles = next(
            (at for at, row in enumerate(block) if len(set(filled_cells(row))) > 1), titles
        )
    yield from ("; ".join(dict.fromkeys(filled_cells(row))) for row in block[:titles])
    body = block[titles:]
    if len(body) > 1 and body[0][0] == "0" and body[1][0] == "1":
        below = [["", *body[0][1:]], *body[1:]]
        body = (
            below if has_values_below(below, 0) else body
        )  # its rows are numbered from the head on
    tables = _side_by_side(body)
    for table in tables:
        yield from _table_lines(table)
    if tables:
        return []
    start, stop = head_rows(body)
    if start == stop and 0 < named - titles < len(body):
        stop = named - titles
    if start == stop:
        width = max(map(len, body), default=0)
        head = before if 1 < len(before) == width and not is_form(body) else []
    else:
        head = column_names(body[start:stop])
    yield from form_lines(body[:start])
    if not head:
        yield from plain_lines(body[stop:])
        return head
    if _are_lost(head, body[stop:]):
        yield " | ".join(dict.fromkeys(filled_cells(head)))
    yield from (_named(head, row) for row in body[stop:] if list(row) != head)
    return head


def _are_lost(head: Sequence[str], rows: Sequence[Row]) -> bool:
    """Return whether names of a head would not be read, since nothing is below them."""
    unused = {at for at, name in enumerate(head) if name}
    for row in rows:
        if not unused:
            break
        if not (_is_section(head, row) or _is_note(head, row) or is_row_of_form(row)):
            unused.difference_update([at for at, cell in enumerate(row) if cell])
    return bool(unused)


def _is_title(row: Row) -> bool:
    """Return whether a row is above a table: one text, or notes such as ``编制：设备科``."""
    values = filled_cells(row)
    return len(set(values)) <= 1 or all(map(NOTED.fullmatch, values))


def _named(head: Row, row: Row) -> str:
    if _is_section(head, row):
        return row[0]
    if _is_note(head, row):
        return "; ".join(dict.fromkeys(filled_cells(row)))
    if is_row_of_form(row):
        return next(plain_lines([row]))
    names = [*head, *[""] * (len(row) - len(head))]
    covered = [cell == row[0] and isinstance(cell, Covered) for cell in row]
    if TOTAL.fullmatch(row[0]) or sum(covered) >= _FAR_ACROSS:  # of the first column only
        row = ["" if over else cell for over, cell in zip(covered, row, strict=True)]
    named = zip(names, row, strict=False)
    parts = [f"{name}: {cell}" if name else cell for name, cell in named if cell]
    return "; ".join(part for part, _ in groupby(parts))  # a cell merged under one name, once


def _is_note(head: Row, row: Row) -> bool:
    """Return whether a row is signed below a table, as by ``制表：王敏``, not in its columns."""
    values = filled_cells(row)
    first = next((at for at, cell in enumerate(row) if cell), len(head))
    if 2 * first >= len(head) or not NOTED.fullmatch(values[0]):
        return False
    most = 4 if any(map(VALUE.fullmatch, values)) else 2
    return most * len(values) < len(filled_cells(head))


def _is_section(head: Row, row: Row) -> bool:
    """Return whether a row is one text that is across the table."""
    if VALUE.fullmatch(row[0]):
        return False
    return len(head) > 2 if len(row) == 1 else len(set(row)) == 1
