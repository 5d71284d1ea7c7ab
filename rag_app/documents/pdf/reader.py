"""PDF → text by geometry: columns, tables, paragraphs and headings as the page shows them."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from threading import Lock
from typing import TYPE_CHECKING

from pypdfium2 import PdfDocument, PdfiumError, PdfPage
from pypdfium2 import raw as pdfium

from rag_app.documents.formats import ExtractedText
from rag_app.documents.parts import ReadPart, read_parts
from rag_app.documents.pdf.annotations import Written, annotations, characters
from rag_app.documents.pdf.appearances import Appearances
from rag_app.documents.pdf.attachments import Attachments
from rag_app.documents.pdf.characters import LONGEST_SIDE, Char, PageCharacters
from rag_app.documents.pdf.layout import blocks
from rag_app.documents.pdf.lines import Fragment
from rag_app.documents.pdf.page_text import INSTALL_OCR, Page, page_of, text_of
from rag_app.documents.pdf.rules import Box, page_edges, picture_boxes
from rag_app.documents.pdf.running_heads import lines_of
from rag_app.documents.pdf.text_layer import page_characters
from rag_app.documents.progress import counted
from rag_app.documents.text import shown
from rag_app.errors import DocumentError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PAGES = 50_000
MAX_CHARACTERS = 50_000_000
"""A few bytes can name the same page, and a page the same text, any number of times."""
_PDFIUM = Lock()  # PDFium must be used by one thread at a time
_PICTURE = 0.02  # share of a page above which a picture may hold text
_MOST_PICTURES = 20  # pictures of a page that are looked at
_DPI = 200  # dots an inch at which pictures are read
_LEAST_CUT, _LONGEST_WATERMARK = 6, 200
"""Characters that are left of a watermark at the edge of a page, and of a whole one."""
_SCAN_TEXT = 40
"""Characters that a scanned page may have beside its picture: a stamp, a page number."""

ReadPicture = Callable[["Image"], PageCharacters]
"""Returns the characters in a picture of a page, in pixels, y upwards."""


def read_pdf(
    data: bytes,
    name: str,
    read_picture: ReadPicture | None = None,
    read_part: ReadPart | None = None,
    *,
    always: bool = False,
) -> ExtractedText:
    """Return the text of a PDF.

    Args:
        data: The file's content.
        name: The name of the file, for messages.
        read_picture: Reads pages that are pictures, or whose text can't be read.
        read_part: Reads the files that are attached to it; without one they are said.
        always: Whether it reads all pages.

    Raises:
        DocumentError: it is damaged, needs a password, is far too large, or holds no text.
    """
    attached = Attachments()
    with _PDFIUM:
        try:
            document = PdfDocument(data)
        except PdfiumError as error:
            raise _unopened(name, error) from error
        try:
            with closing(document), Appearances(data) as appearances:
                notes = _form_notes(document)
                attached.add_from(document)
                pages = list(
                    _pages(document, name, appearances, attached, read_picture, always=always)
                )
        except PdfiumError as error:
            msg = f"{shown(name)} has a damaged page ({error}); get it or save it again"
            raise DocumentError(msg) from error
    result = text_of(pages)
    notes += attached.note(read=read_part is not None)
    texts: list[str] = []
    if read_part is not None:
        texts, more = read_parts(attached.files, read_part, level=1)
        notes += more
    if not result.text and not texts:
        unread = {page.unread for page in pages if page.unread}
        hidden = any(page.hidden for page in pages)
        what = " and ".join(sorted(unread)) or ("text that nobody sees" if hidden else "pictures")
        advice = "nothing can be read in them" if read_picture else INSTALL_OCR
        raise DocumentError(f"{shown(name)} holds no text, only {what}; {advice}")
    text = "\n\n".join(filter(None, [result.text, *texts]))
    end = len(result.text) if texts else None
    return result._replace(text=text, pages_end=end, notes=[*notes, *result.notes])


def _form_notes(document: PdfDocument) -> list[str]:
    """Make the fields of a form known to its pages; return a note where it is XFA."""
    logging.getLogger("pypdfium2").setLevel(logging.ERROR)  # it warns of XFA, as is said below
    with suppress(PdfiumError):
        document.init_forms()
    if document.get_formtype() != pdfium.FORMTYPE_XFA_FULL:
        return []
    return ["its form is one of XFA, which is not read; print it as PDF in Acrobat Reader"]


def _unopened(name: str, error: Exception) -> DocumentError:
    if "password" in str(error).lower() or "security" in str(error).lower():
        return DocumentError(f"{shown(name)} needs a password; save a copy without one")
    msg = f"{shown(name)} is damaged or not a PDF ({error}); get it or save it again"
    return DocumentError(msg)


def _pages(
    document: PdfDocument,
    name: str,
    appearances: Appearances,
    attached: Attachments,
    read_picture: ReadPicture | None,
    *,
    always: bool,
) -> Iterator[Page]:
    room = MAX_CHARACTERS
    slanted: set[str] = set()
    for number in counted(range(min(len(document), MAX_PAGES + 1)), "pages", step=5):
        with closing(document[number]) as page:
            attached.add_pinned_to(page)
            filled, comments, drawn = annotations(page)
            written = _with_fields(page_characters(page), filled)
            written = _with_drawn(written, appearances.characters(number, drawn))
            written, torn = written.without_torn()
            read = _page(page, written, read_picture, always=always)
            read = read._replace(
                slanted=[Fragment(line) for line in _not_said(written.slanted, slanted)],
                comments=_said_once(read, comments),
                hidden=written.hidden,
                torn=torn,
            )
        room -= sum(len(line.chars) for line in lines_of(read.items))
        if room < 0 or number == MAX_PAGES:
            limit = f"{MAX_PAGES:,} pages or {MAX_CHARACTERS:,} characters"
            msg = f"{shown(name)} has more than {limit}: refused; split it if you trust it"
            raise DocumentError(msg)
        yield read


def _said_once(page: Page, comments: Sequence[Written]) -> list[Written]:
    """Return comments without those that say what they are about, as programs fill them in."""
    text = "".join("".join(line.text.split()) for line in lines_of(page.items))
    said = ("".join(comment.text.partition(": ")[2].split()) for comment in comments)
    return [comment for comment, words in zip(comments, said, strict=True) if words not in text]


def _page(
    page: PdfPage, written: PageCharacters, read_picture: ReadPicture | None, *, always: bool
) -> Page:
    unread = ""
    if not written.readable:
        unread = "text in a font that does not say which characters it has"
    elif len(written.chars) < _SCAN_TEXT and _pictures(page, written.chars):
        unread = "pictures"
    if read_picture is not None and (unread or written.private or always):
        read = _read_part(page, page.get_bbox(), read_picture)
        if read.chars or not written.readable:
            return page_of(read, "" if read.chars else unread)
    if not written.readable:
        return Page([], unread)
    if written.turn:
        return page_of(written, unread)
    items = blocks(written.chars, *page_edges(page))
    for chars in written.aside:
        items += blocks(chars, [], [])
    unsure = 0
    if read_picture is not None and not unread:
        for box in _pictures(page, written.chars):
            read = _read_part(page, box, read_picture)
            unsure += read.unsure
            items += blocks(read.chars, [], [])
    return Page(items, unread, written.quarter, unsure, written.private)


def _not_said(lines: Sequence[list[Char]], said: set[str]) -> Iterator[list[Char]]:
    """Yield slanted lines whose text has not been said, and add it, with what edges may cut off.

    What stands again and again on a page, or on several, is a watermark.
    """
    for line in lines:
        text = "".join(char.text for char in line)
        if text not in said:
            yield line
            said.add(text)
            if len(text) < _LONGEST_WATERMARK:
                for at in range(_LEAST_CUT, len(text)):
                    said |= {text[:at], text[-at:]}


def _with_fields(page: PageCharacters, filled: Sequence[Written]) -> PageCharacters:
    """Return the characters of a page with what is filled into its fields."""
    if not filled or page.turn:
        return page
    more = (char for each in filled for char in characters(each, page.quarter or 0))
    return page._replace(chars=[*page.chars, *more])


def _with_drawn(page: PageCharacters, drawn: PageCharacters) -> PageCharacters:
    """Return the characters of a page with what annotations draw over it."""
    if not drawn.chars or drawn.turn or page.turn:
        return page
    aside = (*page.aside, *drawn.aside)
    if page.chars and page.quarter != drawn.quarter:
        return page._replace(aside=(*aside, drawn.chars))
    return page._replace(chars=[*page.chars, *drawn.chars], aside=aside, quarter=drawn.quarter)


def _read_part(page: PdfPage, box: Box, read_picture: ReadPicture) -> PageCharacters:
    """Return the characters that can be seen in a part of a page, where they are on it."""
    left, bottom, right, top = page.get_bbox()
    crop = (max(box[0] - left, 0), max(box[1] - bottom, 0),
            max(right - box[2], 0), max(top - box[3], 0))  # fmt: skip
    scale = min(_DPI / 72, LONGEST_SIDE / max(box[2] - box[0], box[3] - box[1], 1))
    read = read_picture(page.render(scale=scale, crop=crop).to_pil())
    if read.turn:
        return read._replace(quarter=None)
    chars = [_scaled(char, 1 / scale, box[0], box[1]) for char in read.chars]
    return read._replace(chars=chars)


def _scaled(char: Char, factor: float, x: float, y: float) -> Char:
    return char._replace(
        left=char.left * factor + x,
        right=char.right * factor + x,
        bottom=char.bottom * factor + y,
        top=char.top * factor + y,
        size=char.size * factor,
    )


def _pictures(page: PdfPage, chars: Sequence[Char]) -> list[Box]:
    """Return the boxes of pictures on a page that hold no text that can be read already."""
    area = page.get_width() * page.get_height()
    found = []
    for left, bottom, right, top in picture_boxes(page):
        written = sum(
            left <= (char.left + char.right) / 2 <= right and bottom <= char.middle <= top
            for char in chars
        )
        if (right - left) * (top - bottom) >= _PICTURE * area and written < _SCAN_TEXT:
            found.append((left, bottom, right, top))
        if len(found) == _MOST_PICTURES:
            break
    return found
