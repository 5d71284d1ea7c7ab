"""Text of slides that is white on white: nobody sees it who looks at them."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rag_app.documents.office.package import Element, parsed, tag

if TYPE_CHECKING:
    from pptx.slide import Slide

_FILLS = tuple(f"{{*}}{kind}Fill" for kind in ("solid", "grad", "blip", "patt", "grp"))
_SHAPES = tuple(map(tag, ("p:sp", "p:grpSp", "p:pic", "p:graphicFrame")))
_WHITE = re.compile("f{6}", re.IGNORECASE)
_LIGHT = frozenset({"bg1", "lt1"})  # the colour of a page in a theme

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in English Metric Units."""


def remove_white_text(slide: "Slide") -> int:
    """Remove the runs of a slide that are white on a white page; return how many.

    Text that lies on, or below, anything that is drawn stays, as does that in cells of no colour
    of their own, which the style of their table may give them.
    """
    if not any(_is_white(colour) for colour in slide.element.iterfind(".//{*}rPr/{*}solidFill")):
        return 0
    layout = slide.slide_layout
    light = _is_light(layout.slide_master)
    pages = (slide, layout, layout.slide_master)
    behind = next((bg for page in pages if (bg := page.element.find(".//{*}bg")) is not None), None)
    if not light or not (behind is None or _is_white_page(behind)):
        return 0
    shapes = (shape for page in pages for shape in page.shapes)
    drawn = [_box(shape) for shape in shapes if _is_drawn(shape.element)]
    removed = sum(_without_white_runs(cell) for cell in _white_cells(slide.element))
    for shape in slide.shapes:
        own = _box(shape)
        if _is_drawn(shape.element) or any(_overlap(own, box) for box in drawn):
            continue
        removed += _without_white_runs(shape.element)
    return removed


def _white_cells(slide: Element) -> Iterator[Element]:
    """Yield the cells of tables that are white themselves."""
    for cell in slide.iter(tag("a:tc")):
        fill = cell.find("{*}tcPr/{*}solidFill")
        if fill is not None and _is_white(fill):
            yield cell


def _without_white_runs(element: Element) -> int:
    """Remove the runs that are white; return how many."""
    runs = list(_white_runs(element))
    for run in runs:
        run.getparent().remove(run)
    return len(runs)


def _white_runs(shape: Element) -> Iterator[Any]:
    for run in shape.iter(tag("a:r")):
        colour = run.find("{*}rPr/{*}solidFill")
        if colour is not None and _is_white(colour):
            yield run


def _is_white(fill: Element) -> bool:
    """Return whether a fill is white, or the colour of the page, and fully so."""
    for colour in fill:
        shade = [each for each in colour if not str(each.tag).endswith("}alpha")]
        written = str(colour.get("val") or "")
        return not shade and (written in _LIGHT or _WHITE.fullmatch(written) is not None)
    return False


def _is_white_page(background: Element) -> bool:
    fill = background.find("{*}bgPr/{*}solidFill")
    fill = background.find("{*}bgRef") if fill is None else fill
    return fill is not None and _is_white(fill)


def _is_light(master: Any) -> bool:
    """Return whether the page of a theme is white."""
    for relation in master.part.rels.values():
        if relation.reltype.endswith("/theme") and not relation.is_external:
            colours = parsed(relation.target_part.blob).findall(".//{*}clrScheme/{*}lt1/*")
            mapped = master.element.find(".//{*}clrMap")
            usual = mapped is None or mapped.get("bg1") in {None, "lt1"}
            shown = (str(each.get("lastClr") or each.get("val")) for each in colours)
            return usual and all(_WHITE.fullmatch(colour) for colour in shown)
    return True


def _is_drawn(element: Element) -> bool:
    """Return whether something of a shape or group besides text may be seen, such as its fill."""
    if element.tag == tag("p:grpSp"):
        return any(map(_is_drawn, element.iterchildren(*_SHAPES)))
    if element.tag != tag("p:sp"):
        return bool(element.tag != tag("p:cxnSp"))
    properties = element.find("{*}spPr")
    fills = (
        [] if properties is None else [fill for kind in _FILLS for fill in properties.findall(kind)]
    )
    if properties is not None and properties.find("{*}noFill") is not None:
        return False
    styled = element.find("{*}style/{*}fillRef")
    return any(not _is_white(fill) for fill in fills) or (
        not fills and styled is not None and styled.get("idx") != "0"
    )


def _box(shape: Any) -> Box | None:
    """Return where a shape stands, None where it does not say."""
    try:
        left, top, width, height = shape.left, shape.top, shape.width, shape.height
    except Exception:  # of a shape without geometry, by its kind
        return None
    if None in (left, top, width, height):
        return None
    return left, top, left + width, top + height


def _overlap(one: Box | None, other: Box | None) -> bool:
    """Return whether two shapes may overlap."""
    if one is None or other is None:
        return True
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
