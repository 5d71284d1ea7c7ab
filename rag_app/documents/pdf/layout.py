"""The order in which the parts of a page are read: tables, columns, and what is across them."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from rag_app.documents.pdf.aligned_tables import (
    COLUMN_LINES,
    GUTTER,
    aligned_tables,
    is_running,
)
from rag_app.documents.pdf.characters import Char
from rag_app.documents.pdf.lines import Fragment, fragments, line_of, rows
from rag_app.documents.pdf.ruled_tables import Table, ruled_tables
from rag_app.documents.pdf.rules import Edge, grids

_INDENTED = 3
"""By how much, in sizes of the text, lines of a column may begin or end before others."""


@dataclass
class Block:
    """Lines that are read one after the other: a column, or a page without any."""

    lines: list[Fragment] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Where its longest lines begin."""
        return min(line.left for line in self.lines)

    @property
    def right(self) -> float:
        """Where its longest lines end."""
        return max(line.right for line in self.lines)


def blocks(
    chars: Sequence[Char], horizontal: Sequence[Edge], vertical: Sequence[Edge]
) -> list[Block | Table]:
    """Return the blocks and tables of a page in the order in which they are read."""
    ruled: list[Table] = []
    rest = list(chars)
    for grid in sorted(grids(horizontal, vertical), key=lambda grid: -grid.ys[0]):
        inside = [char for char in rest if grid.contains((char.left + char.right) / 2, char.middle)]
        tables, taken = ruled_tables(grid, inside)
        ruled += tables
        rest = [char for char in rest if id(char) not in taken]
    parts = fragments(rest)
    aligned, parts = aligned_tables(parts)
    return _ordered(parts, [*ruled, *aligned])


def _ordered(parts: Sequence[Fragment], tables: Sequence[Table]) -> list[Block | Table]:
    """Return fragments and tables in reading order: column after column, from the top."""
    items: list[Fragment | Table] = [*parts, *tables]
    return [block for region in _regions(items, depth=0) for block in _stacked(region)]


def _regions(items: Sequence[Fragment | Table], depth: int) -> Iterator[list[Fragment | Table]]:
    """Yield the columns of a region in reading order, and what is across them."""
    cut = _best_gutter(items) if depth < 8 and len(items) >= 2 * COLUMN_LINES else None
    if cut is None:
        yield _row_order(items)
        return
    gutter, top, bottom = cut
    above = [item for item in items if item.bottom >= top]
    below = [item for item in items if item.top <= bottom and item.bottom < top]
    chosen = set(map(id, above)) | set(map(id, below))
    band = [item for item in items if id(item) not in chosen]
    left = [item for item in band if (item.left + item.right) / 2 < gutter]
    right = [item for item in band if (item.left + item.right) / 2 >= gutter]
    for region in (above, left, right, below):
        if region:
            yield from _regions(region, depth + 1)


def _row_order(items: Sequence[Fragment | Table]) -> list[Fragment | Table]:
    tables = [item for item in items if isinstance(item, Table)]
    lines = [line_of(row) for row in rows(item for item in items if isinstance(item, Fragment))]
    return sorted([*lines, *tables], key=lambda item: -item.top)


def _best_gutter(items: Sequence[Fragment | Table]) -> tuple[float, float, float] | None:
    """Return ``(x, top, bottom)`` of the gutter that most lines of running text stand beside."""
    size = (
        median(item.size for item in items if isinstance(item, Fragment))
        if any(isinstance(item, Fragment) for item in items)
        else 10.0
    )
    best: tuple[int, float, float, float] | None = None
    for place in sorted({round(item.right, 0) for item in items}):
        left, right = place + 0.5, place + 0.5 + GUTTER * size
        found = _free_run(items, left, right)
        if found and (best is None or found[0] > best[0]):
            best = found
    return None if best is None else best[1:]


def _free_run(
    items: Sequence[Fragment | Table], left: float, right: float
) -> tuple[int, float, float, float] | None:
    """Return the longest run of lines that leave a strip free, both sides of which hold text."""
    crossing = sorted(
        (item for item in items if item.left < right and item.right > left),
        key=lambda item: -item.top,
    )
    limits = [(float("inf"), float("inf"))]
    limits += [(item.top, item.bottom) for item in crossing]
    limits += [(float("-inf"), float("-inf"))]
    best: tuple[int, float, float, float] | None = None
    floor = float("inf")
    for (_, upper), (lower, _) in itertools.pairwise(limits):
        floor = min(floor, upper)
        inside = [i for i in items if i.top <= floor + 0.5 and i.bottom >= lower - 0.5]
        before = [item for item in inside if item.right <= left + 0.5]
        after = [item for item in inside if item.left >= right - 0.5]
        if not (_ends_in_column(before) and _begins_with_column(after)):
            continue
        top = min(max(i.top for i in before), max(i.top for i in after))
        bottom = max(min(i.bottom for i in before), min(i.bottom for i in after))
        if top <= bottom:
            continue
        score = min(len(before), len(after)) * 1000 + len(inside)
        if best is None or score > best[0]:
            best = (score, (left + right) / 2, floor, lower)
    return best


def _begins_with_column(items: Sequence[Fragment | Table]) -> bool:
    """Return whether items are a column of running text, or several, of which the first is one."""
    parts = [item for item in items if isinstance(item, Fragment)]
    edge = min((part.left for part in parts), default=0.0)
    first = [part for part in parts if part.left < edge + _INDENTED * part.size]
    return _is_column(items) or _is_column(first)


def _ends_in_column(items: Sequence[Fragment | Table]) -> bool:
    """Return whether items are a column of running text, or several, of which the last is one."""
    parts = [item for item in items if isinstance(item, Fragment)]
    edge = max((part.right for part in parts), default=0.0)
    full = [part.left for part in parts if part.right > edge - _INDENTED * part.size]
    last = [part for part in parts if full and part.left > median(full) - part.size]
    return _is_column(items) or _is_column(last)


def _is_column(items: Sequence[Fragment | Table]) -> bool:
    lines = [line_of(row) for row in rows(i for i in items if isinstance(i, Fragment))]
    return len(lines) >= COLUMN_LINES and is_running(lines)


def _stacked(items: Sequence[Fragment | Table]) -> Iterator[Block | Table]:
    """Yield the lines between tables as blocks."""
    block = Block()
    for item in items:
        if isinstance(item, Fragment):
            block.lines.append(item)
            continue
        if block.lines:
            yield block
        block = Block()
        yield item
    if block.lines:
        yield block
