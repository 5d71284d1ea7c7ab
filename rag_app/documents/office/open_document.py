"""OpenDocument files (ODF 1.3): texts, workbooks and presentations → Markdown."""

import posixpath
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

from lxml import etree

from rag_app.documents.archive import MAX_SHEETS_XML, check_archive
from rag_app.documents.formats import ExtractedText
from rag_app.documents.office.numbering import numeral
from rag_app.documents.office.package import (
    add_run,
    struck_through,
    uncalculated_notes,
    unread_notes,
)
from rag_app.documents.tables import Continued, Covered, table_lines
from rag_app.documents.text import clean, join_pages, one_blank_line, shown, superscript
from rag_app.errors import DocumentError

if TYPE_CHECKING:
    from rag_app.documents.pdf.reader import ReadPicture

_NAMES = {
    name: f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"
    for name in ("office", "text", "table", "style", "presentation", "chart")
} | {
    "draw": "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0",
    "fo": "urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0",
    "xlink": "http://www.w3.org/1999/xlink",
    "field": "urn:openoffice:names:experimental:ooo-ms-interop:xmlns:field:1.0",
    "loext": "urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0",
}
_NUMBER_FORMATS = {
    "1": "decimal",
    "a": "lowerLetter",
    "A": "upperLetter",
    "i": "lowerRoman",
    "I": "upperRoman",
    "一, 二, 三, ...": "chineseCounting",
    "①, ②, ③, ...": "ideographEnclosedCircle",
    "壹, 贰, 叁, ...": "chineseLegalSimplified",
    "甲, 乙, 丙, ...": "ideographTraditional",
}
_PLACE = re.compile(r"%(\d{1,2})%")
"""Of the number of a level, in the format of a list's label as LibreOffice writes it."""
_RAISED = re.compile(r"super|[1-9]\d*(?:\.\d+)?%")
"""Where text stands on its line, as OpenDocument says it: lowered with "sub" or a minus."""
_MAX_CHARACTERS = 50_000_000
"""Of a workbook, after its repeated cells are written out."""
_MAX_SPAN = 10_000
_MAX_DEPTH = 200
_WHITE = re.compile("#(?:f[a-f]){3}", re.IGNORECASE)
Element = etree._Element


@cache
def _tag(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{_NAMES[prefix]}}}{local}"


_SILENT = {
    *map(_tag, ("text:tracked-changes", "text:ruby-text", "text:hidden-text", "text:toc-mark")),
    *map(_tag, ("text:hidden-paragraph", "text:sequence-decls", "text:index-title-template")),
    *map(_tag, ("text:note-citation", "office:forms", "presentation:notes", "table:shapes")),
}
_COLOURED = tuple(
    map(_tag, ("table:table-cell", "draw:text-box", "draw:custom-shape", "draw:page"))
)
"""What may make it dark behind white text."""
_VALUES = tuple(
    _tag(f"office:{kind}") for kind in ("string-value", "date-value", "time-value", "value")
)
"""What is not shown in its place."""
_SPACES = {_tag("text:tab"): "\t", _tag("text:line-break"): "\n", _tag("text:soft-page-break"): ""}


def read_odf(data: bytes, name: str, read_picture: "ReadPicture | None" = None) -> ExtractedText:
    """Return an OpenDocument file: blocks of a text, sheets of a workbook, slides as pages.

    Equations stand in it as LaTeX, charts as their numbers. A flat file is one XML document.

    Raises:
        DocumentError: it is damaged, needs a password, or has more cells than a table of text.
    """
    if data.lstrip().startswith(b"<"):
        root, framed = _tree(data), _Framed({}, read_picture)
        found = _Reader(root, root, name, framed).read()
        return found._replace(notes=[*found.notes, *unread_notes(framed.unread)])
    check_archive(data, name, max_xml=MAX_SHEETS_XML)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        names = set(archive.namelist())
        manifest = "META-INF/manifest.xml"
        if manifest in names and b"encryption-data" in archive.read(manifest):
            msg = f"{shown(name)} needs a password; save a copy without one"
            raise DocumentError(msg)
        roots = {
            part: _tree(archive.read(part))
            for part in ("content.xml", "styles.xml")
            if part in names
        }
        within = {part: archive.read(part) for part in names if posixpath.dirname(part)}
    framed = _Framed(within, read_picture)
    found = _Reader(roots["content.xml"], roots.get("styles.xml"), name, framed).read()
    return found._replace(notes=[*found.notes, *unread_notes(framed.unread)])


