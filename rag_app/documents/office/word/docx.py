"""Word documents → Markdown: what a reader of the finished document sees, with its numbers.

Deleted text and what can't be seen is left out, moved and inserted text is in its new place.
Headers and footers are written once; footnotes, comments and text boxes after the paragraph that
has them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lxml.etree import XMLSyntaxError

from rag_app.documents.archive import check_archive
from rag_app.documents.formats import ExtractedText
from rag_app.documents.office.drawings import drawing, drawing_lines, shape_text
from rag_app.documents.office.equations import equation_text
from rag_app.documents.office.numbering import Numbering
from rag_app.documents.office.package import (
    Element,
    Package,
    add_run,
    choice,
    hidden_notes,
    local_name,
    tag,
    unread_notes,
    value,
)
from rag_app.documents.office.symbol_fonts import symbol, symbols
from rag_app.documents.office.word.alternative_chunks import text_of_chunk
from rag_app.documents.office.word.bindings import Bindings
from rag_app.documents.office.word.changes import accepted, field_value
from rag_app.documents.office.word.fields import without_field_codes
from rag_app.documents.office.word.styles import (
    Style,
    font_of,
    is_bold,
    is_initial,
    is_mark_hidden,
    look_of,
    styles_by_id,
)
from rag_app.documents.office.word.tables import table_rows
from rag_app.documents.structure import is_title
from rag_app.documents.tables import table_lines
from rag_app.documents.text import clean, one_blank_line, remark, superscript

if TYPE_CHECKING:
    from rag_app.documents.pdf.reader import ReadPicture

_DEEPEST = 6
_PAGE_NUMBER = re.compile(r"[\s\d\-–—/第页共]*")
_SKIPPED = frozenset(
    map(tag, ("w:del", "w:moveFrom", "w:rPr", "w:pPr", "w:instrText", "w:delText", "w:rt",
              "w:sectPr", "w:tblPr", "w:trPr", "w:tcPr", "w:sdtPr", "w:delInstrText"))
)  # fmt: skip
_DEEP = 40  # nesting of tables and frames that is followed


def read_docx(data: bytes, name: str, read_picture: "ReadPicture | None" = None) -> ExtractedText:
    """Return a Word document as Markdown, and what was not read."""
    check_archive(data, name)
    package = Package(data)
    part = package.main("officeDocument") or "word/document.xml"
    text, notes = _Document(package, part, read_picture).read()
    return ExtractedText(text, notes=notes)


class _Document:
    """One document while it is read: its numbers go on from paragraph to paragraph."""

    def __init__(
        self, package: Package, part: str, read_picture: "ReadPicture | None" = None
    ) -> None:
        self.package = package
        self.read_picture = read_picture
        self.unread: Counter[str] = Counter()
        self.hidden = 0  # texts that can't be seen
        self.part = part
        self.targets = package.targets(part)
        self.bindings = Bindings(package, part)
        root = package.tree(part)
        if root is None:
            raise ValueError("it has no main part")
        self.root = self._final(root)
        self.numbering = Numbering(self._related("numbering"))
        self.styles = styles_by_id(self._related("styles"))
        self.notes = {
            kind: _by_id(self._related(f"{kind}s"), kind)
            for kind in ("footnote", "endnote", "comment")
        }
        self.level = 0  # the level of the last heading that has the style of one
        self.pending: list[str] = []  # lines that are after the paragraph that is being read
        self.remarks: list[str] = []
        """Notes and comments, which are after the table that is being read."""
        self.tables = 0  # how many tables are around what is being read
        self.style = Style()  # that of the paragraph that is being read
        self.initial = ""
        """A large letter, in a frame of its own, that the next paragraph begins with."""

    def read(self) -> tuple[str, list[str]]:
        body = self.root.find(tag("w:body"))
        lines = list(self._margin("w:headerReference"))
        lines += self._blocks(self.root if body is None else body, 0)
        lines += self._margin("w:footerReference")
        notes = hidden_notes({"texts": self.hidden})
        return one_blank_line(clean("\n\n".join(lines))), notes + unread_notes(self.unread)

    def _related(self, kind: str) -> Element | None:
        part = self.package.related(self.part, kind)
        return self._tree(part) if part else None

    def _tree(self, part: str) -> Element | None:
        """Return the root of a part, which costs only itself where it is damaged."""
        try:
            root = self.package.tree(part)
        except XMLSyntaxError:
            self.unread["damaged parts"] += 1
            return None
        return None if root is None else self._final(root)

    def _final(self, root: Element) -> Element:
        """Return a part as it is shown: its changes accepted, its fields and controls filled."""
        return accepted(without_field_codes(self.bindings.filled(root)))

    def _margin(self, kind: str) -> Iterator[str]:
        """Yield what is on top or at the bottom of every page, each once."""
        seen: set[str] = set()
        for reference in self.root.iter(tag(kind)):
            part = self.targets.get(value(reference, "r:id") or "", "")
            root = self._tree(part)
            if root is None:
                continue
            own, self.targets = self.targets, self.package.targets(part)
            lines = list(self._blocks(root, 0))
            self.targets = own
            for line in lines:
                if line not in seen and not _PAGE_NUMBER.fullmatch(line):
                    seen.add(line)
                    yield line

    def _blocks(self, parent: Element, depth: int) -> Iterator[str]:
        """Yield the paragraphs and tables of a part, a cell or a frame."""
        if depth > _DEEP:
            return
        for item in parent:
            if item.tag == tag("w:p"):
                if text := self._paragraph(item, depth):
                    yield text
                yield from self._taken()
            elif item.tag == tag("w:tbl"):
                yield from self._table(item, depth)
            elif item.tag == tag("w:altChunk"):
                yield from self._alternative(item)
            elif item.tag == tag("mc:AlternateContent"):
                yield from self._blocks(choice(item), depth + 1)
            elif isinstance(item.tag, str) and item.tag not in _SKIPPED:
                yield from self._blocks(item, depth + 1)

    def _apart(self, parent: Element, depth: int) -> list[str]:
        """Return the lines of a note or a frame, leaving those that wait where they are."""
        waiting, self.pending, self.remarks = (self.pending, self.remarks), [], []
        tables, self.tables, style = self.tables, 0, self.style
        lines = list(self._blocks(parent, depth))
        (self.pending, self.remarks), self.tables, self.style = waiting, tables, style
        return lines

    def _taken(self) -> list[str]:
        lines, self.pending = self.pending, []
        if not self.tables:
            lines, self.remarks = lines + self.remarks, []
        return lines

    def _paragraph(self, item: Element, depth: int) -> str:
        properties = item.find(tag("w:pPr"))
        found = None if properties is None else properties.find(tag("w:pStyle"))
        style = self.style = self.styles.get(value(found) or "", Style())
        text = self._inline(item, depth).strip()
        level, number = style.level, style.number
        number_level = self.numbering.level_of(style.number, style.linked, style.number_level)
        if properties is not None:
            outline = value(properties.find(tag("w:outlineLvl")))
            level = int(outline) if outline and outline.isdigit() else level
            own = properties.find(tag("w:numPr"))
            if own is not None:
                number = value(own.find(tag("w:numId"))) or number
                number_level = int(value(own.find(tag("w:ilvl"))) or number_level)
        if properties is not None and is_initial(properties):
            self.initial = text
            return ""
        text, self.initial = self.initial + text, ""
        label = ""
        if number and number != "0" and not (not text and is_mark_hidden(properties)):
            label = self.numbering.next(number, number_level)
        if not text:  # a cell of a column of numbers
            return label.strip(" -") if depth else ""
        text = label + text
        if level is not None and level < 9:
            self.level = min(level + 1, _DEEPEST)
            title = " ".join(text.split())
            return f"{'#' * self.level} {title}"
        if not depth and is_title(text) and is_bold(item, self.styles) and self._is_over_text(item):
            return f"{'#' * min(self.level + 1, _DEEPEST)} {text}"
        return text

    def _is_over_text(self, item: Element) -> bool:
        """Return whether a paragraph is followed by one that is not bold."""
        for below in item.itersiblings():
            if any(text.text for text in below.iter(tag("w:t"))):
                return below.tag == tag("w:p") and not is_bold(below, self.styles)
        return False

    def _inline(self, parent: Element, depth: int) -> str:
        """Return the text of a paragraph or of a part of one."""
        if depth > _DEEP:
            return ""
        out: list[str] = []
        for item in parent:
            name = item.tag
            if not isinstance(name, str) or name in _SKIPPED:
                continue
            if name == tag("w:r"):
                look = look_of(item, self.style, self.styles)
                if look.hidden:
                    self.hidden += item.find(tag("w:t")) is not None
                    continue
                text = symbols(self._inline(item, depth + 1), font_of(item))
                text = superscript(text) if look.raised else text
                add_run(out, text, struck=look.struck)
            elif name == tag("w:t"):
                out.append(item.text or "")
            elif (mark := _MARKS.get(name)) is not None:
                out.append(mark)
            elif (read := _READERS.get(name)) is not None:
                out.append(read(self, item, depth))
            elif name == tag("mc:AlternateContent"):
                out.append(self._inline(choice(item), depth + 1))
            else:
                out.append(self._inline(item, depth + 1))
        return "".join(out)

    def _symbol(self, item: Element, _: int) -> str:
        return symbol(int(value(item, "w:char") or "0", 16), value(item, "w:font") or "")

    def _subdocument(self, _: Element, __: int) -> str:
        self.unread["parts in files of their own"] += 1
        return ""

    def _note(self, item: Element, _: int) -> str:
        kind = local_name(item.tag).removesuffix("Reference")
        key = value(item, "w:id") or ""
        note = self.notes[kind].get(key)
        if note is None:
            return ""
        text = " ".join(" ".join(self._apart(note, 1)).split())
        if kind == "comment":
            self.remarks.append(remark(text, value(note, "w:author")))
            return ""
        label = key if kind == "footnote" else f"e{key}"
        self.remarks.append(f"[^{label}]: {text}")
        return f"[^{label}]"

    def _frame(self, item: Element, depth: int) -> str:
        """Keep the text of a drawing for after the paragraph; count what is not text."""
        boxes = list(item.iter("{*}txbxContent"))  # of other names in strict files
        for box in boxes:
            self.pending += self._apart(box, depth + 1)
        self.pending += filter(None, [shape_text(item)])
        self.pending += [art for shape in item.iter("{*}textpath") if (art := shape.get("string"))]
        drawn = drawing_lines(item, lambda key: drawing(self.package, self.targets.get(key, "")))
        self.pending += drawn or []
        if boxes or drawn is not None:
            return ""
        kinds = {"pic": "pictures", "imagedata": "pictures", "chart": "charts",
                 "OLEObject": "embedded objects"}  # fmt: skip
        names = {local_name(child.tag) for child in item.iter()}
        if self.read_picture is not None and "pictures" in {kinds.get(name) for name in names}:
            self.pending += self._picture_lines(item, self.read_picture)
            return ""
        self.unread.update({what for name, what in kinds.items() if name in names})
        return ""

    def _picture_lines(self, item: Element, read: "ReadPicture") -> Iterator[str]:
        """Yield the text in the pictures of a drawing."""
        from rag_app.documents.ocr import picture_lines

        for child in item.iter():
            key = child.get(tag("r:embed")) or child.get(tag("r:id"))
            if data := self.package.bytes_of(self.targets.get(key or "", "")):
                yield from picture_lines(data, read)

    def _alternative(self, item: Element) -> list[str]:
        """Return the text of a part in another format that Word shows as if it were its own."""
        part = self.targets.get(value(item, "r:id") or "", "")
        data = self.package.bytes_of(part) or b""
        text = read_docx(data, part).text if data.startswith(b"PK") else text_of_chunk(data, part)
        if text is None:
            self.unread["embedded documents"] += 1
        return [text or ""]

    def _table(self, item: Element, depth: int) -> Iterator[str]:
        inner: list[str] = []

        def text_of(cell: Element) -> str:
            text, nested = self._cell(cell, depth)
            inner.extend(nested)
            return text

        self.tables += 1
        rows, head = table_rows(item, text_of)
        self.tables -= 1
        if rows and max(map(len, rows)) == 1:  # a frame
            yield from (row[0] for row in rows if row and row[0])
        elif lines := "\n".join(table_lines(rows, head=head)):
            yield lines
        yield from inner
        yield from [] if self.tables else self._taken()

    def _cell(self, cell: Element, depth: int) -> tuple[str, list[str]]:
        """Return the text of a cell, and the tables in it."""
        text: list[str] = []
        nested: list[str] = []
        for item in cell:
            if item.tag == tag("w:tbl"):
                nested += self._table(item, depth + 1)
            elif item.tag == tag("w:p"):
                text.append(self._paragraph(item, depth + 1).lstrip("# "))
                text += self._taken()
            elif item.tag not in _SKIPPED and isinstance(item.tag, str):
                text += self._blocks(item, depth + 1)
        return " ".join(filter(None, text)), nested


_MARKS = {
    tag("w:tab"): " ", tag("w:ptab"): " ", tag("w:br"): "\n", tag("w:cr"): "\n",
    tag("w:noBreakHyphen"): "-", tag("w:softHyphen"): "",
}  # fmt: skip
_READERS: dict[str, Callable[[_Document, Element, int], str]] = {
    tag("w:sym"): _Document._symbol,
    tag("w:fldChar"): lambda _, item, __: field_value(item),
    tag("m:oMath"): lambda _, item, __: equation_text(item),
    tag("m:oMathPara"): lambda _, item, __: equation_text(item),
    tag("w:footnoteReference"): _Document._note,
    tag("w:endnoteReference"): _Document._note,
    tag("w:commentReference"): _Document._note,
    tag("w:subDoc"): _Document._subdocument,
    tag("w:drawing"): _Document._frame,
    tag("w:pict"): _Document._frame,
    tag("w:object"): _Document._frame,
}


def _by_id(root: Element | None, kind: str) -> dict[str, Element]:
    items = () if root is None else root.iter(tag(f"w:{kind}"))
    return {value(item, "w:id") or "": item for item in items if value(item, "w:type") is None}
