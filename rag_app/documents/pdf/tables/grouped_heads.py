"""Heads of two rows above tables without lines: names that come again under the name of a group."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import NamedTuple

from rag_app.documents.pdf.lines import Fragment, join, line_of
from rag_app.documents.tables.cells import VALUE

_ROWS_ABOVE = 2  # rows that may stand between the names of columns and those of groups, and one
_NEAR = 3.0  # sizes of the text between the first and the last row of a head
_YEAR = re.compile(r"(?:19|20)\d\d(?!\d)")
_MOST_UNGROUPED = 3  # columns on the left that are in no group

ColumnsOf = Callable[[Sequence[Fragment]], list[list[Fragment]]]
"""Returns the fragments of a row by the columns of its table."""


class GroupedHead(NamedTuple):
    """The first and the last row of a head, by their places on a page, and what it says."""

    first: int
    last: int
    names: list[str]
    """Of the columns, each with its group's."""


def grouped_head(
    lines: Sequence[Sequence[Fragment]], start: int, columns_of: ColumnsOf
) -> GroupedHead | None:
    """Return the head of a table that begins at ``start`` among the rows of a page."""
    for last in range(start, min(start + _ROWS_ABOVE + 1, len(lines))):
        cells = columns_of(lines[last])
        for ungrouped, groups in _repeated(texts_of(cells)):
            spans = _spans(cells[ungrouped:], groups)
            for first in range(last - 1, max(last - 1 - _ROWS_ABOVE, -1), -1):
                near = lines[first][0].bottom - lines[last][0].top < _NEAR * lines[last][0].size
                if near and _stand_over(lines[first], spans):
                    between = [texts_of(columns_of(line)) for line in lines[first + 1 : last + 1]]
                    if first >= start and any(any(row[ungrouped:]) for row in between[:-1]):
                        continue  # a head of three rows, which tables have in them
                    names = [reduce(join, [*filter(None, column)] or [""])
                             for column in zip(*between, strict=True)]  # fmt: skip
                    width = (len(cells) - ungrouped) // groups
                    over = [part.text for part in lines[first] for _ in range(width)]
                    under = zip(over, names[ungrouped:], strict=True)
                    joined = [f"{group}/{name}" for group, name in under]
                    return GroupedHead(first, last, [*names[:ungrouped], *joined])
    return None


def texts_of(cells: Sequence[Sequence[Fragment]]) -> list[str]:
    """Return the texts of the cells of a row."""
    return [line_of(cell).text if cell else "" for cell in cells]


def _repeated(names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield how many columns are in no group, and how many groups have the rest of the names."""
    for ungrouped in range(min(_MOST_UNGROUPED, len(names) - 2) + 1):
        rest = list(names[ungrouped:])
        for groups in range(2, len(rest) + 1):
            width, over = divmod(len(rest), groups)
            named = all(text and (_YEAR.match(text) or not VALUE.fullmatch(text)) for text in rest)
            if not over and named and rest == rest[:width] * groups:
                yield ungrouped, groups


def _spans(cells: Sequence[Sequence[Fragment]], groups: int) -> list[tuple[float, float]]:
    """Return where the columns of each group begin and end."""
    width = len(cells) // groups
    return [
        (cells[at][0].left - cells[at][0].size, cells[at + width - 1][-1].right + cells[at][0].size)
        for at in range(0, len(cells), width)
    ]


def _stand_over(row: Sequence[Fragment], spans: Sequence[tuple[float, float]]) -> bool:
    """Return whether a row is the names of groups: one over each, all of them different."""
    names = [part.text for part in row]
    named = all(_YEAR.match(name) or not VALUE.fullmatch(name) for name in names)
    return (
        named
        and len(spans) == len(row) == len(set(names))
        and all(
            left <= (part.left + part.right) / 2 <= right
            for part, (left, right) in zip(row, spans, strict=True)
        )
    )
