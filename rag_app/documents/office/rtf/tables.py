"""Tables of RTF: cells that are merged across or downwards, by marks or by where they end."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from rag_app.documents.tables.cells import Continued, Covered, spanned

_NEAR = 60
"""Twips (a twentieth of a point) within which edges of cells are one."""


class RtfRow(NamedTuple):
    """A row as it is written."""

    cells: list[str]
    merges: list[str]
    """How each cell is merged: ``vmrg`` with the one above, ``mrg`` with the one before."""
    edges: list[int]
    """Where each ends, in twips."""


def grid_rows(rows: Sequence[RtfRow]) -> list[list[str]]:
    """Return the rows of a table, in which a merged cell stands in each place that it covers."""
    columns = _columns(rows)
    found: list[list[str]] = []
    for row in rows:
        above = found[-1] if found else []
        cells: list[str] = []
        for number, own in enumerate(row.cells):
            merge = row.merges[number].split() if number < len(row.merges) else []
            text = own
            if "vmrg" in merge and len(cells) < len(above):
                text = Continued(above[len(cells)])
            elif "mrg" in merge and cells:
                text = Covered(cells[-1])
            end = _column(columns, row.edges[number]) if number < len(row.edges) else 0
            cells += spanned(text, max(end - len(cells), 1))
        found.append(cells)
    return found


def _columns(rows: Sequence[RtfRow]) -> list[int]:
    """Return where the columns end; none where the cells of rows don't say."""
    if any(row.edges != sorted(row.edges) or len(row.edges) != len(row.cells) for row in rows):
        return []
    columns: list[int] = []
    for edge in sorted({edge for row in rows for edge in row.edges}):
        if not columns or edge - columns[-1] > _NEAR:
            columns.append(edge)
    return columns


def _column(columns: Sequence[int], edge: int) -> int:
    """Return how many columns end at an edge or before it."""
    return bisect_left(columns, edge - _NEAR) + 1 if columns else 0
