"""PDF → text, page by page, with the lines of each paragraph joined again."""

import re
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from rag_app.documents.naming import shown
from rag_app.documents.pages import joined
from rag_app.documents.text import clean
from rag_app.errors import DocumentError

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

MAX_PAGES = 50_000
MAX_CHARACTERS = 50_000_000
"""A few bytes can name the same page, and a page the same text, any number of times."""
_PDFIUM = Lock()
"""PDFium must be used by one thread at a time."""

_PDFIUM_HYPHEN = re.compile("[\x02\ufffe](?:\r?\n)?")
"""PDFium's own mark of a hyphen at a line's end, by its version; the line break may be gone."""
_HYPHEN = "\u2010"
"""Stands for it while lines are joined."""
_HAN = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef“”‘’…—·]")
_JOINT = re.compile(r"\w[-/]$")
_ENDS = re.compile(r"[。！？；：…!?;:.][”’」』）)】》\"']*$")
_BEGINS = re.compile(
    r"[-•·●■◆○*#▪–]\s|[（(]?[一二三四五六七八九十\d]{1,3}[、.．)）](?!\d)"
    r"|第[一二三四五六七八九十百千零〇两\d]{1,8}[章节条篇部编回卷款]|\u3000|[A-Z图表][\d.]+\s"
)
_FULL = 0.8
"""Share of the page's longest line from which on a line was broken by the layout alone."""
_FULL_SENTENCE = 0.95
"""The same where the line ends with a sentence, as the last line of a paragraph does."""


def read_pdf(data: bytes, name: str) -> tuple[str, list[int]]:
    """Return the text of a PDF and the character offset at which each page begins.

    Raises:
        DocumentError: it is damaged, needs a password, or holds only pictures.
    """
    with _PDFIUM:
        pages = _pages(data, name)
    if not any(pages):
        msg = f"{shown(name)} holds no text, only pictures; run OCR on it first (as ocrmypdf does)"
        raise DocumentError(msg)
    return joined(pages)


def _pages(data: bytes, name: str) -> list[str]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            msg = f"{shown(name)} needs a password; save a copy without one"
        else:
            msg = f"{shown(name)} is damaged or no PDF ({error}); get it or save it anew"
        raise DocumentError(msg) from error
    try:
        return _texts(document, name)
    except pypdfium2.PdfiumError as error:
        msg = f"{shown(name)} has a damaged page ({error}); get it or save it anew"
        raise DocumentError(msg) from error
    finally:
        document.close()


def _texts(document: "PdfDocument", name: str) -> list[str]:
    pages: list[str] = []
    room = MAX_CHARACTERS
    for number in range(min(len(document), MAX_PAGES + 1)):
        pages.append(_page_text(document[number]))
        room -= len(pages[-1])
        if room < 0 or number == MAX_PAGES:
            limit = f"{MAX_PAGES:,} pages or {MAX_CHARACTERS:,} characters"
            msg = f"{shown(name)} has more than {limit}: refused; split it if you trust it"
            raise DocumentError(msg)
    return pages


def _page_text(page: "PdfPage") -> str:
    textpage = page.get_textpage()
    try:
        text = str(textpage.get_text_range())
    finally:
        textpage.close()
        page.close()
    marked = _PDFIUM_HYPHEN.sub(_HYPHEN + "\n", text)
    return join_lines(clean(marked).split("\n"))


def join_lines(lines: Sequence[str]) -> str:
    """Return the lines of a page with the breaks undone that only its width made.

    A line goes on in the next one if it is about as long as the longest line of the page, unless
    the next begins a list item, chapter or indented paragraph. Blank lines end paragraphs.
    """
    longest = max(map(_width, lines), default=0)
    text = ""
    before = ""
    for line in lines:
        here = line.strip()
        if not here:
            text += "\n\n" if before else ""
        elif not before:
            text += here
        else:
            text = _appended(text, before, line.rstrip(), longest)
        before = line.rstrip() if here else ""
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _appended(text: str, before: str, line: str, longest: int) -> str:
    here = line.strip()
    if before.endswith(_HYPHEN):
        return text.removesuffix(_HYPHEN) + ("" if here[:1].islower() else "-") + here
    full = longest * (_FULL_SENTENCE if _ENDS.search(before) else _FULL)
    if _width(before) < full or _BEGINS.match(line):
        return f"{text}\n{here}"
    tight = _HAN.match(before[-1]) or _HAN.match(here[0]) or _JOINT.search(before)
    return text + ("" if tight else " ") + here


def _width(line: str) -> int:
    """Return the width of a line in halves of a Chinese character."""
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in line.rstrip())
