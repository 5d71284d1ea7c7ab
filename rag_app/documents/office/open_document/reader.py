"""Texts and presentations of OpenDocument (ODF 1.3) → Markdown."""

from collections import Counter
from collections.abc import Iterable, Iterator

from rag_app.documents.formats import ExtractedText
from rag_app.documents.office.open_document.numbering import OpenNumbering
from rag_app.documents.office.open_document.parts import (
    MAX_DEPTH,
    MAX_SPAN,
    Framed,
    is_collapsed,
    tag,
    whole,
)
from rag_app.documents.office.open_document.shapes import put_in_reading_order
from rag_app.documents.office.open_document.styles import TextStyles
from rag_app.documents.office.package import Element, add_run, hidden_notes, struck_through
from rag_app.documents.office.symbol_fonts import symbols
from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import Continued, Covered, Row
from rag_app.documents.text import clean, join_pages, one_blank_line, remark, shown, superscript
from rag_app.errors import DocumentError

_MAX_CHARACTERS = 50_000_000  # characters of a workbook, after its repeated cells are written out
_MOST_EMPTY = 1024  # empty cells, one beside the other, that are repeated
_SILENT = {
    *map(tag, ("text:tracked-changes", "text:ruby-text", "text:hidden-text", "text:toc-mark")),
    *map(tag, ("text:hidden-paragraph", "text:sequence-decls", "text:index-title-template")),
    *map(tag, ("text:note-citation", "office:forms", "presentation:notes", "table:shapes")),
}
"""What is not shown in its place."""
_PARAGRAPHS = (tag("text:p"), tag("text:h"))
_ASIDE = frozenset(map(tag, ("text:note", "office:annotation", "field:fieldmark")))
_PAGE_HEADS = tuple(
    f"{space}:{place}{pages}"
    for place in ("header", "footer")
    for space, pages in (
        ("style", ""),
        ("style", "-first"),
        ("loext", "-first"),
        ("style", "-left"),
    )
)
"""What is on top and at the bottom of all pages, the first one, and the left ones."""
_SPACES = {tag("text:tab"): "\t", tag("text:line-break"): "\n", tag("text:soft-page-break"): ""}


