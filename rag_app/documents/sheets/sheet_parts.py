"""Content of a workbook's sheets besides cells: text boxes, charts, pictures, comments."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from lxml.etree import XMLSyntaxError

from rag_app.documents.office.drawings import drawing, drawing_lines, shape_text
from rag_app.documents.office.package import Element, Package, tag, without_fallbacks

if TYPE_CHECKING:
    from rag_app.documents.pdf.reader import ReadPicture

_IN_CELLS = "xl/cellimages.xml"  # WPS's, of pictures that cells hold
_CONTROL = re.compile(rb"<(?:\w+:)?control\s[^<>]*>")
_SHAPE_ID = re.compile(r'\bshapeId="(\d+)"')
_RELATION = re.compile(r'\br:id="(\w+)"')
_PICTURE_ID = re.compile(r'"(ID_\w+)"')


class SheetParts:
    """The parts of a workbook that its sheets refer to."""

    def __init__(self, package: Package, read_picture: "ReadPicture | None" = None) -> None:
        self._package = package
        self._read_picture = read_picture
        self._sheets = dict(self._named())
        self._people: dict[str, str] | None = None
        self._in_cells: dict[str, str] | None = None
        self.unread: Counter[str] = Counter()
        """What was found on the sheets and not read, and how often."""

    def chart_sheets(self) -> list[str]:
        """Return the names of the sheets that are nothing but a chart, and can be seen."""
        return [name for name, part in self._sheets.items() if "/chartsheets/" in part]

    def lines(self, sheet: str) -> Iterator[str]:
        """Yield what the drawings of a sheet say, from its top to its foot."""
        ticks = self._ticks(sheet)
        for part in self._parts(sheet, "/drawings/drawing"):
            root = self._tree(part)
            if root is None:
                continue
            targets = self._targets(part)
            for anchor in sorted(without_fallbacks(root), key=_place):
                if not _is_hidden(anchor):
                    yield from self._anchored(anchor, targets, ticks)

    def comments(self, sheet: str) -> list[tuple[str, str, str]]:
        """Return the entries of discussions on a sheet: cell, author, text (MS-XLSX, 2.1.13)."""
        return [
            (str(entry.get("ref")), self._author(entry), text)
            for part in self._parts(sheet, "/threadedComments/")
            if (root := self._tree(part)) is not None
            for entry in root
            if (text := " ".join(str(entry.findtext("{*}text") or "").split()))
        ]

    def in_cells(self, row: list[str]) -> list[str]:
        """Return a row with the texts in the pictures of WPS's cells: ``=DISPIMG("ID_…",1)``."""
        if not any("DISPIMG(" in cell for cell in row):
            return row
        return [self._in_cell(cell) if "DISPIMG(" in cell else cell for cell in row]

    def _in_cell(self, formula: str) -> str:
        if self._in_cells is None:
            self._in_cells = {
                str(named.get("name")): str(blip.get(tag("r:embed")))
                for picture in self._pictures()
                for named in picture.iter("{*}cNvPr")
                for blip in picture.iter(tag("a:blip"))
            }
        key = self._in_cells.get((_PICTURE_ID.findall(formula) or [""])[0], "")
        return " ".join(self._read(self._targets(_IN_CELLS).get(key, "")))

    def _pictures(self) -> Iterator[Element]:
        root = self._tree(_IN_CELLS)
        yield from () if root is None else root.iter("{*}pic")

    def _read(self, part: str) -> list[str]:
        """Return the lines in a picture, or count it."""
        if self._read_picture is None:
            self.unread["pictures"] += 1
            return []
        from rag_app.documents.ocr import picture_lines

        data = self._package.bytes_of(part)
        return picture_lines(data, self._read_picture) if data else []

    def _named(self) -> Iterator[tuple[str, str]]:
        book = ""
        with suppress(XMLSyntaxError):
            book = self._package.main("officeDocument")
        book = book or "xl/workbook.xml"
        targets = self._targets(book)
        root = self._tree(book)
        for sheet in () if root is None else root.iter("{*}sheet"):
            part = "/" + targets.get(str(sheet.get(tag("r:id"))), "")
            if "/chartsheets/" not in part or sheet.get("state") in (None, "visible"):
                yield str(sheet.get("name") or ""), part

    def _parts(self, sheet: str, kind: str) -> list[str]:
        part = self._sheets.get(sheet, "").lstrip("/")
        return [to for to in self._targets(part).values() if kind in "/" + to]

    def _targets(self, part: str) -> dict[str, str]:
        with suppress(XMLSyntaxError):
            return self._package.targets(part)
        return {}

    def _tree(self, part: str) -> Element | None:
        with suppress(XMLSyntaxError):  # it costs only itself
            return self._package.tree(part)
        return None

    def _ticks(self, sheet: str) -> dict[str, str]:
        """Return the boxes that are ticked, or not, on a sheet by the ids of their shapes."""
        part = self._sheets.get(sheet, "").lstrip("/")
        targets = {key: to for key, to in self._targets(part).items() if "/ctrlProps/" in "/" + to}
        data = (self._package.bytes_of(part) or b"") if targets else b""
        found: dict[str, str] = {}
        for control in (each.decode("utf-8", "replace") for each in _CONTROL.findall(data)):
            shape, key = _SHAPE_ID.search(control), _RELATION.search(control)
            root = self._tree(targets.get(key[1], "")) if key else None
            if shape and root is not None and root.get("objectType") in {"CheckBox", "Radio"}:
                found[shape[1]] = "☒ " if root.get("checked") == "Checked" else "☐ "
        return found

    def _anchored(
        self, anchor: Element, targets: dict[str, str], ticks: dict[str, str]
    ) -> Iterator[str]:
        for shape in anchor.iter("{*}sp"):
            if text := shape_text(shape):
                properties = shape.find(".//{*}cNvPr")
                key = "" if properties is None else str(properties.get("id"))
                yield ticks.get(key, "") + text
        drawn = drawing_lines(anchor, lambda key: drawing(self._package, targets.get(key, "")))
        yield from drawn or ()
        if drawn is None and anchor.find(".//{*}chart") is not None:
            self.unread["charts"] += 1
        for picture in anchor.iter(tag("a:blip")):
            yield from self._read(targets.get(str(picture.get(tag("r:embed"))), ""))

    def _author(self, entry: Element) -> str:
        if self._people is None:
            root = self._tree("xl/persons/person.xml")
            self._people = {
                str(person.get("id")): str(person.get("displayName") or "")
                for person in (() if root is None else root)
            }
        return self._people.get(str(entry.get("personId")), "")


def _place(anchor: Element) -> tuple[int, int]:
    """Return the row and column at which something on a sheet begins."""
    corner = anchor.find("{*}from")
    found = [None if corner is None else corner.findtext(f"{{*}}{name}") for name in ("row", "col")]
    row, column = (int(text) if text and text.strip().isdecimal() else 0 for text in found)
    return row, column


def _is_hidden(anchor: Element) -> bool:
    """Return whether it is hidden; controls are called so, for programs that draw them twice."""
    properties = anchor.find(".//{*}cNvPr")
    hidden = properties is not None and properties.get("hidden") in ("1", "true")
    return hidden and anchor.find(".//{*}compatExt") is None