def _tree(data: bytes) -> Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.fromstring(data, parser)


class _Framed:
    """What stands in frames besides text: equations, charts, pictures."""

    def __init__(self, parts: Mapping[str, bytes], read_picture: "ReadPicture | None") -> None:
        self._parts = parts
        self._read_picture = read_picture
        self.unread: Counter[str] = Counter()

    def equation(self, frame: Element) -> str:
        """Return an equation, "" if the frame shows none."""
        from rag_app.documents.web.equations import mathml_latex

        data = self._object(frame)
        return mathml_latex(data.decode("utf-8", "replace")) if b"math" in data[:1000] else ""

    def chart(self, frame: Element) -> Element | None:
        """Return the root of a chart, None if the frame shows none."""
        with suppress(etree.XMLSyntaxError):  # a damaged part costs only itself
            data = self._object(frame)
            chart = _tree(data).find(f".//{_tag('office:chart')}") if data else None
            return None if chart is None else chart.find(_tag("chart:chart"))
        return None

    def picture(self, frame: Element) -> list[str]:
        """Return the lines in the picture of a frame, or count it."""
        image = frame.find(_tag("draw:image"))
        data = self._part(image) if image is not None else b""
        if not data:
            return []
        if self._read_picture is None:
            self.unread["pictures"] += 1
            return []
        from rag_app.documents.ocr import picture_lines

        return picture_lines(data, self._read_picture)

    def _object(self, frame: Element) -> bytes:
        found = frame.find(_tag("draw:object"))
        return b"" if found is None else self._part(found, "content.xml")

    def _part(self, link: Element, name: str = "") -> bytes:
        path = posixpath.normpath(str(link.get(_tag("xlink:href")) or "."))
        return self._parts.get(posixpath.join(path, name) if name else path, b"")