class OpenReader:
    """Reads the content of a text or of slides."""

    def __init__(self, content: Element, styles: Element | None, name: str, framed: Framed) -> None:
        self.name = name
        self.framed = framed
        self.content = content
        self.styles = styles
        self.size = 0
        roots = [root for root in (styles, content) if root is not None]
        self.lists = {
            str(style.get(tag("style:name"))): style
            for root in roots
            for style in root.iter(tag("text:list-style"))
        }
        self.text_styles = TextStyles(roots)
        self.unseen: Counter[str] = Counter()
        """What is hidden, and how often."""
        self.running: set[str] = set()
        """What masters say on slides before."""
        self.remarks: list[str] = []
        """The comments on what is being read, a paragraph or a table."""
        self.tables = 0
        """How many tables are around what is being read."""
        self.numbering = OpenNumbering()
        self.outline = None if styles is None else styles.find(f".//{tag('text:outline-style')}")

    def read(self) -> ExtractedText:
        """Return what the file says, and what of it is hidden.

        Raises:
            DocumentError: it has no content, or is nested too deep.
        """
        body = self.content.find(tag("office:body"))
        kind = body[0] if body is not None and len(body) else None
        if kind is None:
            msg = f"{shown(self.name)} is damaged or not an OpenDocument file; save it again"
            raise DocumentError(msg)
        return self._of_kind(kind)

    def _of_kind(self, kind: Element) -> ExtractedText:
        if kind.tag == tag("office:presentation"):
            pages = [page for page in kind.findall(tag("draw:page")) if not self._is_left_out(page)]
            slides = [one_blank_line("\n\n".join(self._slide_parts(page))) for page in pages]
            text, starts = join_pages(slides)
            return ExtractedText(text, page_starts=starts, notes=hidden_notes(self.unseen))
        heads = [] if self.styles is None else self._page_heads(self.styles)
        text = one_blank_line("\n\n".join([*heads, self._text(kind)]))
        return ExtractedText(text, notes=hidden_notes(self.unseen))

    def _is_left_out(self, page: Element) -> bool:
        """Return whether a slide is hidden, and count it."""
        hidden = self.text_styles.hides_slide(page)
        self.unseen["slides"] += hidden
        return hidden

    def _slide_parts(self, page: Element) -> Iterator[str]:
        """Yield the text of a slide, that of its master where it is not said yet, and notes."""
        name = page.get(tag("draw:master-page-name"))
        masters = () if self.styles is None else self.styles.iter(tag("style:master-page"))
        master = next((each for each in masters if each.get(tag("style:name")) == name), None)
        shapes = () if master is None else master
        own = [shape for shape in shapes if shape.get(tag("presentation:class")) is None]
        said = [text for text in map(self._text, ([shape] for shape in own)) if text]
        said = [text for text in dict.fromkeys(said) if text not in self.running]
        self.running.update(said)
        yield self._text(put_in_reading_order(page))
        yield from said
        notes = page.find(tag("presentation:notes"))
        if notes is not None and (text := self._text(notes)):
            yield f"Notes: {text}"

    def _page_heads(self, styles: Element) -> list[str]:
        """Return the running heads and feet of a text, each once."""
        found = [self._text(part) for kind in _PAGE_HEADS for part in styles.iter(tag(kind))]
        return list(dict.fromkeys(filter(None, found)))

    def _text(self, part: Iterable[Element]) -> str:
        return one_blank_line(clean("\n\n".join(self._blocks(part, 0))))

    def _blocks(self, part: Iterable[Element], depth: int) -> Iterator[str]:
        """Yield the paragraphs, headings, lists and tables in a part."""
        if depth > MAX_DEPTH:
            raise DocumentError(f"{shown(self.name)} is nested too deep to be read")
        for item in part:
            if item.tag in _SILENT or not isinstance(item.tag, str):
                continue
            if item.tag in _PARAGRAPHS:
                yield from self._paragraph(item, depth)
            elif item.tag == tag("text:section") and _is_hidden_section(item):
                self.unseen["texts"] += 1
            elif item.tag == tag("text:numbered-paragraph"):
                yield from self._numbered(item, depth)
            elif item.tag == tag("text:list"):
                yield "\n".join(self._items(item, "", 1, depth))
            elif item.tag == tag("table:table"):
                yield "\n".join(table_lines(self._rows(item)))
                yield from self._remarks()
            elif item.tag == tag("draw:frame"):
                yield from self._frame(item, depth)
            else:
                yield from self._blocks(item, depth + 1)

    def _numbered(self, item: Element, depth: int) -> Iterator[str]:
        """Yield a paragraph of a list that is none of a ``text:list``."""
        style = str(item.get(tag("text:style-name")) or "")
        levels = self.lists.get(style)
        level = whole(item, "text:level", 1)
        label = "" if levels is None else self.numbering.label(levels, style, level)
        for paragraph in item.iterchildren(*_PARAGRAPHS):
            yield from self._paragraph(paragraph, depth, label)

    def _remarks(self) -> list[str]:
        """Return the comments that wait, and forget them; none while their table goes on."""
        if self.tables:
            return []
        remarks, self.remarks = self.remarks, []
        return remarks

    def _paragraph(self, item: Element, depth: int, label: str | None = None) -> Iterator[str]:
        """Yield a paragraph or heading, and what is on it; ``label`` is its number in a list."""
        text = self._inline(item, depth).strip()
        if item.tag == tag("text:h") and text:
            if label is None and self.outline is not None:
                label = self.numbering.label(self.outline, "", _level(item))
            text = f"{'#' * _level(item)} {'' if label in {None, '- '} else label}{text}"
        else:
            text = (label or "") + text
        yield text
        yield from self._framed_in(item, depth)
        yield from self._remarks()

    def _framed_in(self, item: Element, depth: int) -> Iterator[str]:
        for frame in item.iter(tag("draw:frame")):
            if next(frame.iterancestors(tag("draw:frame"), tag("text:p")), item) is item:
                yield from self._frame(frame, depth, inline=True)

    def _frame(self, frame: Element, depth: int, *, inline: bool = False) -> Iterator[str]:
        """Yield what a frame shows; an equation only where none of the line around it has it."""
        if equation := self.framed.equation(frame):
            yield from () if inline else [equation]
        elif (chart := self.framed.chart(frame)) is not None:
            yield from self._chart(chart)
        elif frame.find(tag("draw:text-box")) is None and frame.find(tag("table:table")) is None:
            yield "\n".join(self.framed.picture(frame))
        else:
            yield from self._blocks(frame, depth + 1)

    def _chart(self, chart: Element) -> Iterator[str]:
        """Yield a chart's titles and its numbers."""
        for title in chart.iter(tag("chart:title")):
            yield self._text(title)
        for table in chart.iterfind(tag("table:table")):
            names, *rows = self._rows(table) or [[]]
            yield "\n".join(_category(names, row) for row in rows if any(row))

    def _items(self, part: Element, style: str, level: int, depth: int) -> Iterator[str]:
        """Yield the lines of a list, with their automatic numbers."""
        style = str(part.get(tag("text:style-name")) or style)
        goes_on = part.get(tag("text:continue-numbering")) == "true"
        if level == 1 and not goes_on and not part.get(tag("text:continue-list")):
            self.numbering.begin(style)
        if depth > MAX_DEPTH:
            return
        for item in part.iterchildren(tag("text:list-item"), tag("text:list-header")):
            yield from self._item(item, style, level, depth)

    def _item(self, item: Element, style: str, level: int, depth: int) -> Iterator[str]:
        """Yield the lines of an item; its number is before its first paragraph."""
        numbered = item.tag == tag("text:list-item")
        for block in item:
            if block.tag == tag("text:list"):
                yield from self._items(block, style, level + 1, depth + 1)
            elif block.tag not in _PARAGRAPHS:
                yield from self._blocks([block], depth + 1)
            else:
                label = self._item_label(item, style, level) if numbered else ""
                yield from self._paragraph(block, depth, label)
                numbered = False

    def _item_label(self, item: Element, style: str, level: int) -> str:
        levels = self.lists.get(str(item.get(tag("text:style-override")) or style))
        if item.get(tag("text:start-value")):
            self.numbering.start(style, level, whole(item, "text:start-value", 1))
        return "- " if levels is None else self.numbering.label(levels, style, level)

    def _inline(self, item: Element, depth: int) -> str:
        """Return the text of a paragraph: spaces written out, notes in brackets."""
        if depth > MAX_DEPTH:
            return ""
        parts = [item.text or ""]
        for child in item:
            if child.tag in _SPACES:
                parts.append(_SPACES[child.tag])
            elif child.tag == tag("text:s"):
                parts.append(" " * min(whole(child, "text:c", 1), 100))
            elif child.tag in _ASIDE:
                parts.append(self._aside(child, depth))
            elif isinstance(child.tag, str) and not _is_silent(child):
                boxed = child.tag == tag("draw:frame")
                text = self.framed.equation(child) if boxed else self._inline(child, depth + 1)
                text = symbols(text, self.text_styles.font(child))
                if self.text_styles.raises(child):
                    text = superscript(text)
                add_run(parts, text, struck=self.text_styles.strikes(child))
            if child.tail:
                parts.append(child.tail)
        text = self._seen(item, "".join(parts))
        all_of_it = item.tag in _PARAGRAPHS and self.text_styles.strikes(item)
        return struck_through(text) if all_of_it else text

    def _aside(self, item: Element, depth: int) -> str:
        """Return what stands for a note, a comment or the field of a form in its line."""
        if item.tag == tag("office:annotation"):
            self._note_comment(item, "")
            return ""
        if item.tag == tag("field:fieldmark"):
            return _field_value(item)
        note = " ".join(self._blocks(item, depth + 1))
        return f" [{' '.join(note.split())}]"

    def _seen(self, item: Element, text: str) -> str:
        if not (text and self.text_styles.hides(item)):
            return text
        self.unseen["texts"] += 1
        return ""

    def _rows(self, table: Element, *, seen: bool = False) -> list[list[str]]:
        """Return the text of a table's cells; a cell that covers several is repeated in each.

        Where only what is ``seen`` counts, rows that are hidden for good are left out.
        """
        rows: list[list[str]] = []
        cells: list[str] = []
        for row in table.iter(tag("table:table-row")):
            if next(row.iterancestors(tag("table:table"))) is not table:
                continue
            self.tables += 1
            cells = self._row(row, cells)
            self.tables -= 1
            times = whole(row, "table:number-rows-repeated", 1) if any(cells) else 1
            if seen and is_collapsed(row):
                self.unseen["rows"] += times if any(cells) else 0
                continue
            self.size += (len(cells) + sum(map(len, cells)) + 1) * times
            if self.size > _MAX_CHARACTERS:
                raise DocumentError(f"{shown(self.name)} has too many cells; save the part needed")
            rows += [cells] * times
        return rows

    def _cell(self, cell: Element) -> str:
        """Return the text of a cell; its comments wait for the end of its table."""
        comments = cell.findall(tag("office:annotation"))
        for each in comments:
            cell.remove(each)
        value = self._value(cell)
        for each in comments:
            self._note_comment(each, value)
        return struck_through(value) if value and self.text_styles.strikes(cell) else value

    def _note_comment(self, comment: Element, value: str) -> None:
        """Keep a comment for after its paragraph or table, with the value of the cell it is on."""
        waiting, self.remarks = self.remarks, []
        said = [text for each in comment if (text := flat(self._blocks([each], 1)))]
        by = comment.findtext("{*}creator")
        self.remarks = waiting + ([remark(" ".join(said), value, by)] if said else [])

    def _value(self, cell: Element) -> str:
        return flat(self._blocks(cell, 1))

    def _row(self, row: Element, above: Row) -> list[str]:
        cells: list[str] = []
        beside = 0  # cells to come that the last one covers
        for cell in row.iterchildren(tag("table:table-cell"), tag("table:covered-table-cell")):
            times = min(whole(cell, "table:number-columns-repeated", 1) or 1, MAX_SPAN)
            if cell.tag == tag("table:table-cell"):
                text = self._cell(cell)
                cells += [text] * (times if text else min(times, _MOST_EMPTY))
                beside = whole(cell, "table:number-columns-spanned", 1) - 1
                continue
            for _ in range(times):
                cells.append(Covered(cells[-1]) if beside > 0 else _continued(above, len(cells)))
                beside -= 1
        while cells and not cells[-1]:
            cells.pop()
        return cells


