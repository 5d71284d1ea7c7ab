"""Ruling lines of a page, and the grids that they make."""

import itertools
from collections.abc import Iterator, Sequence
from ctypes import byref, c_float, c_int
from dataclasses import dataclass
from typing import NamedTuple

from pypdfium2 import PdfMatrix, PdfObject, PdfPage
from pypdfium2 import raw as pdfium

_THIN = 3.0  # points; a rectangle narrower than this is a line
_SNAP = 3.0  # points within which edges are the same line
_MOST_OBJECTS = 20_000
_MOST_CELLS = 100_000


Box = tuple[float, float, float, float]
"""Left, bottom, right, top; in points."""


class Edge(NamedTuple):
    """A horizontal or vertical line: where it is, and from where to where it goes; in points."""

    at: float
    start: float
    end: float


@dataclass(frozen=True)
class Grid:
    """Cells between ruling lines; a merged cell covers several places of the grid."""

    xs: tuple[float, ...]
    """Where the vertical lines are, from the left."""
    ys: tuple[float, ...]
    """Where the horizontal lines are, from the top."""
    cells: tuple[tuple[int, ...], ...]
    """Which cell covers each place, by row and column; equal numbers are one merged cell."""

    def contains(self, x: float, y: float) -> bool:
        """Return whether a point lies in the grid."""
        return self.xs[0] <= x <= self.xs[-1] and self.ys[-1] <= y <= self.ys[0]


def page_edges(page: PdfPage) -> tuple[list[Edge], list[Edge]]:
    """Return the horizontal and the vertical lines of ``page``."""
    horizontal: list[Edge] = []
    vertical: list[Edge] = []
    objects = page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH], max_depth=3)
    for number, item in enumerate(objects):
        if number == _MOST_OBJECTS:
            break
        fill, stroke = c_int(), c_int()
        pdfium.FPDFPath_GetDrawMode(item.raw, byref(fill), byref(stroke))
        stroked = bool(stroke.value)
        for left, bottom, right, top in _boxes(item):
            if top - bottom <= _THIN < right - left:
                horizontal.append(Edge((top + bottom) / 2, left, right))
            elif right - left <= _THIN < top - bottom:
                vertical.append(Edge((left + right) / 2, bottom, top))
            elif stroked and right - left > _THIN and top - bottom > _THIN:
                horizontal += [Edge(bottom, left, right), Edge(top, left, right)]
                vertical += [Edge(left, bottom, top), Edge(right, bottom, top)]
    return _merged(horizontal), _merged(vertical)


def picture_boxes(page: PdfPage) -> Iterator[Box]:
    """Yield the boxes of the pictures on ``page``."""
    for item in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        yield _place_of(item).on_rect(*item.get_bounds())


def _place_of(item: PdfObject) -> PdfMatrix:
    """Return the transformation of an object to its page, through the forms that hold it."""
    matrix = PdfMatrix()
    while (item := item.container) is not None:
        matrix = matrix.multiply(item.get_matrix())
    return matrix


def _boxes(item: PdfObject) -> Iterator[Box]:
    """Yield the lines and rectangles of a path as boxes."""
    matrix = item.get_matrix().multiply(_place_of(item))
    x, y = c_float(), c_float()
    points: list[tuple[float, float]] = []
    count = pdfium.FPDFPath_CountSegments(item.raw)
    if count > 500:  # a drawing
        return
    for index in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(item.raw, index)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_BEZIERTO:
            return
        pdfium.FPDFPathSegment_GetPoint(segment, byref(x), byref(y))
        if kind == pdfium.FPDF_SEGMENT_MOVETO and points:
            yield from _straight(points)
            points = []
        points.append(matrix.on_point(x.value, y.value))
        if pdfium.FPDFPathSegment_GetClose(segment):
            points.append(points[0])
            yield from _straight(points)
            points = []
    yield from _straight(points)


