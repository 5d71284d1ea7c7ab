"""Tables and lists that stand beside each other in the rows of one."""

from collections.abc import Sequence
from itertools import groupby, zip_longest

from rag_app.documents.tables.cells import SAMPLE, VALUE, Row, filled_cells
from rag_app.documents.tables.heads import column_names, has_values_below, head_rows
from rag_app.documents.tables.periods import DATE


def side_by_side(body: Sequence[Row]) -> list[list[Row]]:
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


def columns_of_lists(head: list[str], rows: Sequence[Row]) -> list[slice]:
    """Return the columns of the lists that are beside each other under names that recur.

    A list of persons goes on beside itself, and what a company has stands beside what it owes:
    their first columns alone may have other names.
    """
    width = len(head)
    for size in range(2, width // 2 + 1):
        starts = range(0, width, size)
        names = [head[start + 1 : start + size] for start in starts]
        if width % size or not all(head) or any(other != names[0] for other in names):
            continue
        parts = [[row[start : start + size] for row in rows[:SAMPLE]] for start in starts]
        if all(map(_has_names, parts)):
            return [slice(start, start + size) for start in starts]
    return [slice(0, None)]


def _has_names(rows: Sequence[Row]) -> bool:
    """Return whether texts, most of them each another, are in a column."""
    columns = ([cell for cell in column if cell] for column in zip_longest(*rows, fillvalue=""))
    return any(
        2 * len(set(cells)) > len(cells) and not any(map(VALUE.fullmatch, cells))
        for cells in columns
    )