def _level(heading: Element) -> int:
    return min(whole(heading, "text:outline-level", 6), 6)


def _continued(above: Row, column: int) -> str:
    """Return the text of a cell that one in the row above covers."""
    cell = above[column] if column < len(above) else ""
    return cell if isinstance(cell, Covered) else Continued(cell)


def _is_silent(item: Element) -> bool:
    """Return whether a part of a paragraph is not shown, such as a variable that is only set."""
    return item.tag in _SILENT or item.get(tag("text:display")) == "none"


def _is_hidden_section(section: Element) -> bool:
    hidden = section.get(tag("text:is-hidden")) == "true"
    return hidden or section.get(tag("text:display")) == "none"


def flat(texts: Iterator[str]) -> str:
    """Return blocks of text as one line."""
    return " ".join(" ".join(texts).split())


def _field_value(field: Element) -> str:
    """Return what a field of a form shows, which LibreOffice keeps as Word's: a choice or a box."""
    name, value = tag("field:name"), tag("field:value")
    given = [(str(item.get(name)), str(item.get(value))) for item in field.iter(tag("field:param"))]
    if ticked := dict(given).get("Checkbox_Checked"):
        return "☒" if ticked == "true" else "☐"
    entries = [entry for key, entry in given if key == "Dropdown_ListEntry"]
    chosen = dict(given).get("Dropdown_Selected", "")
    return entries[int(chosen)] if chosen.isdecimal() and int(chosen) < len(entries) else ""


def _category(names: list[str], row: list[str]) -> str:
    """Return a row of a chart's numbers: ``category; name: value``."""
    named = zip(names[1:], row[1:], strict=False)
    cells = [f"{name}: {value}" if name else value for name, value in named if value]
    return "; ".join(filter(None, [row[0], *cells]))
