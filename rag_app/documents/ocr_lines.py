"""Lines that were found in a picture, and their characters where they stand on its page."""

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from rag_app.documents.pdf.characters import Char, Space, upright
from rag_app.documents.text import is_wide

_ALIKE = 0.35  # share by which lines differ in height though their text is of one size
_TALLER = 1.12
_WIDER = 1.2
"""Height and width of its characters, in usual ones, above which a line is of larger text."""


class Line(NamedTuple):
    """A line, read or not yet, and where it is."""

    text: str
    score: float
    corners: tuple[tuple[float, float], ...]
    """From the upper left one clockwise, in pixels, y downwards."""

    @property
    def width(self) -> float:
        """Its length, in pixels."""
        return math.dist(self.corners[0], self.corners[1])

    @property
    def height(self) -> float:
        """Its height, in pixels."""
        return math.dist(self.corners[0], self.corners[3])

    @property
    def pitch(self) -> float:
        """Width of a Chinese character, or of two Latin ones."""
        return 2 * self.width / sum(_widths(self.text))


def _widths(text: str) -> list[int]:
    return [2 if is_wide(char) else 1 for char in text]


def skew(lines: Sequence[Line]) -> float:
    """Return by how many radians the lines of a page rise to the right."""
    angles = [
        math.atan2(line.corners[0][1] - line.corners[1][1], line.corners[1][0] - line.corners[0][0])
        for line in lines
        if line.width > 3 * line.height
    ]
    return median(angles) if angles else 0.0


def sizes_of(lines: Sequence[Line], *, downwards: bool) -> list[float]:
    """Return the size of each line's text; where lines are found differs more than their sizes."""
    if not lines:
        return []
    if downwards:
        return [median(line.width for line in lines)] * len(lines)
    height, pitch = (median(getattr(line, name) for line in lines) for name in ("height", "pitch"))
    sizes = []
    for line in lines:
        larger = line.height > _TALLER * height and line.pitch > _WIDER * pitch
        if abs(line.height - height) >= _ALIKE * height:
            sizes.append(0.8 * line.height)
        else:
            sizes.append(0.8 * height * (line.pitch / pitch if larger else 1))
    return sizes


def characters_of(line: Line, angle: float, height: int, turn: str, size: float) -> list[Char]:
    """Return the characters of a line, its length shared among them by their usual widths."""
    cos, sin = math.cos(angle), math.sin(angle)
    points = [
        (x * cos - (height - y) * -sin, (height - y) * cos - x * sin) for x, y in line.corners
    ]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    bottom, top = min(y for _, y in points), max(y for _, y in points)
    if turn:
        step = (top - bottom) / len(line.text)
        down = [
            Char(char, left, top - (n + 1) * step, right, top - n * step, size)
            for n, char in enumerate(line.text)
        ]
        return [upright(char) for char in down if not char.text.isspace()]
    widths = _widths(line.text)
    step = (right - left) / sum(widths)
    found: list[Char] = []
    at, before = left, ""
    for char, width in zip(line.text, widths, strict=True):
        if not char.isspace():
            # What looks like a space beside a mark is the mark's own width.
            parted = before.isspace() and char.isalnum() and found and found[-1].text.isalnum()
            spaced = Space.WRITTEN if parted else Space.NONE
            found.append(Char(char, at, bottom, at + width * step, top, size, spaced=spaced))
        at += width * step
        before = char
    return found
