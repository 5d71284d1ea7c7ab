"""Tables without lines around their cells, which are only aligned."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import median

from rag_app.documents.pdf.lines import Fragment, join, label, line_of, rows
from rag_app.documents.pdf.tables.grouped_heads import grouped_head, texts_of
from rag_app.documents.pdf.tables.ruled_tables import COLUMNS_OF_ONE, Table
from rag_app.documents.tables.heads import has_labels

_ITEM = re.compile(r"[•·●■◆○▪➢✓*–-]\s*\w|[（(]?(?:\d{1,2}|[一二三四五六七八九十]{1,3})[.、)）]\D")
"""How the items of a list begin, which is read to its end before the one beside it."""
GUTTER = 0.9
"""Least width of the space between columns, in sizes of the text."""
COLUMN_LINES = 3
"""Lines that each side of a gutter has at least."""
_FULL = 0.7
"""Share of a column's width that lines of running text fill; cells of a table are shorter."""
_SHORT = 20
"""Usual length of a cell, in characters, in a table of two columns without lines around them."""
_INDENT = 2.5  # by how much, in sizes of the text, lines of a column may be set in
_PROSE = 0.9  # share of the characters in columns of running text above which there is no table
_ROW_APART, _LINE_APART = 1.2, 1.1
"""Distance of rows, in distances of the lines of a cell, and what these differ by at most."""
_FEWEST_WORDS = 5  # letters of a line that the width of its cell broke
_SAME_LABELS = 2
"""Rows whose cells begin with the same label, in columns that are read one after the other."""
_TABLE_ROWS = 3  # rows of a table without lines around its cells


def aligned_tables(parts: list[Fragment]) -> tuple[list[Table], list[Fragment]]:
    """Return tables whose cells are only aligned, and the fragments that are in none."""
    tables: list[Table] = []
    taken: set[int] = set()
    lines = rows(parts)
    start = 0
    while start < len(lines):
        stop, gutters = _band(lines, start)
        band = lines[start:stop]
        enough = len(band) >= _TABLE_ROWS or _is_head_of_one(band, gutters)
        if enough and _is_table(band, gutters):
            more = _all_gutters(band, gutters)
            gutters = more if _is_table(band, more) else gutters
            head = grouped_head(lines, start, partial(_columns_of, gutters=gutters))
            if head and head.last < stop - 1 and taken.isdisjoint(map(id, lines[head.first])):
                table = _aligned_table(lines[head.last + 1 : stop], gutters)
                top = max(part.top for part in lines[head.first])
                table = replace(table, rows=[head.names, *table.rows], top=top, is_form=False)
                start = head.first
            else:
                table = _aligned_table(band, gutters)
            tables.append(table)
            taken.update(id(part) for row in lines[start:stop] for part in row)
            start = stop
        else:
            start = stop if enough and _is_prose(band) else start + 1
    return tables, [part for part in parts if id(part) not in taken]


def _band(lines: Sequence[list[Fragment]], start: int) -> tuple[int, list[tuple[float, float]]]:
    """Return where the rows end that share gutters with the row at ``start``, and the gutters."""
    if len(lines[start]) < 2:
        return start, []
    gutters = _gaps(lines[start])
    stop = start + 1
    single = 0
    while stop < len(lines):
        row, above = lines[stop], lines[stop - 1]
        if above[0].bottom - row[0].top > 2.5 * row[0].size:
            break
        shared = _narrowed(gutters, row)
        single = 0 if len(row) > 1 else single + 1
        if len(shared) < max(1, len(gutters)) and len(row) == 1:
            break
        if not shared or single > 1:
            break
        gutters = shared
        stop += 1
    while stop > start + 1 and len(lines[stop - 1]) == 1:
        above, rest = lines[stop - 2], lines[stop - 1][0]
        broken = [part for part in above if abs(part.left - rest.left) < 1 and part is not above[0]]
        words = sum(char.text.isalpha() for part in broken for char in part.chars)
        if words >= _FEWEST_WORDS and broken[0].right > rest.right - rest.size:
            break  # the rest of a cell; text below a table begins at its edge
        stop -= 1
    return stop, gutters


def _gaps(row: Sequence[Fragment]) -> list[tuple[float, float]]:
    return [
        (before.right, after.left)
        for before, after in itertools.pairwise(row)
        if after.left - before.right > GUTTER * after.size
    ]


def _narrowed(
    gutters: Sequence[tuple[float, float]], row: Sequence[Fragment]
) -> list[tuple[float, float]]:
    """Return what of the gutters the fragments of a row leave free."""
    kept = []
    for gutter in gutters:
        left, right = gutter
        for part in row:
            if part.left < right and part.right > left:
                if part.left - left >= right - part.right:
                    right = min(right, part.left)
                else:
                    left = max(left, part.right)
        if right - left > 0.6 * row[0].size:
            kept.append((left, right))
    return kept