class _Reader:
    def __init__(
        self, content: Element, styles: Element | None, name: str, framed: _Framed
    ) -> None:
        self.name = name
        self.framed = framed
        self.content = content
        self.styles = styles
        self.size = 0
        self.lists = {
            str(style.get(_tag("style:name"))): style
            for root in (styles, content)
            if root is not None
            for style in root.iter(_tag("text:list-style"))
        }
        roots = [root for root in (styles, content) if root is not None]
        struck = _text_properties(roots, "style:text-line-through-style")
        self.struck = {style for style, line in struck.items() if line != "none"}
        raised = _text_properties(roots, "style:text-position")
        self.raised = {style for style, place in raised.items() if _RAISED.match(place)}
        displayed = _text_properties(roots, "text:display")
        self.hidden = {style for style, how in displayed.items() if how == "none"}
        behind = _text_properties(roots, "fo:background-color", any_properties=True)
        self.coloured = {style for style, colour in behind.items() if colour != "transparent"}
        colours = _text_properties(roots, "fo:color")
        self.white = {style for style, colour in colours.items() if _WHITE.fullmatch(colour)}
        pages = (page for root in roots for page in root.iter(_tag("style:page-layout-properties")))
        if any(page.get(_tag("fo:background-color")) for page in pages):
            self.white.clear()
        self.unseen: Counter[str] = Counter()
        """What is hidden, and how often."""
        self.uncalculated = 0
        self.drawn: list[Element] = []
        """What lies on the sheet that is being read."""
        self.counts: dict[tuple[str, int], int] = {}
        self.outline = None if styles is None else styles.find(f".//{_tag('text:outline-style')}")

    def read(self) -> ExtractedText:
        body = self.content.find(_tag("office:body"))
        kind = body[0] if body is not None and len(body) else None
        if kind is None:
            msg = f"{shown(self.name)} is damaged or no OpenDocument file; save it anew"
            raise DocumentError(msg)
        if kind.tag == _tag("office:spreadsheet"):
            return self._workbook(kind)
        if kind.tag == _tag("office:presentation"):
            pages = kind.findall(_tag("draw:page"))
            slides = [self._text(page) for page in pages]
            notes = [self._notes(page) for page in pages]
            both = [
                one_blank_line("\n\n".join(filter(None, pair)))
                for pair in zip(slides, notes, strict=True)
            ]
            text, starts = join_pages(both)
            return ExtractedText(text, page_starts=starts)
        heads = [] if self.styles is None else self._page_heads(self.styles)
        text = one_blank_line("\n\n".join([*heads, self._text(kind)]))
        return ExtractedText(text, notes=unread_notes(self.unseen))

    def _page_heads(self, styles: Element) -> list[str]:
        """Return the running heads and feet of a text, each once."""
        found = [
            self._text(part)
            for kind in ("style:header", "style:footer")
            for part in styles.iter(_tag(kind))
        ]
        return list(dict.fromkeys(filter(None, found)))

    def _notes(self, page: Element) -> str:
        notes = page.find(_tag("presentation:notes"))
        text = "" if notes is None else self._text(notes)
        return f"Notes: {text}" if text else ""

    def _text(self, part: Element) -> str:
        return one_blank_line(clean("\n\n".join(self._blocks(part, 0))))

    def _blocks(self, part: Iterable[Element], depth: int) -> Iterator[str]:
        """Yield the paragraphs, headings, lists and tables in a part."""
        if depth > _MAX_DEPTH:
            msg = f"{shown(self.name)} is nested too deep to be read"
            raise DocumentError(msg)
        for item in part:
            if item.tag in _SILENT or not isinstance(item.tag, str):
                continue
            if item.tag in (_tag("text:p"), _tag("text:h")):
                yield from self._paragraph(item, depth)
            elif item.tag == _tag("text:list"):
                yield "\n".join(self._items(item, "", 1, depth))
            elif item.tag == _tag("table:table"):
                yield "\n".join(table_lines(self._rows(item)))
            elif item.tag == _tag("draw:frame"):
                yield from self._frame(item, depth)
            else:
                yield from self._blocks(item, depth + 1)

    def _paragraph(self, item: Element, depth: int) -> Iterator[str]:
        text = self._inline(item, depth).strip()
        if item.tag == _tag("text:h") and text:
            level = min(_whole(item, "text:outline-level", 6), 6)
            if self.outline is not None:
                text = self._label(self.outline, "", level) + text
            text = f"{'#' * level} {text}"
        yield text
        yield from self._framed_in(item, depth)

    def _framed_in(self, item: Element, depth: int) -> Iterator[str]:
        for frame in item.iter(_tag("draw:frame")):
            if next(frame.iterancestors(_tag("draw:frame"), _tag("text:p")), item) is item:
                yield from self._frame(frame, depth, inline=True)

    def _frame(self, frame: Element, depth: int, *, inline: bool = False) -> Iterator[str]:
        """Yield what a frame shows; an equation only where none of the line around it has it."""
        if equation := self.framed.equation(frame):
            yield from () if inline else [equation]
        elif (chart := self.framed.chart(frame)) is not None:
            yield from self._chart(chart)
        elif frame.find(_tag("draw:text-box")) is None and frame.find(_tag("table:table")) is None:
            yield "\n".join(self.framed.picture(frame))
        else:
            yield from self._blocks(frame, depth + 1)

    def _chart(self, chart: Element) -> Iterator[str]:
        """Yield a chart's titles and its numbers."""
        for title in chart.iter(_tag("chart:title")):
            yield self._text(title)
        for table in chart.iterfind(_tag("table:table")):
            names, *rows = self._rows(table) or [[]]
            yield "\n".join(_category(names, row) for row in rows if any(row))

    def _items(self, part: Element, style: str, level: int, depth: int) -> Iterator[str]:
        """Yield the lines of a list, with their automatic numbers."""
        style = str(part.get(_tag("text:style-name")) or style)
        goes_on = part.get(_tag("text:continue-numbering")) == "true"
        if level == 1 and not goes_on and not part.get(_tag("text:continue-list")):
            self.counts = {key: count for key, count in self.counts.items() if key[0] != style}
        if depth > _MAX_DEPTH:
            return
        for item in part.iter(_tag("text:list-item"), _tag("text:list-header")):
            if item.getparent() is not part:
                continue
            numbered = item.tag == _tag("text:list-item")
            for block in item:
                if block.tag == _tag("text:list"):
                    yield from self._items(block, style, level + 1, depth + 1)
                    continue
                if block.tag not in (_tag("text:p"), _tag("text:h")):
                    yield from self._blocks([block], depth + 1)
                    continue
                text = self._inline(block, depth).strip()
                levels = self.lists.get(str(item.get(_tag("text:style-override")) or style))
                if numbered and item.get(_tag("text:start-value")):
                    self.counts[style, level] = _whole(item, "text:start-value", 1) - 1
                label = "- " if levels is None else self._label(levels, style, level)
                yield (label if numbered else "") + text
                yield from self._framed_in(block, depth)
                numbered = False

    def _label(self, levels: Element, style: str, level: int) -> str:
        """Return the number of a heading or item, as its list counts it."""
        styles = {_whole(item, "text:level", 0): item for item in levels}
        own = styles.get(level)
        kind = None if own is None else own.get(_tag("style:num-format"))
        if own is None or kind is None:
            return "- " if style else ""
        if not kind:
            return ""
        start = _whole(own, "text:start-value", 1)
        self.counts[style, level] = self.counts.get((style, level), start - 1) + 1
        for key in [key for key in self.counts if key[0] == style and key[1] > level]:
            del self.counts[key]
        numbers = {
            at: numeral(
                self.counts.get((style, at), 1),
                _NUMBER_FORMATS.get(str(styles[at].get(_tag("style:num-format"))), "decimal"),
            )
            for at in range(1, level + 1)
            if at in styles
        }
        if form := own.get(_tag("loext:num-list-format")):
            label = _PLACE.sub(lambda place: numbers.get(int(place[1]), ""), form)
            return f"{label.rstrip()} "
        first = level - _whole(own, "text:display-levels", 1) + 1
        shown_numbers = ".".join(number for at, number in numbers.items() if at >= first)
        prefix, suffix = (own.get(_tag(f"style:num-{side}")) or "" for side in ("prefix", "suffix"))
        return f"{prefix}{shown_numbers}{suffix.rstrip()} "

    def _inline(self, item: Element, depth: int) -> str:
        """Return the text of a paragraph: spaces written out, notes and comments in brackets."""
        if depth > _MAX_DEPTH:
            return ""
        parts = [item.text or ""]
        for child in item:
            if child.tag in _SPACES:
                parts.append(_SPACES[child.tag])
            elif child.tag == _tag("text:s"):
                parts.append(" " * min(_whole(child, "text:c", 1), 100))
            elif child.tag in (_tag("text:note"), _tag("office:annotation")):
                note = " ".join(self._blocks(child, depth + 1))
                parts.append(f" [{' '.join(note.split())}]")
            elif child.tag == _tag("field:fieldmark"):
                parts.append(_field_value(child))
            elif isinstance(child.tag, str) and child.tag not in _SILENT:
                boxed = child.tag == _tag("draw:frame")
                text = self.framed.equation(child) if boxed else self._inline(child, depth + 1)
                if child.get(_tag("text:style-name")) in self.raised:
                    text = superscript(text)
                add_run(parts, text, struck=self._is_struck(child))
            if child.tail:
                parts.append(child.tail)
        text = self._seen(item, "".join(parts))
        whole = item.tag in (_tag("text:p"), _tag("text:h")) and self._is_struck(item)
        return struck_through(text) if whole else text

    def _seen(self, item: Element, text: str) -> str:
        if not (text and self._is_hidden(item)):
            return text
        self.unseen["hidden texts"] += 1
        return ""

    def _is_hidden(self, item: Element) -> bool:
        style = item.get(_tag("text:style-name"))
        if style not in self.white or style in self.hidden:
            return style in self.hidden
        around = {each.get(_tag("text:style-name")) for each in (item, *item.iterancestors())}
        return not around & self.coloured and next(item.iterancestors(*_COLOURED), None) is None

    def _is_struck(self, item: Element) -> bool:
        names = (item.get(_tag("text:style-name")), item.get(_tag("table:style-name")))
        return any(name in self.struck for name in names)

    def _workbook(self, body: Element) -> ExtractedText:
        hidden_styles = {
            style.get(_tag("style:name"))
            for style in self.content.iter(_tag("style:style"))
            for properties in style.iter(_tag("style:table-properties"))
            if properties.get(_tag("table:display")) == "false"
        }
        parts: list[str] = []
        for sheet in body.iterchildren(_tag("table:table")):
            if sheet.get(_tag("table:style-name")) in hidden_styles:
                self.unseen["sheets"] += 1
            elif lines := self._sheet_lines(sheet):
                title = " ".join(str(sheet.get(_tag("table:name")) or "").split())
                parts.append(f"## {title}\n\n" + "\n".join(lines))
        notes = [f"{count} hidden {what} were left out" for what, count in self.unseen.items()]
        notes += uncalculated_notes(self.uncalculated)
        return ExtractedText(clean("\n\n".join(parts)), notes=notes)

    def _sheet_lines(self, sheet: Element) -> list[str]:
        """Return the rows of a sheet that can be seen, and what its drawings say."""
        self.drawn = [shape for shapes in sheet.findall(_tag("table:shapes")) for shape in shapes]
        rows = self._rows(sheet, seen=True)
        columns = self._hidden_columns(sheet)
        used = {at for at in columns if any(at < len(row) and row[at] for row in rows)}
        self.unseen.update({"columns": len(used)} if used else {})
        rows = [[cell for at, cell in enumerate(row) if at not in columns] for row in rows]
        drawings, self.drawn = self.drawn, []
        texts = (text.strip() for text in self._blocks(drawings, 1))
        return [*table_lines(rows), *filter(None, texts)]

    def _hidden_columns(self, sheet: Element) -> set[int]:
        """Return the columns that are hidden for good, from 0."""
        hidden: set[int] = set()
        first = 0
        for column in sheet.iter(_tag("table:table-column")):
            after = first + _whole(column, "table:number-columns-repeated", 1)
            if _is_collapsed(column):
                hidden.update(range(first, min(after, _MAX_SPAN)))
            first = after
        return hidden

    def _rows(self, table: Element, *, seen: bool = False) -> list[list[str]]:
        """Return the text of a table's cells; a cell that covers several is repeated in each.

        Args:
            table: Any.
            seen: Whether rows that are hidden for good are left out.
        """
        rows: list[list[str]] = []
        below: dict[int, tuple[int, str]] = {}
        for row in table.iter(_tag("table:table-row")):
            if next(row.iterancestors(_tag("table:table"))) is not table:
                continue
            cells = self._row(row, below)
            times = _whole(row, "table:number-rows-repeated", 1) if any(cells) else 1
            if seen and _is_collapsed(row):
                self.unseen.update({"rows": times} if any(cells) else {})
                continue
            self.size += (len(cells) + sum(map(len, cells)) + 1) * times
            if self.size > _MAX_CHARACTERS:
                msg = f"{shown(self.name)} has too many cells; save the part needed"
                raise DocumentError(msg)
            rows += [cells] * times
        return rows

    def _cell(self, cell: Element) -> str:
        """Return the text of a cell, and then its comments in brackets."""
        comments = cell.findall(_tag("office:annotation"))
        said = [f"[{text}]" for each in comments if (text := _flat(self._blocks(each, 1)))]
        for each in comments:
            cell.remove(each)
        for drawing in [each for each in cell if str(each.tag).startswith(_tag("draw:"))]:
            self.drawn.append(drawing)
            cell.remove(drawing)
        return " ".join(filter(None, [self._value(cell), *said]))

    def _value(self, cell: Element) -> str:
        """Return what a cell shows, or else its value, which programs may store alone."""
        if text := _flat(self._blocks(cell, 1)):
            return text
        value = next((str(cell.get(kind)) for kind in _VALUES if cell.get(kind)), "")
        if cell.get(_tag("office:boolean-value")):
            value = str(cell.get(_tag("office:boolean-value"))).upper()
        self.uncalculated += not value and cell.get(_tag("table:formula")) is not None
        return value

    def _row(self, row: Element, below: dict[int, tuple[int, str]]) -> list[str]:
        cells: list[str] = []
        beside = (0, "")
        for cell in row.iterchildren(_tag("table:table-cell"), _tag("table:covered-table-cell")):
            times = _whole(cell, "table:number-columns-repeated", 1)
            if cell.tag == _tag("table:covered-table-cell"):
                for _ in range(min(times, _MAX_SPAN)):
                    if beside[0]:
                        beside = (beside[0] - 1, beside[1])
                        cells.append(Covered(beside[1]))
                        continue
                    left, text = below.pop(len(cells), (0, ""))
                    if left > 1:
                        below[len(cells)] = (left - 1, text)
                    cells.append(Continued(text))
                continue
            text = self._cell(cell)
            text = struck_through(text) if text and self._is_struck(cell) else text
            columns = min(_whole(cell, "table:number-columns-spanned", 1), _MAX_SPAN)
            down = _whole(cell, "table:number-rows-spanned", 1)
            if down > 1:
                below.update({len(cells) + at: (down - 1, text) for at in range(columns)})
            beside = (columns - 1, text)
            cells += [text] * (min(times, _MAX_SPAN) if text else min(times, 1024))
        while cells and not cells[-1]:
            cells.pop()
        return cells