def _straight(points: Sequence[tuple[float, float]]) -> Iterator[Box]:
    corners = {(round(x, 1), round(y, 1)) for x, y in points}
    xs, ys = {x for x, _ in corners}, {y for _, y in corners}
    if len(points) >= 4 and len(xs) == 2 and len(ys) == 2:
        yield min(xs), min(ys), max(xs), max(ys)
        return
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if abs(x0 - x1) < 1 or abs(y0 - y1) < 1:
            yield min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _merged(edges: Sequence[Edge]) -> list[Edge]:
    """Return edges with those joined that are on one line and touch."""
    found: list[Edge] = []
    for edge in sorted(edges, key=lambda edge: (round(edge.at / _SNAP), edge.start)):
        last = found[-1] if found else None
        touches = last and edge.start <= last.end + _SNAP and edge.end >= last.start - _SNAP
        if last and touches and abs(edge.at - last.at) <= _SNAP:
            found[-1] = Edge(last.at, min(last.start, edge.start), max(last.end, edge.end))
        else:
            found.append(edge)
    return found


def grids(horizontal: Sequence[Edge], vertical: Sequence[Edge]) -> list[Grid]:
    """Return the grids of at least two rows or columns that lines make."""
    found = []
    for across, down in _connected(horizontal, vertical):
        xs = _snapped([edge.at for edge in down])
        ys = _snapped([edge.at for edge in across])[::-1]
        if len(xs) < 2 or len(ys) < 2 or not 2 <= (len(xs) - 1) * (len(ys) - 1) <= _MOST_CELLS:
            continue
        cells = _cells(xs, ys, across, down)
        if len({cell for row in cells for cell in row}) > 1:
            found.append(Grid(tuple(xs), tuple(ys), cells))
    return found


def _connected(
    horizontal: Sequence[Edge], vertical: Sequence[Edge]
) -> Iterator[tuple[list[Edge], list[Edge]]]:
    """Yield groups of lines that cross or touch each other."""
    group = list(range(len(horizontal) + len(vertical)))

    def root(number: int) -> int:
        while group[number] != number:
            group[number] = group[group[number]]
            number = group[number]
        return number

    for i, across in enumerate(horizontal):
        for j, down in enumerate(vertical, len(horizontal)):
            if (
                across.start - _SNAP <= down.at <= across.end + _SNAP
                and down.start - _SNAP <= across.at <= down.end + _SNAP
            ):
                group[root(i)] = root(j)
    members: dict[int, tuple[list[Edge], list[Edge]]] = {}
    for number in range(len(group)):
        pair = members.setdefault(root(number), ([], []))
        if number < len(horizontal):
            pair[0].append(horizontal[number])
        else:
            pair[1].append(vertical[number - len(horizontal)])
    yield from (pair for pair in members.values() if pair[0] and pair[1])


def _snapped(places: Sequence[float]) -> list[float]:
    found: list[float] = []
    for place in sorted(places):
        if not found or place - found[-1] > _SNAP:
            found.append(place)
    return found


def _cells(
    xs: Sequence[float], ys: Sequence[float], across: Sequence[Edge], down: Sequence[Edge]
) -> tuple[tuple[int, ...], ...]:
    columns, lines = len(xs) - 1, len(ys) - 1
    cells = [[row * columns + column for column in range(columns)] for row in range(lines)]
    for row in range(lines):
        middle = (ys[row] + ys[row + 1]) / 2
        for column in range(1, columns):
            if not _covered(down, xs[column], middle):
                cells[row][column] = cells[row][column - 1]
    for column in range(columns):
        middle = (xs[column] + xs[column + 1]) / 2
        for row in range(1, lines):
            if not _covered(across, ys[row], middle):
                cells[row][column] = cells[row - 1][column]
    return tuple(map(tuple, cells))


def _covered(edges: Sequence[Edge], at: float, place: float) -> bool:
    return any(abs(edge.at - at) <= _SNAP and edge.start <= place <= edge.end for edge in edges)
