"""The order in which the parts of a page are read: tables, columns, and what is across them."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from rag_app.documents.pdf.characters import Char, Space
from rag_app.documents.pdf.lines import Fragment, fragments, join, line_of, rows
from rag_app.documents.pdf.rules import Edge, Grid, grids
from rag_app.documents.tables.cells import Covered
from rag_app.documents.tables.heads import has_labels

_ITEM = re.compile(r"[•·●■◆○▪➢✓*–-]\s*\w|[（(]?(?:\d{1,2}|[一二三四五六七八九十]{1,3})[.、)）]\D")
"""How the items of a list begin, which is read to its end before the one beside it."""
_FIELD = re.compile(r"[^:：\d]{1,12}[:：]")
"""How a label begins that its value follows on the same line."""
_GUTTER = 0.9
"""Least width of the space between columns, in sizes of the text."""
_COLUMN_LINES = 3
"""Lines that each side of a gutter has at least."""
_FULL = 0.7
"""Share of a column's width that lines of running text fill; cells of a table are shorter."""
_FRAMED = 60
"""Characters above which the only cell of a row is running text in a frame."""
_SHORT = 20
"""Usual length of a cell, in characters, in a table of two columns without lines around them."""
_TABLE_ROWS = 3
"""Rows of a table without lines around its cells."""
_TOUCHING = 0.03
"""Distance, in sizes of the text, of letters of one word; those of two cells are farther apart."""
_IRREGULAR = 2.0
"""Places of a grid that a cell with text covers in its row above which the grid is a form's."""
_NAMELESS = 1.2
"""The same where none of the first rows has a cell of its own for each column."""
_HEAD_ROWS = 3
_REPEATED = 4.0
"""The same by their text, downwards too: a long text that covers most rows is beside no column."""


@dataclass
class Table:
    """Cells by rows; a merged cell's text is in each place that it covers, once in a form."""

    rows: list[list[str]]
    left: float
    right: float
    bottom: float
    top: float
    is_form: bool = False
    """True where no row is the head of what is below it."""


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
        tables, taken = _ruled_tables(grid, inside)
        ruled += tables
        rest = [char for char in rest if id(char) not in taken]
    parts = fragments(rest)
    aligned, parts = _aligned_tables(parts)
    return _ordered(parts, [*ruled, *aligned])


def _ruled_tables(grid: Grid, chars: Sequence[Char]) -> tuple[list[Table], set[int]]:
    """Return the tables of a grid, and the identities of the characters in them.

    Running text in a frame is not a cell: it parts the table above it from the one below.
    """
    texts: dict[int, list[Char]] = {}
    before: Char | None = None
    cell = 0
    for char in chars:
        if before is None or not _is_in_word(before, char):  # a word may hang over its cell's edge
            column = max(sum((char.left + char.right) / 2 >= x for x in grid.xs) - 1, 0)
            row = max(sum(char.middle <= y for y in grid.ys) - 1, 0)
            places = grid.cells[min(row, len(grid.cells) - 1)]
            cell = places[min(column, len(places) - 1)]
        texts.setdefault(cell, []).append(char)
        before = char
    cells = {cell: cell_text(inside) for cell, inside in texts.items()}
    tables: list[Table] = []
    taken: set[int] = set()
    framed = [len(set(row)) == 1 and len(cells.get(row[0], "")) > _FRAMED for row in grid.cells]
    for is_framed, group in itertools.groupby(range(len(grid.cells)), framed.__getitem__):
        if is_framed:
            continue
        numbers = list(group)
        top, bottom = grid.ys[numbers[0]], grid.ys[numbers[-1] + 1]
        part = [row for row, _ in itertools.groupby(grid.cells[number] for number in numbers)]
        taken.update(id(char) for row in part for cell in row for char in texts.get(cell, ()))
        table = Table([], grid.xs[0], grid.xs[-1], bottom, top, is_form=_is_irregular(part, cells))
        table.rows = _form_rows(part, cells) if table.is_form else _table_rows(part, texts)
        tables.append(table)
    if len(texts) < 2:
        return [], set()
    return [table for table in tables if any(map(any, table.rows))], taken


