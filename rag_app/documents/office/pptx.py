"""PowerPoint presentations → Markdown, slide by slide, in the order in which a slide is read."""

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lxml import etree

from rag_app.documents.archive import check_archive
from rag_app.documents.formats import ExtractedText
from rag_app.documents.office.drawings import drawing_lines, shape_text, with_boxes
from rag_app.documents.office.equations import equation_text
from rag_app.documents.office.numbering import SlideNumbering
from rag_app.documents.office.package import (
    Element,
    hidden_notes,
    is_strict,
    local_name,
    parsed,
    rewritten,
    struck_through,
    tag,
    unescaped,
    unread_notes,
    without_fallbacks,
)
from rag_app.documents.office.shape_order import in_reading_order
from rag_app.documents.office.white_text import remove_white_text
from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import cover
from rag_app.documents.text import clean, join_pages, one_blank_line, remark, superscript

if TYPE_CHECKING:
    from pptx.presentation import Presentation
    from pptx.slide import Slide

    from rag_app.documents.pdf.reader import ReadPicture

_DEEP = 20
_MAIN = re.compile(
    rb"application/vnd[.\w-]*\.(?:slideshow|template|presentation)\.(?:macroEnabled\.)?main\+xml"
)
_PLAIN_MAIN = b"application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
_WITH_TEXT = tuple(
    f"ppt/{room}/{part}"
    for room, part in (("slides", "slide"), ("notesSlides", "notes"), ("diagrams", ""))
)
"""Parts whose text is read: of those a piece is not believed."""
_NO_RELATIONS = (
    b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"/>'
)
_PLACEHOLDERS = 3  # shapes that say what one looks like: itself, and those of its layout and master
_AT_FOOT = frozenset({"dt", "ftr", "sldNum"})


@dataclass
class _Reading:
    """How pictures are read, what was not read, and what is on slides before."""

    read_picture: "ReadPicture | None"
    unread: Counter[str] = field(default_factory=Counter)
    running: set[str] = field(default_factory=set)  # the texts at the feet of slides
    white: int = 0  # runs of text that are white on white


def read_pptx(data: bytes, name: str, read_picture: "ReadPicture | None" = None) -> ExtractedText:
    """Return the slides of a presentation as Markdown with their notes, and what was not read."""
    check_archive(data, name)
    reading = _Reading(read_picture)
    slides: list[str] = []
    with warnings.catch_warnings():
        # python-pptx warns of oddities in files that it reads all the same.
        warnings.simplefilter("ignore")
        for slide in _slides(_presentation(data, reading), reading):
            if slide.element.get("show") == "0":
                reading.unread["hidden slides"] += 1
                continue
            slides.append(one_blank_line(clean("\n\n".join(_slide_lines(slide, reading)))))
    text, starts = join_pages(slides)
    notes = hidden_notes({"texts": reading.white}) + unread_notes(reading.unread)
    return ExtractedText(text, page_starts=starts, notes=notes)


def _slides(presentation: "Presentation", reading: _Reading) -> Iterator["Slide"]:
    """Yield the slides that are there."""
    related = presentation.part
    for entry in presentation.element.iter(tag("p:sldId")):
        try:
            yield related.related_slide(entry.rId)
        except KeyError:
            reading.unread["missing slides"] += 1


def _presentation(data: bytes, reading: _Reading) -> "Presentation":
    from pptx import Presentation

    if is_strict(data, "ppt/presentation.xml"):
        data = rewritten(data)
    try:
        return Presentation(BytesIO(data))
    except ValueError:  # of a kind that the library does not know
        return Presentation(BytesIO(rewritten(data, _as_presentation)))
    except etree.XMLSyntaxError:
        return Presentation(BytesIO(rewritten(data, partial(_recovered, reading))))


