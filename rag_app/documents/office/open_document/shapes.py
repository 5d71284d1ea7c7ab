"""The order in which the shapes of an OpenDocument slide are read, by where they stand."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from rag_app.documents.office.open_document.parts import tag
from rag_app.documents.office.package import Element
from rag_app.documents.office.shape_order import in_reading_order

_LENGTH = re.compile(r"(-?\d+(?:\.\d+)?)(cm|mm|in|pt|pc|px)")
_UNITS = {"cm": 360_000, "mm": 36_000, "in": 914_400, "pt": 12_700, "pc": 152_400, "px": 9_525}
"""English Metric Units in a unit of length (ODF 1.3, 18.3.18)."""


class _Shape(NamedTuple):
    top: float | None
    left: float | None
    height: float
    element: Element


def put_in_reading_order(page: Element) -> Element:
    """Put the title of a slide first, and its shapes in the order they are read in; return it."""
    for group in (*page.iter(tag("draw:g")), page):
        shapes = [_Shape(*_box(child), child) for child in group]
        ordered = [shape.element for shape in in_reading_order(shapes)]
        ordered.sort(key=lambda child: child.get(tag("presentation:class")) != "title")
        group[:] = ordered
    return page


def _box(shape: Element) -> tuple[float | None, float | None, float]:
    """Return the top, the left and the height of a shape or of a group of them."""
    boxes = list(_boxes(shape))
    if not boxes:
        return None, None, 0
    top, left = min(box[0] for box in boxes), min(box[1] for box in boxes)
    return top, left, max(box[0] + box[2] for box in boxes) - top


def _boxes(shape: Element) -> Iterator[tuple[float, float, float]]:
    for each in shape.iter():
        top, left = _length(each, "svg:y"), _length(each, "svg:x")
        if top is not None and left is not None:
            yield top, left, _length(each, "svg:height") or 0


def _length(shape: Element, name: str) -> float | None:
    found = _LENGTH.fullmatch(str(shape.get(tag(name)) or ""))
    return float(found[1]) * _UNITS[found[2]] if found else None
