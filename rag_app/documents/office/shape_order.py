"""The order in which the shapes of a slide are read."""

import re
from collections.abc import Iterable, Sequence
from itertools import chain, groupby
from typing import Any, NamedTuple

_ROW = 300_000  # English Metric Units (a third of an inch) within which shapes stand side by side
_NOWHERE = 1 << 40
_FIGURE = re.compile(r"[-+¥$€￥]?\d[\d.,]*\s?\S{0,4}$")  # a number with its unit
_TALLER = 1.5  # how much taller than its head a text is at least


class _Placed(NamedTuple):
    row: int
    left: int
    top: int
    height: int
    shape: Any


def in_reading_order(shapes: Iterable[Any]) -> list[Any]:
    """Return shapes from the top, those side by side from the left; those without a place last.

    Heads side by side that stand on taller texts are each followed by their own, and so are names
    and figures that stand on each other.
    """
    placed = sorted(map(_placed, shapes), key=lambda each: each[:2])
    rows = [list(row) for _, row in groupby(placed, key=lambda each: each.row)]
    found: list[_Placed] = []
    while rows:
        row = rows.pop(0)
        if rows and _are_heads(row, rows[0]):
            found += chain.from_iterable(zip(row, rows.pop(0), strict=True))
        else:
            found += row
    return [each.shape for each in found]


def _placed(shape: Any) -> _Placed:
    try:
        top, left, height = shape.top, shape.left, shape.height
    except Exception:  # of a shape without geometry, by its kind
        top = left = height = None
    if top is None or left is None:
        return _Placed(_NOWHERE, 0, 0, 0, shape)
    return _Placed(round(top / _ROW), left, top, height or 0, shape)


def _are_heads(row: Sequence[_Placed], below: Sequence[_Placed]) -> bool:
    """Return whether each shape of a row stands on a taller one of the row below."""
    if not 1 < len(row) == len(below) or below[0].row == _NOWHERE:
        return False
    figures = _are_figures(row) != _are_figures(below) and all(map(_text, [*row, *below]))
    return all(
        abs(head.left - body.left) < _ROW
        and abs(body.top - head.top - head.height) < _ROW
        and (figures or body.height >= _TALLER * head.height)
        for head, body in zip(row, below, strict=True)
    )


def _are_figures(row: Sequence[_Placed]) -> bool:
    return all(_FIGURE.match(_text(each)) for each in row)


def _text(placed: _Placed) -> str:
    return str(getattr(placed.shape, "text", "")).strip()
