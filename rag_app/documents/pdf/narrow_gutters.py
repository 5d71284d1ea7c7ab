"""Columns that stand closer to each other than words do: the strip between them is long."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag_app.documents.pdf.lines import Fragment, rows

NARROW = 0.4
"""Least width of the space between such columns, in sizes of the text."""
NARROW_LINES = 8
"""Lines one below the other that leave the space free at least."""
_MOST_GUTTERS = 3
"""Gutters of a line; more are spaces between words, as logs have in common, or among leaders."""
_APART = 3.0  # sizes between two of these lines at most


@dataclass
class _Strip:
    """A free strip, in points, and the last line that leaves it free."""

    left: float
    right: float
    first: int
    last: int
    count: int


def cut_at_gutters(parts: list[Fragment]) -> list[Fragment]:
    """Return fragments, those that reach over a gutter in two."""
    lines = rows(parts)
    cuts: dict[int, list[float]] = {}
    for strip in _strips(lines):
        for number in range(strip.first, strip.last + 1):
            cuts.setdefault(number, []).append((strip.left + strip.right) / 2)
    cuts = {number: places for number, places in cuts.items() if len(places) <= _MOST_GUTTERS}
    if not cuts:
        return parts
    return [piece for number, line in enumerate(lines) for part in line
            for piece in _pieces(part, cuts.get(number, ()))]  # fmt: skip


def _strips(lines: Sequence[Sequence[Fragment]]) -> Iterator[_Strip]:
    """Yield strips that enough lines, one below the other, leave free."""
    open_strips: list[_Strip] = []
    for number, line in enumerate(lines):
        chars = [char for part in line for char in part.chars]
        gaps = [
            (before.right, after.left)
            for before, after in itertools.pairwise(chars)
            if after.left - before.right > NARROW * after.size
        ]
        least = NARROW * line[0].size
        going_on: list[_Strip] = []
        for strip in open_strips:
            above = lines[strip.last][0]
            near = above.bottom - line[0].top < _APART * line[0].size
            shared = [(max(strip.left, left), min(strip.right, right)) for left, right in gaps]
            free = [(left, right) for left, right in shared if right - left > least]
            if near and free:
                left, right = free[0]
                going_on.append(_Strip(left, right, strip.first, number, strip.count + 1))
            elif near and (line[-1].right < strip.left or line[0].left > strip.right):
                going_on.append(strip)  # a line of one of the columns alone
            elif strip.count >= NARROW_LINES:
                yield strip
        known = [(strip.left, strip.right) for strip in going_on]
        open_strips = going_on + [
            _Strip(left, right, number, number, 1)
            for left, right in gaps
            if not any(left < end and right > start for start, end in known)
        ]
    yield from (strip for strip in open_strips if strip.count >= NARROW_LINES)


def _pieces(part: Fragment, cuts: Sequence[float]) -> Iterator[Fragment]:
    inside = sorted(x for x in cuts if part.left < x < part.right)
    for _, group in itertools.groupby(part.chars, lambda char: sum(char.left > x for x in inside)):
        yield Fragment(list(group))
