"""Drawings of Office files (DrawingML): the words of shapes, the numbers of charts, SmartArt."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress

from lxml.etree import XMLSyntaxError

from rag_app.documents.number_formats.number_format import as_shown
from rag_app.documents.office.package import Element, Package, tag, unescaped

_SERIES = "{*}plotArea//{*}ser"  # codespell:ignore ser
_FIELD = re.compile(r"\s*(?:\[[^\]]*\][\s,;]*)+")
"""What stands for a value or a name in a label, as Office writes it in its language."""
_MOST_POINTS = 10_000  # points of a chart, such as categories


def shape_text(shape: Element) -> str:
    """Return the paragraphs of a shape as lines."""
    paragraphs = ("".join(_text(part) for part in item) for item in shape.iter(tag("a:p")))
    return "\n".join(text for paragraph in paragraphs if (text := paragraph.strip()))


def _text(part: Element) -> str:
    if part.tag == tag("a:br"):
        return "\n"
    return "".join(str(item.text or "") for item in part.iter(tag("a:t")))


def diagram_lines(root: Element) -> list[str]:
    """Return the texts of a SmartArt, given the root of its data part, those below others indented.

    Source: ECMA-376, 21.4.3: points, and connections that give each its place below another.
    """
    points: dict[str, Element] = {
        str(point.get("modelId")): point
        for point in root.iter(tag("dgm:pt"))
        if point.get("type") not in ("pres", "parTrans", "sibTrans")
    }
    below: dict[str, list[tuple[int, str]]] = {}
    for link in root.iter(tag("dgm:cxn")):
        target = str(link.get("destId"))
        if link.get("type") in (None, "parOf") and target in points:
            order = str(link.get("srcOrd") or "")
            place = int(order) if order.isdecimal() else 0
            below.setdefault(str(link.get("srcId")), []).append((place, target))
    lines: list[str] = []
    seen: set[str] = set()
    linked = {target for targets in below.values() for _, target in targets}
    waiting = [(key, 0) for key in reversed(points) if key not in linked]
    while waiting or len(seen) < len(points):
        # Links in a circle lead to none of their points.
        key, depth = waiting.pop() if waiting else (next(k for k in points if k not in seen), 0)
        if key in seen:
            continue
        seen.add(key)
        if text := " ".join(shape_text(points[key]).split()):
            lines.append("  " * (depth - 1) + "- " + text if depth > 1 else text)
        depth += points[key].get("type") == "doc" or bool(text)
        waiting += [(target, depth) for _, target in sorted(below.get(key, ()), reverse=True)]
    return lines


def with_boxes(root: Element | None, part: Callable[[str], Element | None]) -> Element | None:
    """Return the root of a part; to that of a chart, append what is drawn on it.

    Args:
        root: The root of the part.
        part: Returns the root of what the part refers to by an id (``c:userShapes``).
    """
    link = None if root is None else root.find("{*}userShapes")
    if root is not None and link is not None:
        with suppress(XMLSyntaxError, KeyError):
            boxes = part(str(link.get(tag("r:id"))))
            root.extend([] if boxes is None else [boxes])
    return root


def drawing(package: Package, part: str) -> Element | None:
    """Return the root of a chart, with what is drawn on it, or of SmartArt."""
    return with_boxes(
        package.tree(part), lambda key: package.tree(package.targets(part).get(key, ""))
    )


def chart_lines(root: Element) -> list[str]:
    """Return a chart's title, the titles of its axes, its numbers, a category a line, and boxes.

    Args:
        root: Of the part of the chart: ``c:chartSpace`` (ECMA-376, 21.2) or ``cx:chartSpace``
            (MS-ODRAWXML, 2.24.3), the kinds that came with Office 2016.
    """
    if root.find(".//{*}chartData") is not None:
        return [*_titles(root), *_rows(_extended_series(root)), *_labels(root)]
    boxes = filter(None, map(shape_text, root.iterfind("{*}userShapes//{*}sp")))
    series = [
        (
            _points(item.find("{*}tx")),
            _points(_first(item, "{*}cat", "{*}xVal")),
            _points(_first(item, "{*}val", "{*}yVal")),
        )
        for item in root.iterfind(f".//{_SERIES}")
    ]
    named = [(" ".join(name.values()), categories, values) for name, categories, values in series]
    return [*_titles(root), *_rows(named), *_labels(root), *boxes]


def _first(item: Element, *names: str) -> Element | None:
    return next((found for name in names if (found := item.find(name)) is not None), None)


def _titles(root: Element) -> Iterator[str]:
    for title in root.iter("{*}title"):
        written = shape_text(title) or " ".join(_points(title).values())
        if text := " ".join(written.split()):
            yield text


def _labels(root: Element) -> Iterator[str]:
    """Yield what the labels of points say besides their values, each once."""
    written = (shape_text(label) for label in root.iter("{*}dLbl"))
    for text in dict.fromkeys(" ".join(text.split()) for text in written):
        if text and not _FIELD.fullmatch(text):
            yield text


def _points(part: Element | None) -> dict[int, str]:
    """Return what a chart keeps of some cells, by their places; levels of names are joined."""
    if part is None:
        return {}
    if (literal := part.find("{*}v")) is not None:  # a name that no cell holds
        return {0: str(literal.text or "")}
    code = part.find(".//{*}formatCode")
    usual = "General" if code is None else str(code.text or "General")
    found: dict[int, str] = {}
    levels = list(part.iter("{*}lvl"))
    for level in reversed(levels or [part]):
        own: dict[int, str] = {}
        for point in level.iter("{*}pt"):
            cell = point.find("{*}v")
            text = str((point.text if cell is None else cell.text) or "")
            index = str(point.get("idx") or "")
            if index.isdecimal() and int(index) < _MOST_POINTS:
                own[int(index)] = _shown(unescaped(text), str(point.get("formatCode") or usual))
        found = _joined(found, own)
    return found


def _joined(outer: dict[int, str], inner: dict[int, str]) -> dict[int, str]:
    """Return names with those above them, which stand over several: ``2023 一季度``."""
    above, found = "", {}
    for at in sorted({*outer, *inner}):
        above = outer.get(at, above)
        found[at] = " ".join(filter(None, [above, inner.get(at, "")]))
    return found


def _shown(text: str, number_format: str) -> str:
    from openpyxl.styles.numbers import is_date_format
    from openpyxl.utils.datetime import from_excel

    with suppress(ValueError, OverflowError):
        number: object = float(text)
        if is_date_format(number_format):
            number = from_excel(number)
        return as_shown(number, number_format)
    return text


def _extended_series(root: Element) -> list[tuple[str, dict[int, str], dict[int, str]]]:
    data = {str(item.get("id")): item for item in root.iter("{*}data")}
    found = []
    for item in root.iter("{*}series"):
        reference = item.find("{*}dataId")
        kept = data.get(str(None if reference is None else reference.get("val")))
        name = " ".join(str(v.text or "") for v in item.iterfind("{*}tx//{*}v"))
        if kept is not None:
            numbers = kept.find("{*}numDim")
            found.append((name, _points(kept.find("{*}strDim")), _points(numbers)))
    return found


def _rows(series: list[tuple[str, dict[int, str], dict[int, str]]]) -> Iterator[str]:
    """Yield ``category; name: value``; series with categories of their own one after the other."""
    groups: list[tuple[dict[int, str], list[tuple[str, dict[int, str]]]]] = []
    for name, categories, values in series:
        if not groups or (categories and categories != groups[-1][0]):
            groups.append((categories, []))
        groups[-1][1].append((name, values))
    for categories, columns in groups:
        for at in sorted({*categories, *(place for _, values in columns for place in values)}):
            cells = [
                f"{name}: {values[at]}" if name else values[at]
                for name, values in columns
                if at in values
            ]
            yield "; ".join(filter(None, [categories.get(at, ""), *cells]))


def drawing_lines(frame: Element, part: Callable[[str], Element | None]) -> list[str] | None:
    """Return what the charts and SmartArt of a drawing say, None where there are none."""
    found: list[str] | None = None
    for item in frame.iter("{*}chart", "{*}relIds"):
        key = item.get(tag("r:id")) or item.get(tag("r:dm"))
        with suppress(XMLSyntaxError):  # of a damaged part, which costs only itself
            root = part(key) if key else None
            if root is not None:
                is_chart = str(item.tag).endswith("}chart")
                found = (found or []) + (chart_lines(root) if is_chart else diagram_lines(root))
    return found
