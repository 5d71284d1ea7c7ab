"""Heads that are above the lines of a table, outside of it, as on every page of a long one."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from rag_app.documents.pdf.layout import Block
from rag_app.documents.pdf.lines import Fragment, spell
from rag_app.documents.pdf.running_heads import lines_of, without
from rag_app.documents.pdf.tables.ruled_tables import Table

_NEAR = 1.2  # heights of a line between a head and its table
_GAP = 1.0  # heights of a line between the names of two columns
_BEYOND = 3.0  # points by which a head may be wider than its table
_LEAST = 3  # columns; a line of two parts may be anything


def with_heads(items: Sequence[Block | Table]) -> list[Block | Table]:
    """Return a page whose tables have their heads, which stood above them, as their first rows."""
    taken: set[int] = set()
    found: list[Block | Table] = []
    for item in items:
        head = _head(item, items) if isinstance(item, Table) else None
        if isinstance(item, Table) and head is not None:
            taken.add(id(head))
            found.append(replace(item, rows=[_cells(head), *item.rows], top=head.top))
        else:
            found.append(item)
    return without(found, taken)


def _head(table: Table, items: Sequence[Block | Table]) -> Fragment | None:
    columns = max(map(len, table.rows), default=0)
    for line in lines_of(items):
        near = -1 <= line.bottom - table.top < _NEAR * line.size
        inside = table.left - _BEYOND <= line.left and line.right <= table.right + _BEYOND
        if near and inside and len(_cells(line)) == columns >= _LEAST:
            return line
    return None


def _cells(line: Fragment) -> list[str]:
    """Return the parts of a line that are far from each other."""
    parts = [[line.chars[0]]]
    for before, after in pairwise(line.chars):
        if after.left - before.right > _GAP * line.size:
            parts.append([])
        parts[-1].append(after)
    return [spell(part) for part in parts]
