"""OpenDocument files (ODF 1.3): texts, workbooks and presentations → Markdown."""

import posixpath
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING

from rag_app.documents.archive import MAX_SHEETS_XML, check_archive
from rag_app.documents.formats import ExtractedText
from rag_app.documents.office.open_document.parts import (
    MAX_SPAN,
    Framed,
    is_collapsed,
    tag,
    whole,
)
from rag_app.documents.office.open_document.reader import OpenReader, flat
from rag_app.documents.office.package import (
    Element,
    hidden_notes,
    parsed,
    uncalculated_notes,
    unread_notes,
)
from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import HiddenColumns
from rag_app.documents.text import clean, shown
from rag_app.errors import DocumentError

if TYPE_CHECKING:
    from rag_app.documents.pdf.reader import ReadPicture

_VALUES = tuple(
    tag(f"office:{kind}") for kind in ("string-value", "date-value", "time-value", "value")
)


def read_odf(data: bytes, name: str, read_picture: "ReadPicture | None" = None) -> ExtractedText:
    """Return an OpenDocument file: blocks of a text, sheets of a workbook, slides as pages.

    Equations stand in it as LaTeX, charts as their numbers. A flat file is one XML document.

    Raises:
        DocumentError: it is damaged, needs a password, or has more cells than a table of text.
    """
    if data.lstrip().startswith(b"<"):
        root, framed = parsed(data), Framed({}, read_picture)
        found = _reader(root, root, name, framed).read()
        return found._replace(notes=[*found.notes, *unread_notes(framed.unread)])
    check_archive(data, name, max_xml=MAX_SHEETS_XML)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        names = set(archive.namelist())
        manifest = "META-INF/manifest.xml"
        if manifest in names and b"encryption-data" in archive.read(manifest):
            raise DocumentError(f"{shown(name)} needs a password; save a copy without one")
        roots = {
            part: parsed(archive.read(part))
            for part in ("content.xml", "styles.xml")
            if part in names
        }
        within = {part: archive.read(part) for part in names if posixpath.dirname(part)}
    framed = Framed(within, read_picture)
    found = _reader(roots["content.xml"], roots.get("styles.xml"), name, framed).read()
    return found._replace(notes=[*found.notes, *unread_notes(framed.unread)])


def _reader(content: Element, styles: Element | None, name: str, framed: Framed) -> OpenReader:
    sheets = content.find(f"{tag('office:body')}/{tag('office:spreadsheet')}")
    kind = OpenReader if sheets is None else _Workbook
    return kind(content, styles, name, framed)


class _Workbook(OpenReader):
    """Reads the sheets of a workbook as far as they can be seen."""

    def __init__(self, content: Element, styles: Element | None, name: str, framed: Framed) -> None:
        super().__init__(content, styles, name, framed)
        self.uncalculated = 0  # formulas without a result
        self.drawn: list[Element] = []  # what lies on the sheet that is being read

    def _of_kind(self, kind: Element) -> ExtractedText:
        hidden_styles = {
            style.get(tag("style:name"))
            for style in self.content.iter(tag("style:style"))
            for properties in style.iter(tag("style:table-properties"))
            if properties.get(tag("table:display")) == "false"
        }
        parts: list[str] = []
        for sheet in kind.iterchildren(tag("table:table")):
            if sheet.get(tag("table:style-name")) in hidden_styles:
                self.unseen["sheets"] += 1
            elif lines := self._sheet_lines(sheet):
                title = " ".join(str(sheet.get(tag("table:name")) or "").split())
                parts.append(f"## {title}\n\n" + "\n".join(lines))
        notes = hidden_notes(self.unseen) + uncalculated_notes(self.uncalculated)
        return ExtractedText(clean("\n\n".join(parts)), notes=notes)

    def _sheet_lines(self, sheet: Element) -> list[str]:
        """Return the rows of a sheet that can be seen, and what its drawings say."""
        self.drawn = [shape for shapes in sheet.findall(tag("table:shapes")) for shape in shapes]
        rows = self._rows(sheet, seen=True)
        columns = self._hidden_columns(sheet)
        rows = list(map(columns.without, rows))
        self.unseen["columns"] += len(columns.used)
        drawings, self.drawn = self.drawn, []
        texts = (text.strip() for text in self._blocks(drawings, 1))
        return [*table_lines(rows), *self._remarks(), *filter(None, texts)]

    def _hidden_columns(self, sheet: Element) -> HiddenColumns:
        """Return the columns that are hidden for good."""
        hidden = HiddenColumns()
        first = 0
        for column in sheet.iter(tag("table:table-column")):
            after = first + whole(column, "table:number-columns-repeated", 1)
            if is_collapsed(column):
                hidden.update(range(first, min(after, MAX_SPAN)))
            first = after
        return hidden

    def _value(self, cell: Element) -> str:
        """Return what a cell shows, or else its value, which programs may store alone."""
        text = flat(self._blocks(cell, 1))
        if text or cell.find(tag("text:p")) is not None:  # it may show nothing
            return text
        value = next((str(cell.get(kind)) for kind in _VALUES if cell.get(kind)), "")
        if cell.get(tag("office:boolean-value")):
            value = str(cell.get(tag("office:boolean-value"))).upper()
        self.uncalculated += not value and cell.get(tag("table:formula")) is not None
        return value