def _is_in_word(before: Char, char: Char) -> bool:
    """Return whether a letter touches the one before it."""
    if char.spaced is not Space.NONE:
        return False
    touches = abs(char.left - before.right) < _TOUCHING * char.size
    level = abs(char.bottom - before.bottom) < _TOUCHING * char.size
    return touches and level and before.text.isalpha() and char.text.isalpha()


def _is_irregular(grid_rows: Sequence[tuple[int, ...]], cells: Mapping[int, str]) -> bool:
    """Return whether the lines of a grid are those of a form or a drawing, not columns."""
    across = [
        len(list(group))
        for row in grid_rows
        for cell, group in itertools.groupby(row)
        if cells.get(cell)
    ]
    written = sum(len(cells.get(cell, "")) for row in grid_rows for cell in row)
    length = sum(len(cells.get(cell, "")) for cell in {cell for row in grid_rows for cell in row})
    if sum(across) > _IRREGULAR * len(across) or written > _REPEATED * length:
        return True
    staggered = _staggered(grid_rows, cells)
    several = [set(row) for row in grid_rows if len(set(row)) > 1]
    width = len(set(zip(*grid_rows, strict=True)))
    if any(len(row) == width and not row & staggered for row in several[:_HEAD_ROWS]):
        return False  # each column has a name
    return bool(staggered) or sum(across) > _NAMELESS * len(across)


def _staggered(grid_rows: Sequence[tuple[int, ...]], cells: Mapping[int, str]) -> set[int]:
    """Return the cells that end beside the middle of one that begins beside theirs, and those."""
    spans: dict[int, tuple[int, int]] = {}
    for number, row in enumerate(grid_rows):
        for cell in filter(cells.get, row):
            spans[cell] = (spans.get(cell, (number, number))[0], number)
    places = set(spans.values())
    crossing = {
        place
        for first, last in places
        for start, end in places
        if first < start <= last < end
        for place in ((first, last), (start, end))
    }
    return {cell for cell, place in spans.items() if place in crossing}


def _form_rows(grid_rows: Sequence[tuple[int, ...]], cells: Mapping[int, str]) -> list[list[str]]:
    """Return each cell of a form once, in the row in which it begins."""
    done: set[int] = set()
    found = []
    for row in grid_rows:
        found.append([cells.get(cell, "") for cell in dict.fromkeys(row) if cell not in done])
        done.update(row)
    return [row for row in found if any(row)]


def _table_rows(
    grid_rows: Sequence[tuple[int, ...]], texts: Mapping[int, Sequence[Char]]
) -> list[list[str]]:
    """Return the rows of a table, without columns whose cells are all merged with those before."""
    columns = [
        at
        for at in range(len(grid_rows[0]))
        if not at or any(row[at] != row[at - 1] for row in grid_rows)
    ]
    found: list[list[str]] = []
    for row in grid_rows:
        parts = [texts.get(row[at], []) for at in columns]
        if len(set(row)) == 1:
            found.append([cell_text(parts[0])])
            continue
        merged = [at > 0 and row[columns[at]] == row[columns[at - 1]] for at in range(len(columns))]
        for cells in _split_row(parts) or [[cell_text(part) for part in parts]]:
            pairs = zip(cells, merged, strict=True)
            found.append([Covered(cell) if covered else cell for cell, covered in pairs])
    return found


def _split_row(cells: Sequence[Sequence[Char]]) -> list[list[str]]:
    """Return the rows of a row whose cells all have as many lines, side by side; [] if not so."""
    lines = [[line_of(row) for row in rows(fragments(cell))] for cell in cells]
    counts = {len(cell) for cell in lines if cell}
    if len(counts) != 1 or counts == {1} or sum(map(bool, lines)) < 2:
        return []
    level = [
        max(line.bottom for line in side) - min(line.bottom for line in side) < 0.3 * side[0].size
        for side in zip(*(cell for cell in lines if cell), strict=True)
    ]
    if not all(level):
        return []
    return [[cell[number].text if cell else "" for cell in lines] for number in range(counts.pop())]


def cell_text(chars: Sequence[Char]) -> str:
    """Return the lines of a cell as one."""
    text = ""
    for row in rows(fragments(chars)):
        text = join(text, line_of(row).text) if text else line_of(row).text
    return text