def _recovered(reading: _Reading, part: str, content: bytes) -> bytes:
    """Return a part that holds no text, such as a layout, as far as it can be parsed."""
    if part.startswith(_WITH_TEXT) or not part.endswith((".xml", ".rels")):
        return content
    try:
        parsed(content)
    except etree.XMLSyntaxError:
        reading.unread["damaged parts beside the text"] += 1
        parser = etree.XMLParser(recover=True, resolve_entities=False)
        root: Any = etree.fromstring(content, parser)  # None where nothing is left
        if part.endswith(".rels") and (root is None or root.tag != parsed(_NO_RELATIONS).tag):
            return _NO_RELATIONS
        if root is None:
            return content
        for element in [*root.iter("*")][1:]:  # one is cut at the end
            whole = {"Id", "Type", "Target"} <= {*element.keys()} or not part.endswith(".rels")
            if not whole or ":" in local_name(element.tag):
                element.getparent().remove(element)
        return etree.tostring(root)
    return content


def _as_presentation(part: str, content: bytes) -> bytes:
    """Return the types of the parts with shows, templates and macros as plain presentations."""
    return _MAIN.sub(_PLAIN_MAIN, content) if part == "[Content_Types].xml" else content


def _slide_lines(slide: "Slide", reading: _Reading) -> Iterator[str]:
    without_fallbacks(slide.element)
    reading.white += remove_white_text(slide)
    title = slide.shapes.title
    framed = title is not None and title.has_text_frame  # or a picture in its place
    if framed and (text := " ".join(_frame_text(title).split())):
        yield f"# {text}"
    own = title.shape_id if framed else None
    for shape in in_reading_order(slide.shapes):
        if shape.shape_id != own and not _is_left_out(shape, reading):
            yield from _shape_lines(shape, reading, 0)
    yield from _master_lines(slide, reading)
    yield from _comments(slide)
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None:
        text = frame.text.strip()
        if text:
            yield f"### Notes\n\n{text}"


def _master_lines(slide: "Slide", reading: _Reading) -> Iterator[str]:
    """Yield what the layout and the master show on a slide, unless it was said before."""
    found: list[Any] = []
    with suppress(KeyError):  # of damaged relations
        found.append(slide.slide_layout)
        found.append(slide.slide_layout.slide_master)
    for page, below in pairwise([slide, *found]):
        if page.element.get("showMasterSp") in {"0", "false"}:
            return
        for shape in below.element.iter(tag("p:sp")):
            text = "" if shape.find(f".//{tag('p:ph')}") is not None else shape_text(shape)
            if text and text not in reading.running:
                reading.running.add(text)
                yield text


def _is_left_out(shape: Any, reading: _Reading) -> bool:
    """Return whether a shape is hidden, a slide's number, or a date or foot said before."""
    properties = shape.element.find(".//{*}cNvPr")
    if properties is not None and properties.get("hidden") in {"1", "true"}:
        reading.unread["hidden shapes"] += 1
        return True
    place = shape.element.find(f"./*/{tag('p:nvPr')}/{tag('p:ph')}")
    kind = None if place is None else place.get("type")
    if kind not in _AT_FOOT:
        return False
    text = shape_text(shape.element)
    repeated = text in reading.running
    reading.running.add(text)
    return repeated or kind == "sldNum"


def _comments(slide: "Slide") -> Iterator[str]:
    """Yield the comments on a slide: the older kind, and discussions (MS-PPTX, 2.1.5)."""
    authors = _authors(slide)
    for relation in slide.part.rels.values():
        if relation.is_external or not relation.reltype.endswith("/comments"):
            continue
        for comment in parsed(relation.target_part.blob).iter("{*}cm", "{*}reply"):
            body = comment.find("{*}txBody")
            text = comment.findtext("{*}text") if body is None else shape_text(body)
            author = authors.get(str(comment.get("authorId")), "")
            if text := " ".join((text or "").split()):
                yield remark(text, author)


def _authors(slide: "Slide") -> dict[str, str]:
    found = {}
    for relation in slide.part.package.presentation_part.rels.values():
        if relation.reltype.endswith(("/commentAuthors", "/authors")) and not relation.is_external:
            for author in parsed(relation.target_part.blob):
                found[str(author.get("id"))] = str(author.get("name") or "")
    return found


