"""EPUB books → Markdown: their chapters in the order of the spine (EPUB 3.3, 5.7)."""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import unquote

from rag_app.documents.archive import check_archive, expand_entities
from rag_app.documents.encodings.detection import decode
from rag_app.documents.formats import ExtractedText
from rag_app.documents.text import clean, shown
from rag_app.documents.web.html import declared_charset, page_markdown
from rag_app.errors import DocumentError

if TYPE_CHECKING:
    from lxml.etree import _Element

_ABOUT = {"title": "Title", "creator": "Authors", "publisher": "Publisher", "date": "Date"}

_PAGE = re.compile("html|svg")
"""In the type of a chapter; a page of a picture book may be one drawing."""


def read_epub(data: bytes, name: str) -> ExtractedText:
    """Return a book as Markdown, after its title and authors.

    Raises:
        DocumentError: it is damaged, protected, or declares entities that multiply.
    """
    check_archive(data, name, entities=True)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        book = _Book(archive, name)
        chapters = [text for text in book.chapters() if text]
        if not chapters and "META-INF/encryption.xml" in book.names:
            raise DocumentError(f"{shown(name)} is protected; save a copy without protection (DRM)")
    about = "\n".join(f"**{label}:** {value}" for label, value in book.about() if value)
    notes = [f"{book.missing} chapters are missing from the book"] if book.missing else []
    return ExtractedText("\n\n".join(filter(None, [about, *chapters])), notes=notes)


class _Book:
    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive = archive
        self._name = name
        self.names = set(archive.namelist())
        self.missing = 0
        container = self._tree("META-INF/container.xml")
        path = next(
            (str(tag.get("full-path")) for tag in container.iter("{*}rootfile")), "content.opf"
        )
        self._folder = posixpath.dirname(path)
        self._package = self._tree(path)
        self._title = next((value for _, value in self.about()), "")

    def about(self) -> Iterator[tuple[str, str]]:
        """Yield what the book says of itself, with a label."""
        for kind, label in _ABOUT.items():
            values = [
                " ".join("".join(map(str, tag.itertext())).split())
                for tag in self._package.iter(f"{{http://purl.org/dc/elements/1.1/}}{kind}")
            ]
            yield label, clean(", ".join(filter(None, values)))

    def chapters(self) -> Iterator[str]:
        """Yield the text of each chapter."""
        items = {
            item.get("id"): item
            for item in self._package.iter("{*}item")
            if _PAGE.search(str(item.get("media-type") or item.get("href")))
        }
        spine = (str(item.get("idref")) for item in self._package.iter("{*}itemref"))
        for chapter in dict.fromkeys(spine):
            item = items.get(chapter)
            if item is None or "nav" in str(item.get("properties") or "").split():
                continue
            href = unquote(str(item.get("href") or "")).partition("#")[0]
            path = posixpath.normpath(posixpath.join(self._folder, href))
            markup = self._markup(path) if path in self.names else ""
            if "<" not in markup:  # it is lost, or another file is in its place
                self.missing += 1
                continue
            # Many books have their own title for that of each chapter.
            yield page_markdown(markup).removeprefix(f"# {self._title}\n\n").strip()

    def _markup(self, path: str) -> str:
        data = self._archive.read(path)
        text, _ = decode(data, f"{self._name}: {path}", declared=declared_charset(data))
        return expand_entities(text, self._name)

    def _tree(self, path: str) -> "_Element":
        from lxml import etree

        markup = self._markup(path).lstrip("\ufeff")
        if markup.startswith("<?xml"):  # it was decoded: what it declares is no longer so
            markup = markup.partition("?>")[2]
        parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
        return etree.fromstring(markup.strip().encode(), parser)
