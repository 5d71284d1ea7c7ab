"""Parts shared by readers of OpenDocument files (ODF 1.3): names, attributes, frames."""

import posixpath
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from lxml.etree import XMLSyntaxError

from rag_app.documents.office.package import Element, parsed

if TYPE_CHECKING:
    from rag_app.documents.pdf.reader import ReadPicture

_NAMES = {
    name: f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"
    for name in ("office", "text", "table", "style", "presentation", "chart")
} | {
    "draw": "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0",
    "fo": "urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0",
    "svg": "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0",
    "xlink": "http://www.w3.org/1999/xlink",
    "field": "urn:openoffice:names:experimental:ooo-ms-interop:xmlns:field:1.0",
    "loext": "urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0",
}
MAX_DEPTH = 200
"""How deep elements may be in elements."""
MAX_SPAN = 10_000
"""Cells that one covers, or that are repeated."""


@cache
def tag(name: str) -> str:
    """Return a name with its namespace, such as ``text:p``, as lxml has it."""
    prefix, _, local = name.partition(":")
    return f"{{{_NAMES[prefix]}}}{local}"


def whole(element: Element, name: str, default: int) -> int:
    """Return an attribute that is a whole number, else ``default``."""
    value = str(element.get(tag(name)) or "")
    return int(value) if value.isdecimal() and len(value) < 10 else default


def is_collapsed(line: Element) -> bool:
    """Return whether a row or column is hidden for good: by no filter, in no group to open."""
    groups = map(tag, ("table:table-row-group", "table:table-column-group"))
    hidden = line.get(tag("table:visibility")) == "collapse"
    return hidden and next(line.iterancestors(*groups), None) is None


class Framed:
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
        with suppress(XMLSyntaxError):  # a damaged part costs only itself
            data = self._object(frame)
            chart = parsed(data).find(f".//{tag('office:chart')}") if data else None
            return None if chart is None else chart.find(tag("chart:chart"))
        return None

    def picture(self, frame: Element) -> list[str]:
        """Return the lines in the picture of a frame, or count it."""
        image = frame.find(tag("draw:image"))
        data = self._part(image) if image is not None else b""
        if not data:
            return []
        if self._read_picture is None:
            self.unread["pictures"] += 1
            return []
        from rag_app.documents.ocr import picture_lines

        return picture_lines(data, self._read_picture)

    def _object(self, frame: Element) -> bytes:
        found = frame.find(tag("draw:object"))
        return b"" if found is None else self._part(found, "content.xml")

    def _part(self, link: Element, name: str = "") -> bytes:
        path = posixpath.normpath(str(link.get(tag("xlink:href")) or "."))
        return self._parts.get(posixpath.join(path, name) if name else path, b"")
