"""Tables with lines around their cells."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from rag_app.documents.pdf.characters import Char, Space
from rag_app.documents.pdf.lines import Fragment, fragments, join_in_cell, line_of, rows
from rag_app.documents.pdf.rules import Grid
from rag_app.documents.tables.cells import Covered

_FRAMED = 60  # characters above which the only cell of a row is running text in a frame
COLUMNS_OF_ONE = 4
"""Columns of a table of one row under its head, without lines around its cells."""
_TOUCHING = 0.03
"""Distance, in sizes of the text, of letters of one word; those of two cells are farther apart."""
_BROKEN = 0.8  # share of its cell's width that a line fills which that width broke
_SENTENCE = 12  # characters of such a line at least; numbers and names may fill narrow cells
_NUMBER = re.compile(r"[¥￥$€(-]*\d[\d.,]*[%)]*")
_NAME = re.compile(r"[^\d=]+")
_IRREGULAR = 2.0
"""Places of a grid that a cell with text covers in its row above which the grid is a form's."""
_NAMELESS = 1.2  # the same where none of the first rows has a cell of its own for each column
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


def ruled_tables(grid: Grid, chars: Sequence[Char]) -> tuple[list[Table], set[int]]:
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
    framed = [
        len(set(row)) == 1
        and (len(cells.get(row[0], "")) > _FRAMED or _holds_columns(texts.get(row[0], ())))
        for row in grid.cells
    ]
    across = [right - left for left, right in itertools.pairwise(grid.xs)]
    for is_framed, group in itertools.groupby(range(len(grid.cells)), framed.__getitem__):
        if is_framed:
            continue
        numbers = list(group)
        top, bottom = grid.ys[numbers[0]], grid.ys[numbers[-1] + 1]
        part = [row for row, _ in itertools.groupby(grid.cells[number] for number in numbers)]
        taken.update(id(char) for row in part for cell in row for char in texts.get(cell, ()))
        is_irregular = _is_irregular(part, cells)
        for is_form, some in _form_parts(part, texts) if is_irregular else [(False, part)]:
            table = Table([], grid.xs[0], grid.xs[-1], bottom, top, is_form=is_form)
            table.rows = _form_rows(some, cells) if is_form else _table_rows(some, texts, across)
            tables.append(table)
    if len(texts) < 2:
        return [], set()
    return [table for table in tables if any(map(any, table.rows))], taken


def _form_parts(
    grid_rows: Sequence[tuple[int, ...]], texts: Mapping[int, Sequence[Char]]
) -> Iterator[tuple[bool, list[tuple[int, ...]]]]:
    """Yield the parts of a form, and False for those that are tables, as an invoice's items are.

    Between these there are no lines; their head stands among them, or above in cells as wide.
    """
    lines = [[_lines_of(texts.get(cell, ())) for cell in dict.fromkeys(row)] for row in grid_rows]
    listed = [len(row) >= COLUMNS_OF_ONE and bool(_rows_of_numbers(row)) for row in lines]
    edges = [[left == right for left, right in itertools.pairwise(row)] for row in grid_rows]
    for at in range(len(grid_rows) - 1):
        listed[at] |= listed[at + 1] and edges[at] == edges[at + 1]
    for is_listed, group in itertools.groupby(range(len(grid_rows)), listed.__getitem__):
        yield not is_listed, [grid_rows[at] for at in group]


def _lines_of(cell: Sequence[Char]) -> list[Fragment]:
    return [line_of(row) for row in rows(fragments(cell))]


def _holds_columns(chars: Sequence[Char]) -> bool:
    """Return whether a frame is around rows of several columns, which no lines part."""
    return sum(len(line) >= COLUMNS_OF_ONE for line in rows(fragments(chars))) > 1


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
    grid_rows: Sequence[tuple[int, ...]],
    texts: Mapping[int, Sequence[Char]],
    across: Sequence[float],
) -> list[list[str]]:
    """Return the rows of a table, without columns whose cells are all merged with those before.

    Args:
        grid_rows: The cell at each place of the grid, by rows.
        texts: Cell → its characters.
        across: The width of each column of the grid.
    """
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
        widths = [sum(wide for cell, wide in zip(row, across, strict=True) if cell == row[at])
                  for at in columns]  # fmt: skip
        for cells in _split_row(parts, widths) or [[cell_text(part) for part in parts]]:
            pairs = zip(cells, merged, strict=True)
            found.append([Covered(cell) if covered else cell for cell, covered in pairs])
    return found


def _split_row(cells: Sequence[Sequence[Char]], widths: Sequence[float]) -> list[list[str]]:
    """Return the rows of a row whose cells have lines side by side; [] if it is one row.

    Where the width of a cell breaks its text, its lines are one value.
    """
    lines = [_lines_of(cell) for cell in cells]
    counts = {len(cell) for cell in lines if cell}
    if counts <= {1} or sum(map(bool, lines)) < 2 or _holds_entries(lines):
        return []
    if len(counts) > 1:
        return _rows_of_numbers(lines)
    level = all(
        max(line.bottom for line in side) - min(line.bottom for line in side) < 0.3 * side[0].size
        for side in zip(*(cell for cell in lines if cell), strict=True)
    )
    broken = any(
        line.right - line.left > _BROKEN * width and len(line.chars) >= _SENTENCE
        for cell, width in zip(lines, widths, strict=True)
        for line in cell[:-1]
    )
    if broken or not level:
        return []
    return [[cell[at].text if cell else "" for cell in lines] for at in range(counts.pop())]


def _holds_entries(lines: Sequence[Sequence[Fragment]]) -> bool:
    """Return whether cells hold a number with words below, as the days of a calendar do."""
    filled = [cell for cell in lines if cell]
    return all(
        _NUMBER.fullmatch(cell[0].text)
        and not any(_NUMBER.fullmatch(line.text) for line in cell[1:])
        for cell in filled
    )


def _rows_of_numbers(lines: Sequence[Sequence[Fragment]]) -> list[list[str]]:
    """Return the rows of a row in several of whose cells numbers stand one below the other.

    So do the items of invoices, between which there are no lines. [] if it is no such row.
    """
    listed = [
        all(_NUMBER.fullmatch(line.text) for line in cell[1:])
        for cell in lines
        if len(cell) > 1 and _NAME.fullmatch(cell[0].text)
    ]
    if sum(listed) < 2:
        return []
    found: list[list[str]] = []
    for row in rows(line for cell in lines for line in cell):
        texts = [" ".join(line.text for line in row if line in cell) for cell in lines]
        filled = [at for at, text in enumerate(texts) if text]
        if found and len(filled) == 1 and not _NUMBER.fullmatch(texts[filled[0]]):
            found[-1][filled[0]] = join_in_cell(found[-1][filled[0]], texts[filled[0]])
        else:
            found.append(texts)
    return found


def cell_text(chars: Sequence[Char]) -> str:
    """Return the lines of a cell as one."""
    return reduce(join_in_cell, [line.text for line in _lines_of(chars)] or [""])
