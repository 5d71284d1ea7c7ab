"""Tables with lines around their cells."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag_app.documents.pdf.characters import Char, Space
from rag_app.documents.pdf.lines import fragments, join, line_of, rows
from rag_app.documents.pdf.rules import Grid
from rag_app.documents.tables.cells import Covered

_FRAMED = 60
"""Characters above which the only cell of a row is running text in a frame."""
COLUMNS_OF_ONE = 4
"""Columns of a table of one row under its head, without lines around its cells."""
_TOUCHING = 0.03
"""Distance, in sizes of the text, of letters of one word; those of two cells are farther apart."""
_BROKEN = 0.8
"""Share of its cell's width that a line fills which that width broke."""
_SENTENCE = 12
"""Characters of such a line at least; numbers and names may fill narrow cells."""
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
        table = Table([], grid.xs[0], grid.xs[-1], bottom, top, is_form=_is_irregular(part, cells))
        table.rows = _form_rows(part, cells) if table.is_form else _table_rows(part, texts, across)
        tables.append(table)
    if len(texts) < 2:
        return [], set()
    return [table for table in tables if any(map(any, table.rows))], taken


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
    """Return the rows of a row whose cells all have as many lines, side by side; [] if not so.

    Where the width of a cell breaks its text, its lines are one value.
    """
    lines = [[line_of(row) for row in rows(fragments(cell))] for cell in cells]
    counts = {len(cell) for cell in lines if cell}
    if len(counts) != 1 or counts == {1} or sum(map(bool, lines)) < 2:
        return []
    level = [
        max(line.bottom for line in side) - min(line.bottom for line in side) < 0.3 * side[0].size
        for side in zip(*(cell for cell in lines if cell), strict=True)
    ]
    broken = any(
        line.right - line.left > _BROKEN * width and len(line.chars) >= _SENTENCE
        for cell, width in zip(lines, widths, strict=True)
        for line in cell[:-1]
    )
    if broken or not all(level):
        return []
    return [[cell[number].text if cell else "" for cell in lines] for number in range(counts.pop())]


def cell_text(chars: Sequence[Char]) -> str:
    """Return the lines of a cell as one."""
    text = ""
    for row in rows(fragments(chars)):
        text = join(text, line_of(row).text) if text else line_of(row).text
    return text