def _is_collapsed(line: Element) -> bool:
    """Return whether a row or column is hidden for good: by no filter, in no group to open."""
    groups = map(_tag, ("table:table-row-group", "table:table-column-group"))
    hidden = line.get(_tag("table:visibility")) == "collapse"
    return hidden and next(line.iterancestors(*groups), None) is None


def _flat(texts: Iterator[str]) -> str:
    return " ".join(" ".join(texts).split())


def _field_value(field: Element) -> str:
    """Return what a field of a form shows, which LibreOffice keeps as Word's: a choice or a box."""
    name, value = _tag("field:name"), _tag("field:value")
    given = [
        (str(item.get(name)), str(item.get(value))) for item in field.iter(_tag("field:param"))
    ]
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


def _text_properties(
    roots: list[Element], name: str, *, any_properties: bool = False
) -> dict[str, str]:
    """Return what the styles say of text, by their names: their own or a parent's word."""
    parents: dict[str, str] = {}
    own: dict[str, str] = {}
    for style in (style for root in roots for style in root.iter(_tag("style:style"))):
        key = str(style.get(_tag("style:name")))
        parents[key] = str(style.get(_tag("style:parent-style-name")))
        for properties in style.iter(None if any_properties else _tag("style:text-properties")):
            if said := properties.get(_tag(name)):
                own[key] = str(said)
    return {style: said for style in parents if (said := _inherited(style, parents, own))}


def _inherited(style: str, parents: dict[str, str], own: dict[str, str]) -> str:
    for _ in range(_MAX_DEPTH):  # parents may go round
        if style in own or style not in parents:
            break
        style = parents[style]
    return own.get(style, "")


def _whole(element: Element, name: str, default: int) -> int:
    value = str(element.get(_tag(name)) or "")
    return int(value) if value.isdecimal() and len(value) < 10 else default