def _all_gutters(
    band: Sequence[list[Fragment]], gutters: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Return what all rows leave free, also where the first one has a cell over several columns."""
    several = [row for row in band if len(row) > 1]
    parts = sorted((part for row in several for part in row), key=lambda part: part.left)
    gaps = [_gaps(row) for row in several]
    found = []
    right = parts[0].right if parts else 0.0
    for part in parts:
        if part.left - right > 0.6 * part.size:
            rows_with = sum(any(a <= right and part.left <= b for a, b in row) for row in gaps)
            if rows_with > 1:
                found.append((right, part.left))
        right = max(right, part.right)
    return found if len(found) > len(gutters) else gutters


def _columns_of(
    row: Sequence[Fragment], gutters: Sequence[tuple[float, float]]
) -> list[list[Fragment]]:
    cells: list[list[Fragment]] = [[] for _ in range(len(gutters) + 1)]
    for part in row:
        middle = (part.left + part.right) / 2
        cells[sum(middle > right for _, right in gutters)].append(part)
    return cells


def _is_table(band: Sequence[list[Fragment]], gutters: Sequence[tuple[float, float]]) -> bool:
    """Return whether aligned fragments are cells, not lines of running text in columns."""
    columns: list[list[Fragment]] = [[] for _ in range(len(gutters) + 1)]
    several = 0
    for row in band:
        cells = _columns_of(row, gutters)
        several += sum(map(bool, cells)) > 1
        for column, cell in zip(columns, cells, strict=True):
            if cell:
                column.append(line_of(cell))
    filled = sum(len(column) >= 2 for column in columns)
    if filled < max(2, len(columns) / 2) or not all(columns) or several < len(band) * 0.5:
        return False
    if len(columns) == 2 and any(_length(column) > _SHORT for column in columns):
        return False
    if len(columns) == 2 and not any(
        char.text.isalnum() for part in columns[0] for char in part.chars
    ):
        return False  # items of a list
    if all(label(part.text) for column in columns for part in column):
        return True
    return not all(map(is_running, columns)) and not _is_prose(band)


def _is_prose(band: Sequence[list[Fragment]]) -> bool:
    """Return whether what begins at the same places is running text, at whatever heights."""
    parts = sorted((part for row in band for part in row), key=lambda part: part.left)
    columns: list[list[Fragment]] = []
    for part in parts:
        if not columns or part.left - columns[-1][0].left > _INDENT * part.size:
            columns.append([])
        columns[-1].append(part)
    long = [column for column in columns if len(column) >= COLUMN_LINES]
    lengths = [(is_running(column), sum(len(part.chars) for part in column)) for column in long]
    running = [length for is_text, length in lengths if is_text]
    return len(running) > 1 and sum(running) >= _PROSE * sum(length for _, length in lengths)


def _is_head_of_one(band: Sequence[list[Fragment]], gutters: Sequence[tuple[float, float]]) -> bool:
    """Return whether two rows are the names of several columns and values, as on an invoice."""
    if len(band) < 2 or len(gutters) + 1 < COLUMNS_OF_ONE:
        return False
    cells = [texts_of(_columns_of(row, gutters)) for row in band]
    return all(cells[0]) and has_labels(cells) and not has_labels(cells[1:])


def _length(column: Sequence[Fragment]) -> float:
    return median(len(part.chars) for part in column)


def is_running(column: Sequence[Fragment]) -> bool:
    """Return whether the lines of a column fill it, as those of a paragraph do."""
    width = max(part.right for part in column) - min(part.left for part in column)
    shares = [(part.right - part.left) / width for part in column if width > 0]
    filled = len(shares) >= COLUMN_LINES and median(shares) >= _FULL
    return filled and _length(column) >= 8


def _broken_rows_joined(
    band: Sequence[list[Fragment]], cells: Sequence[list[list[Fragment]]]
) -> list[list[str]]:
    """Return the texts of cells by rows; lines that only the width of a cell broke are one row.

    Those stand closer to the line above than rows do, in some of the columns that it fills.
    """
    texts = list(map(texts_of, cells))
    bottoms = [min(part.bottom for part in row) for row in band]
    steps = [above - below for above, below in itertools.pairwise(bottoms)]
    closest = min(steps, default=0.0)
    if not steps or max(steps) < _ROW_APART * closest:
        return texts
    ends = [max((p.right for cell in column for p in cell), default=0.0)
            for column in zip(*cells, strict=True)]  # fmt: skip
    joined = [texts[0]]
    for at, step in enumerate(steps, 1):
        filled = [number for number, cell in enumerate(cells[at]) if cell]
        broken = step < _LINE_APART * closest and len(filled) < len(cells[at])
        if broken and all(_is_broken(cells[at - 1][number], ends[number]) for number in filled):
            for number in filled:
                joined[-1][number] = join(joined[-1][number], texts[at][number])
        else:
            joined.append(texts[at])
    return joined


def _is_broken(cell: Sequence[Fragment], end: float) -> bool:
    """Return whether the line of a cell is words that go on to the end of its column."""
    words = sum(char.text.isalpha() for part in cell for char in part.chars)
    return bool(cell) and words >= _FEWEST_WORDS and cell[-1].right > end - 2 * cell[-1].size


def _are_records(lines: Sequence[Sequence[str]]) -> bool:
    """Return whether columns have the same labels, as the signatures of two parties do."""
    labels = [{label(cell) for cell in row} for row in lines]
    alike = sum(len(row) == 1 and row != {""} for row in labels)
    return alike >= _SAME_LABELS and 2 * alike >= len(lines)


def _aligned_table(band: Sequence[list[Fragment]], gutters: Sequence[tuple[float, float]]) -> Table:
    lines = _broken_rows_joined(band, [_columns_of(row, gutters) for row in band])
    parts = [part for row in band for part in row]
    # Lists beside each other begin with an item, which names no column.
    set_off = all(part.bold for part in band[0]) and not all(part.bold for part in parts)
    listed = not set_off and not has_labels(lines)
    items = all(_ITEM.match(cell) for row in lines for cell in row if cell)
    if listed and (items or _are_records(lines)):
        lines = [[cell] for column in zip(*lines, strict=True) for cell in column if cell]
    return Table(
        lines,
        min(part.left for part in parts),
        max(part.right for part in parts),
        min(part.bottom for part in parts),
        max(part.top for part in parts),
        is_form=listed,
    )
