"""Text that stands aslant on a PDF page: watermarks, and the words around a stamp."""

import itertools
import math
from collections.abc import Iterator, Sequence

from rag_app.documents.pdf.characters import Char, Space

_SLANTED = math.radians(4)  # angle from which text is no longer level; scans are turned by less
_NEAR = 2.5  # sizes between the middles of characters of one line
_FEW = 2  # characters of a curved line that happen to stand level
_LABELS = 3
"""Lines, no two of which say the same, that begin or end at one height: the names of columns."""
_MOST = 0.5  # share of a page above which the page itself stands aslant
_GAP = 0.9  # width of a space, in sizes


def quarter_of(angle: float) -> tuple[int, bool]:
    """Return by how many quarters text is turned, given its angle in radians, and if it slants."""
    quarters = angle / (math.pi / 2) if angle >= 0 else 0.0
    slant = abs(quarters - round(quarters)) * math.pi / 2
    return round(quarters) % 4, slant > _SLANTED


def slanted_lines(chars: Sequence[Char], slants: Sequence[bool]) -> list[list[int]]:
    """Return the places of characters, in the order in which they are drawn, of slanted lines.

    None of single characters or the names of columns, nor where they are most of the page.
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
    labels = _labels(lines, [min(chars[at].bottom for at in line) for line in lines], chars)
    labels |= _labels(lines, [max(chars[at].top for at in line) for line in lines], chars)
    lines = [line for at, line in enumerate(lines) if len(line) > 1 and at not in labels]
    return lines if sum(map(len, lines)) <= _MOST * len(chars) else []


def _labels(
    lines: Sequence[list[int]], heights: Sequence[float], chars: Sequence[Char]
) -> set[int]:
    """Return the numbers of the lines that are the names of columns, in a table or a chart."""
    found: set[int] = set()
    level: list[int] = []
    for number in (*sorted(range(len(lines)), key=heights.__getitem__), None):
        if level and (number is None or heights[number] - heights[level[-1]] > 1):
            texts = {"".join(chars[at].text for at in lines[each]) for each in level}
            if len(texts) == len(level) >= _LABELS:
                found.update(level)
            level = []
        level += [] if number is None else [number]
    return found


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