def _aligned_tables(parts: list[Fragment]) -> tuple[list[Table], list[Fragment]]:
    """Return tables whose cells are only aligned, and the fragments that are in none."""
    tables: list[Table] = []
    taken: set[int] = set()
    lines = rows(parts)
    start = 0
    while start < len(lines):
        stop, gutters = _band(lines, start)
        below = _below_fields(lines[start:stop])
        if below:
            start += below
            continue
        band = lines[start:stop]
        if len(band) >= _TABLE_ROWS and _is_table(band, gutters):
            more = _all_gutters(band, gutters)
            tables.append(_aligned_table(band, more if _is_table(band, more) else gutters))
            taken.update(id(part) for row in band for part in row)
            start = stop
        else:
            start += 1
    return tables, [part for part in parts if id(part) not in taken]


def _below_fields(band: Sequence[list[Fragment]]) -> int:
    """Return how many rows of labels with their values stand above a table, which has none."""
    fields = [all(_FIELD.match(part.text) for part in row) for row in band]
    count = next((at for at, is_field in enumerate(fields) if not is_field), len(band))
    return count if count and not any(fields[count:]) and len(band) - count >= _TABLE_ROWS else 0


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
        stop -= 1
    return stop, gutters


def _gaps(row: Sequence[Fragment]) -> list[tuple[float, float]]:
    return [
        (before.right, after.left)
        for before, after in itertools.pairwise(row)
        if after.left - before.right > _GUTTER * after.size
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
        strip = (right, part.left)
        rows_with = sum(any(a <= strip[0] and strip[1] <= b for a, b in row) for row in gaps)
        if strip[1] - strip[0] > 0.6 * part.size and rows_with > 1:
            found.append(strip)
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
    return not all(map(_is_running, columns))


def _length(column: Sequence[Fragment]) -> float:
    return median(len(part.chars) for part in column)


def _is_running(column: Sequence[Fragment]) -> bool:
    """Return whether the lines of a column fill it, as those of a paragraph do."""
    width = max(part.right for part in column) - min(part.left for part in column)
    shares = [(part.right - part.left) / width for part in column if width > 0]
    filled = len(shares) >= _COLUMN_LINES and median(shares) >= _FULL
    return filled and _length(column) >= 8


def _aligned_table(band: Sequence[list[Fragment]], gutters: Sequence[tuple[float, float]]) -> Table:
    lines = [
        [line_of(cell).text if cell else "" for cell in _columns_of(row, gutters)] for row in band
    ]
    parts = [part for row in band for part in row]
    # Lists beside each other begin with an item, which names no column.
    set_off = all(part.bold for part in band[0]) and not all(part.bold for part in parts)
    listed = not set_off and not has_labels(lines)
    if listed and all(_ITEM.match(cell) for row in lines for cell in row if cell):
        lines = [[cell] for column in zip(*lines, strict=True) for cell in column if cell]
    return Table(
        lines,
        min(part.left for part in parts),
        max(part.right for part in parts),
        min(part.bottom for part in parts),
        max(part.top for part in parts),
        is_form=listed,
    )


def _ordered(parts: Sequence[Fragment], tables: Sequence[Table]) -> list[Block | Table]:
    """Return fragments and tables in reading order: column after column, from the top."""
    items: list[Fragment | Table] = [*parts, *tables]
    return [block for region in _regions(items, depth=0) for block in _stacked(region)]


def _regions(items: Sequence[Fragment | Table], depth: int) -> Iterator[list[Fragment | Table]]:
    """Yield the columns of a region in reading order, and what is across them."""
    cut = _best_gutter(items) if depth < 8 and len(items) >= 2 * _COLUMN_LINES else None
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
        left, right = place + 0.5, place + 0.5 + _GUTTER * size
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
        if not (_is_column(before) and _is_column(after)):
            continue
        top = min(max(i.top for i in before), max(i.top for i in after))
        bottom = max(min(i.bottom for i in before), min(i.bottom for i in after))
        if top <= bottom:
            continue
        score = min(len(before), len(after)) * 1000 + len(inside)
        if best is None or score > best[0]:
            best = (score, (left + right) / 2, floor, lower)
    return best


def _is_column(items: Sequence[Fragment | Table]) -> bool:
    lines = [line_of(row) for row in rows(i for i in items if isinstance(i, Fragment))]
    return len(lines) >= _COLUMN_LINES and _is_running(lines)


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
