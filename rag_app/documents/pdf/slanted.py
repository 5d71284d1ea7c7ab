"""Text that stands aslant on a PDF page: watermarks, and the words around a stamp."""

import itertools
import math
from collections.abc import Iterator, Sequence

from rag_app.documents.pdf.characters import Char, Space

_SLANTED = math.radians(4)
"""Angle from which text is no longer level; scans are turned by less."""
_NEAR = 2.5
"""Sizes between the middles of characters of one line."""
_FEW = 2
"""Characters of a curved line that happen to stand level."""
_MOST = 0.5
"""Share of a page above which the page itself stands aslant."""
_GAP = 0.9
"""Width of a space, in sizes."""


def quarter_of(angle: float) -> tuple[int, bool]:
    """Return by how many quarters text is turned, given its angle in radians, and if it slants."""
    quarters = angle / (math.pi / 2) if angle >= 0 else 0.0
    slant = abs(quarters - round(quarters)) * math.pi / 2
    return round(quarters) % 4, slant > _SLANTED


def slanted_lines(chars: Sequence[Char], slants: Sequence[bool]) -> list[list[int]]:
    """Return the places of characters, in the order in which they are drawn, of slanted lines.

    None of single characters, nor where they are most of the page.
    """
    lines: list[list[int]] = []
    for is_slanted, group in itertools.groupby(range(len(chars)), slants.__getitem__):
        places = list(group)
        if is_slanted:
            for at in places:
                if lines and at - lines[-1][-1] == 1 and _are_near(chars[lines[-1][-1]], chars[at]):
                    lines[-1].append(at)
                else:
                    lines.append([at])
        elif lines and len(places) <= _FEW and places[-1] + 1 < len(chars):
            around = [lines[-1][-1], *places, places[-1] + 1]
            near = (_are_near(chars[a], chars[b]) for a, b in itertools.pairwise(around))
            if places[0] - lines[-1][-1] == 1 and all(near):
                lines[-1] += places
    lines = [line for line in lines if len(line) > 1]
    return lines if sum(map(len, lines)) <= _MOST * len(chars) else []


def level(chars: Sequence[Char]) -> Iterator[Char]:
    """Yield the characters of a slanted line side by side, at the middle of where they stand."""
    left = min(char.left for char in chars)
    bottom = sum(char.middle for char in chars) / len(chars) - chars[0].size / 2
    for char in chars:
        left += _GAP * char.size if char.spaced is Space.WRITTEN else 0.0
        right = left + char.size
        yield char._replace(left=left, right=right, bottom=bottom, top=bottom + char.size)
        left = right


def _are_near(first: Char, second: Char) -> bool:
    across = (first.left + first.right - second.left - second.right) / 2
    return math.hypot(across, first.middle - second.middle) < _NEAR * max(first.size, second.size)
