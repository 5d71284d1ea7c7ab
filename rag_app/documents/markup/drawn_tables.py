"""Tables that are drawn in characters, with merged cells."""

from collections.abc import Sequence
from unicodedata import east_asian_width

from rag_app.documents.tables.cells import Continued, Covered

_FILLER = "\0"
"""The second column of a wide character."""


def grid_rows(lines: Sequence[str]) -> list[list[str]]:
    """Return the rows of a grid of ``+``, ``-`` and ``|``; [] if its lines don't meet.

    Source: docutils, reStructuredText's grid tables; wide characters take two columns.

    Example:
        >>> grid_rows(["+---+---+", "| A | B |", "|   +---+", "|   | C |", "+---+---+"])
        [['A', 'B'], ['A', 'C']]
    """
    spread = [_spread(line.strip()) for line in lines]
    width = len(spread[0])
    if any(len(line) != width for line in spread):
        return []
    ys = [at for at, line in enumerate(spread) if "+-" in line or "+=" in line]
    xs = sorted({at for y in ys for at, char in enumerate(spread[y]) if char == "+"})
    rows: list[list[str]] = [[""] * (len(xs) - 1) for _ in ys[1:]]
    filled: set[tuple[int, int]] = set()
    for row in range(len(rows)):
        for column in range(len(xs) - 1):
            if (row, column) in filled:
                continue
            right = _end_across(spread, xs, column, ys[row] + 1)
            bottom = _end_down(spread, ys, row, xs[column] + 1)
            if not right or not bottom:
                return []
            parts = (line[xs[column] + 1 : xs[right]] for line in spread[ys[row] + 1 : ys[bottom]])
            text = " ".join(filter(None, (part.replace(_FILLER, "").strip() for part in parts)))
            for y in range(row, bottom):
                for x in range(column, right):
                    kind = Covered if x > column else Continued if y > row else str
                    rows[y][x] = kind(text)
                    filled.add((y, x))
    return rows


def _spread(line: str) -> str:
    """Return a line whose characters each stand in their column."""
    return "".join(char + _FILLER * (east_asian_width(char) in "WF") for char in line)


def _end_across(spread: Sequence[str], xs: Sequence[int], column: int, y: int) -> int:
    """Return at which of the places a cell ends, 0 if nowhere."""
    places = range(column + 1, len(xs))
    return next((at for at in places if spread[y][xs[at]] in "|+"), 0)


def _end_down(spread: Sequence[str], ys: Sequence[int], row: int, x: int) -> int:
    places = range(row + 1, len(ys))
    return next((at for at in places if spread[ys[at]][x] in "-="), 0)
