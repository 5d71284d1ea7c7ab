"""Two pages of an open book in one picture: the left one is read to its end before the right."""

from collections.abc import Sequence

from rag_app.documents.pdf.characters import Char
from rag_app.documents.pdf.lines import fragments, rows

_WIDE = 1.15
"""Width of the text, in heights, from which it may be that of two pages."""
_MIDDLE = (0.4, 0.6)
"""Share of the width within which the space between the pages lies."""
_SPACE = 0.04
"""The width of that space, as a share of the whole."""
_LINES, _LENGTH = 5, 8
"""Lines of each page at least, and the mean of their characters."""


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
