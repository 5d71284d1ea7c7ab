"""The order in which the parts of a page are read: tables, columns, and what is across them."""

import itertools
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from rag_app.documents.pdf.characters import Char
from rag_app.documents.pdf.lines import Fragment, are_fields, fragments, line_of, rows
from rag_app.documents.pdf.narrow_gutters import NARROW, NARROW_LINES, cut_at_gutters
from rag_app.documents.pdf.rules import Edge, grids
from rag_app.documents.pdf.tables.aligned_tables import (
    COLUMN_LINES,
    GUTTER,
    aligned_tables,
    is_running,
)
from rag_app.documents.pdf.tables.ruled_tables import Table, ruled_tables

_INDENTED = 3  # by how much, in sizes of the text, lines of a column may begin or end before others
_SIDEBAR_LINES, _SIDEBAR_TEXT = 5, 15
"""Lines of a sidebar and what is beside it at least, and characters of the longest of them."""
_DEEPEST = 8  # columns within columns
_FIELDS = 0.8  # share of lines that are labels with values from which they are a form's
_SIDEBAR_PAGE = 0.6  # share of what is on the page that stands in it and beside it at least
_TABLE_COLUMNS = 3
"""Columns of a table; lines of a sidebar and of the text beside it may happen to be rows of two."""
_NAMES_APART = 2.0  # sizes between names that stand beside lines
_LEVEL = 0.5  # share of the lines of a sidebar that may stand as high as one beside it

AreColumns = Callable[[Sequence[Fragment | Table], Sequence[Fragment | Table]], bool]
"""Returns whether what is on the left and on the right of a gutter are columns."""
_WIDE = 1.15  # width of the text, in heights, from which it may be that of two pages
_MIDDLE = (0.4, 0.6)  # share of the width within which the space between the pages lies
_SPACE = 0.04  # the width of that space, as a share of the whole
_LINES, _LENGTH = 5, 8
"""Lines of each page at least, and the mean of their characters."""


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
    found: list[Block | Table] = []
    for side in _sides([*cut_at_gutters(fragments(rest)), *ruled]):
        aligned, parts = aligned_tables(_parts(side))
        tables = [item for item in side if isinstance(item, Table)]
        for region in _regions([*parts, *tables, *aligned], depth=0):
            found += _stacked(region)
    return found


def _sides(items: list[Fragment | Table]) -> list[list[Fragment | Table]]:
    """Return a page, in parts where it has a sidebar: what is above, beside and below that."""
    least = _SIDEBAR_PAGE * len(items)

    def are_sides(before: Sequence[Fragment | Table], after: Sequence[Fragment | Table]) -> bool:
        return len(before) + len(after) >= least and _stand_apart(before, after)

    cut = _best_gutter(items, are_sides, GUTTER, _SIDEBAR_LINES)
    if cut is None:
        return [items]
    parted = _parted(items, *cut)
    beside = aligned_tables(_parts(parted[1] + parted[2]))[0]
    across = (table for table in beside if table.left < cut[0] < table.right)
    if any(len(row) >= _TABLE_COLUMNS for table in across for row in table.rows):
        return [items]
    return parted


def _parts(items: Sequence[Fragment | Table]) -> list[Fragment]:
    """Return what is no table."""
    return [item for item in items if isinstance(item, Fragment)]


def _lines(items: Sequence[Fragment | Table]) -> list[Fragment]:
    """Return what is no table, by lines from the top."""
    return [line_of(row) for row in rows(_parts(items))]


def _regions(items: Sequence[Fragment | Table], depth: int) -> Iterator[list[Fragment | Table]]:
    """Yield the columns of a region in reading order, and what is across them."""
    cut = None
    if depth < _DEEPEST and len(items) >= 2 * COLUMN_LINES:
        cut = _best_gutter(items, _are_columns, GUTTER)
    if cut is None and depth < _DEEPEST and len(items) >= 2 * NARROW_LINES:
        cut = _best_gutter(items, _are_columns, NARROW, NARROW_LINES)
    if cut is None:
        tables = [item for item in items if isinstance(item, Table)]
        yield sorted([*_lines(items), *tables], key=lambda item: -item.top)
        return
    for region in _parted(items, *cut):
        if region:
            yield from _regions(region, depth + 1)


def _parted(
    items: Sequence[Fragment | Table], gutter: float, top: float, bottom: float
) -> list[list[Fragment | Table]]:
    """Return what is above a gutter, on its left, on its right, and below it."""
    above = [item for item in items if item.bottom >= top]
    below = [item for item in items if item.top <= bottom and item.bottom < top]
    chosen = set(map(id, above)) | set(map(id, below))
    band = [item for item in items if id(item) not in chosen]
    left = [item for item in band if (item.left + item.right) / 2 < gutter]
    right = [item for item in band if (item.left + item.right) / 2 >= gutter]
    return [above, left, right, below]


def _best_gutter(
    items: Sequence[Fragment | Table], are_columns: AreColumns, width: float, least: int = 0
) -> tuple[float, float, float] | None:
    """Return ``(x, top, bottom)`` of the gutter that most lines of columns stand beside.

    It is so many sizes of the text wide, with so many lines on each side, at least.
    """
    size = median([part.size for part in _parts(items)] or [10.0])
    best: tuple[int, float, float, float] | None = None
    items = sorted(items, key=lambda item: -item.top)
    for place in sorted({round(item.right, 0) for item in items}):
        left, right = place + 0.5, place + 0.5 + width * size
        found = _free_run(items, left, right, are_columns, least)
        if found and (best is None or found[0] > best[0]):
            best = found
    return None if best is None else best[1:]


