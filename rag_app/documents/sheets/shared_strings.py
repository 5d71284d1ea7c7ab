"""The texts that the cells of a workbook share (ECMA-376, 18.4.8), as far as they can be read."""

import zipfile
from contextlib import suppress
from typing import SupportsIndex

from lxml import etree

from rag_app.documents.office.package import Element, struck_through
from rag_app.documents.text import superscript

_PART = "xl/sharedstrings.xml"
_OFF = ("0", "false", "off")


class SharedStrings(list[str]):
    """Texts by number; one that is not there is empty, and counted."""

    def __init__(self) -> None:
        super().__init__()
        self.missing = 0
        """How often a cell asked for a text that is not there."""

    def __getitem__(self, number: SupportsIndex) -> str:  # type: ignore[override]
        try:
            return super().__getitem__(number)
        except IndexError:
            self.missing += 1
            return ""


def read_shared_strings(archive: zipfile.ZipFile, part: str | None) -> SharedStrings:
    """Return the texts; of a damaged part those before the damage."""
    found = SharedStrings()
    names = {name.lower(): name for name in archive.namelist()}  # as Windows looks them up
    name = names.get((part or _PART).lower()) or names.get(_PART)
    if name is None:
        return found
    with archive.open(name) as file, suppress(etree.XMLSyntaxError):
        items = etree.iterparse(file, tag="{*}si", resolve_entities=False, load_dtd=False)
        for _, item in items:
            found.append(string_text(item))
            forget(item)
    return found


def string_text(item: Element) -> str:
    """Return the text of a string, what is struck through or raised in it as such."""
    parts = []
    for child in item:
        name = etree.QName(child).localname if isinstance(child.tag, str) else ""
        if name == "t":
            parts.append(child.text or "")
        elif name == "r":
            parts.append(_of_one_font(child))
    return "".join(parts)


def _of_one_font(run: Element) -> str:
    text = run.findtext("{*}t") or ""
    font = run.find("{*}rPr")
    if font is None or not text:
        return text
    raised, strike = font.find("{*}vertAlign"), font.find("{*}strike")
    if raised is not None and raised.get("val") == "superscript":
        text = superscript(text)
    struck = strike is not None and strike.get("val") not in _OFF
    return struck_through(text) if struck else text


def forget(element: Element) -> None:
    """Free an element that was read of a stream, and those before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