def _shape_lines(shape: Any, reading: _Reading, depth: int) -> Iterator[str]:
    """Yield what a shape says; one that can't be understood costs only itself."""
    if depth > _DEEP:
        return
    try:
        lines = list(_known_lines(shape, reading, depth))
    except Exception:  # of the library, for shapes that PowerPoint opens all the same
        lines = [" ".join(str(item.text or "") for item in shape.element.iter(tag("a:t")))]
    yield from (line for line in lines if line.strip())


def _known_lines(shape: Any, reading: _Reading, depth: int) -> Iterator[str]:
    if hasattr(shape, "shapes"):  # a group
        for inner in in_reading_order(shape.shapes):
            yield from _shape_lines(inner, reading, depth + 1)
    elif getattr(shape, "has_table", False) and shape.has_table:
        yield "\n".join(table_lines(_table_rows(shape.table)))
    elif (drawn := drawing_lines(shape.element, lambda key: _part(shape, key))) is not None:
        yield "\n".join(drawn)
    elif shape.has_text_frame:
        yield _frame_text(shape)
    elif shape.element.tag == tag("p:pic"):
        if reading.read_picture is None:
            reading.unread["pictures"] += 1
        else:
            from rag_app.documents.ocr import picture_lines

            yield "\n".join(picture_lines(shape.image.blob, reading.read_picture))
    elif shape.element.tag == tag("p:graphicFrame"):
        reading.unread["embedded objects"] += 1


def _part(shape: Any, key: str) -> Element | None:
    part = shape.part.related_part(key)
    return with_boxes(parsed(part.blob), lambda key: parsed(part.related_part(key).blob))


def _frame_text(shape: Any) -> str:
    lines = []
    numbering = SlideNumbering()
    styles = list(_list_styles(shape))
    for paragraph in shape.text_frame.paragraphs:
        text = "".join(map(_piece, paragraph._p)).strip()
        if text:
            own = [*filter(_has_bullet, [paragraph._p.pPr])]
            level = tag(f"a:lvl{paragraph.level + 1}pPr")
            inherited = (style.find(level) for style in styles)
            bullet = next(iter(own), None) or next(filter(_has_bullet, inherited), None)
            label = numbering.next(paragraph.level, bullet)
            label = label or ("- " if paragraph.level else "")
            lines.append("  " * paragraph.level + label + text)
    return "\n".join(lines)


def _list_styles(shape: Any) -> Iterator[Element]:
    """Yield what a shape says of its levels, and what the placeholders say that it fills."""
    each = shape
    for _ in range(_PLACEHOLDERS):
        body = each.text_frame._txBody if getattr(each, "has_text_frame", True) else None
        style = None if body is None else body.find(tag("a:lstStyle"))
        if style is not None:
            yield style
        with suppress(KeyError):  # of damaged relations
            each = getattr(each, "_base_placeholder", None)
        if each is None:
            return


def _has_bullet(properties: Element | None) -> bool:
    names = ("a:buAutoNum", "a:buChar", "a:buBlip", "a:buNone")
    return properties is not None and any(properties.find(tag(name)) is not None for name in names)


def _piece(element: Any) -> str:
    """Return a part of a paragraph: text, a line break, or a field but the slide's number."""
    if element.tag == tag("a:br"):
        return "\n"
    if element.tag == tag("a:fld") and element.get("type") == "slidenum":
        return ""
    if (equation := next(element.iter(tag("m:oMathPara"), tag("m:oMath")), None)) is not None:
        return equation_text(equation)
    text = "".join(unescaped(str(item.text or "")) for item in element.iter(tag("a:t")))
    properties = element.find(tag("a:rPr"))
    if properties is None:
        return text
    if properties.get("baseline", "").rstrip("%").isdecimal() and properties.get("baseline") != "0":
        text = superscript(text)  # what is lowered has a minus
    return struck_through(text) if properties.get("strike", "noStrike") != "noStrike" else text


def _table_rows(table: Any) -> list[list[str]]:
    """Return the cells of a table; a merged cell's text is in each cell that it covers."""
    rows = [[_frame_text(cell) for cell in row.cells] for row in table.rows]
    for top, row in enumerate(table.rows):
        for left, cell in enumerate(row.cells):
            if cell.is_merge_origin:
                cover(rows[top : top + cell.span_height], left, left + cell.span_width)
    return rows