def _free_run(
    items: Sequence[Fragment | Table],
    left: float,
    right: float,
    are_columns: AreColumns,
    least: int,
) -> tuple[int, float, float, float] | None:
    """Return the longest run of lines that leave a strip free, both sides of which hold text.

    Those of all items come from the top.
    """
    tops = [-item.top for item in items]
    crossing = [item for item in items if item.left < right and item.right > left]
    limits = [(float("inf"), float("inf"))]
    limits += [(item.top, item.bottom) for item in crossing]
    limits += [(float("-inf"), float("-inf"))]
    best: tuple[int, float, float, float] | None = None
    floor = float("inf")
    for (_, upper), (lower, _) in itertools.pairwise(limits):
        floor = min(floor, upper)
        near = items[bisect_left(tops, -floor - 0.5) : bisect_right(tops, 0.5 - lower)]
        inside = [item for item in near if item.bottom >= lower - 0.5]
        before = [item for item in inside if item.right <= left + 0.5]
        after = [item for item in inside if item.left >= right - 0.5]
        if min(len(before), len(after)) < least or not are_columns(before, after):
            continue
        top = min(max(i.top for i in before), max(i.top for i in after))
        bottom = max(min(i.bottom for i in before), min(i.bottom for i in after))
        if top <= bottom:
            continue
        score = min(len(before), len(after)) * 1000 + len(inside)
        if best is None or score > best[0]:
            best = (score, (left + right) / 2, floor, lower)
    return best


def _are_columns(before: Sequence[Fragment | Table], after: Sequence[Fragment | Table]) -> bool:
    """Return whether what is on each side of a gutter is running text, not fields of a form."""
    lines = _parts([*before, *after])
    fields = sum(are_fields(line.text) for line in lines)
    return fields < _FIELDS * len(lines) and _ends_in_column(before) and _begins_with_column(after)


def _stand_apart(before: Sequence[Fragment | Table], after: Sequence[Fragment | Table]) -> bool:
    """Return whether lines side by side stand at heights of their own, as beside a sidebar."""
    sides = [_lines(before), _lines(after)]
    if min(map(len, sides)) < _SIDEBAR_LINES:
        return False
    if not any(len(line.chars) >= _SIDEBAR_TEXT for side in sides for line in side):
        return False
    beside = [
        [line for line in side if other[-1].bottom < (line.bottom + line.top) / 2 < other[0].top]
        for side, other in (sides, sides[::-1])
    ]
    few, many = sorted(beside, key=len)
    if len(few) < _SIDEBAR_LINES or _are_names(few, many):
        return False
    heights = [line.bottom for line in many]
    level = sum(
        any(abs(line.bottom - height) < 0.3 * line.size for height in heights) for line in few
    )
    return level <= _LEVEL * len(few)


def _are_names(few: Sequence[Fragment], many: Sequence[Fragment]) -> bool:
    """Return whether lines far from each other stand by those beside them, each by as much.

    So do names in the middle of what is said of them, and what is typed between printed lines.
    """
    steps = [above.bottom - below.bottom for above, below in itertools.pairwise(few)]
    if median(steps) < _NAMES_APART * few[0].size:
        return False
    heights = sorted(line.bottom for line in many)
    above = (bisect_left(heights, line.bottom) for line in few)
    offsets = Counter(
        round(heights[at] - line.bottom)
        for at, line in zip(above, few, strict=True)
        if at < len(heights)
    )
    return sum(count for _, count in offsets.most_common(1)) > len(few) / 2


def _begins_with_column(items: Sequence[Fragment | Table]) -> bool:
    """Return whether items are a column of running text, or several, of which the first is one."""
    parts = _parts(items)
    edge = min((part.left for part in parts), default=0.0)
    first = [part for part in parts if part.left < edge + _INDENTED * part.size]
    return _is_column(items) or _is_column(first)


def _ends_in_column(items: Sequence[Fragment | Table]) -> bool:
    """Return whether items are a column of running text, or several, of which the last is one."""
    parts = _parts(items)
    edge = max((part.right for part in parts), default=0.0)
    full = [part.left for part in parts if part.right > edge - _INDENTED * part.size]
    last = [part for part in parts if full and part.left > median(full) - part.size]
    return _is_column(items) or _is_column(last)


def _is_column(items: Sequence[Fragment | Table]) -> bool:
    lines = _lines(items)
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


def facing_pages(chars: Sequence[Char]) -> list[list[Char]]:
    """Return the characters of a picture by its pages, one or two, from the left."""
    found = list(chars)
    if not found:
        return [found]
    left, right = min(char.left for char in found), max(char.right for char in found)
    height = max(char.top for char in found) - min(char.bottom for char in found)
    width = right - left
    if width < _WIDE * height:
        return [found]
    start, end = (left + share * width for share in _MIDDLE)
    edge = start
    for char in sorted(found, key=lambda char: char.left):
        if char.left - edge >= _SPACE * width and edge < end:
            pages = [[each for each in found if each.left < char.left],
                     [each for each in found if each.left >= char.left]]  # fmt: skip
            return pages if all(map(_is_page, pages)) else [found]
        edge = max(edge, char.right)
    return [found]


def _is_page(chars: Sequence[Char]) -> bool:
    """Return whether these are lines of text, not half of the columns of a wide table."""
    lines = rows(fragments(chars))
    whole = sum(len(line) == 1 for line in lines)
    return len(lines) >= _LINES and len(chars) >= _LENGTH * len(lines) and 2 * whole > len(lines)
