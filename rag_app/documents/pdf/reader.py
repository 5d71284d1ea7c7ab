"""PDF → text by geometry: columns, tables, paragraphs and headings as the page shows them."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from rag_app.documents.formats import ExtractedText, LineBox
from rag_app.documents.pdf.annotations import Written, annotations, characters
from rag_app.documents.pdf.characters import Char, PageCharacters, page_characters
from rag_app.documents.pdf.layout import Block, Table, blocks
from rag_app.documents.pdf.lines import Fragment, glue
from rag_app.documents.pdf.paragraphs import (
    Paragraph,
    body_size,
    heading_sizes,
    paragraphs,
    without_footnotes,
)
from rag_app.documents.pdf.rules import page_edges, place_of
from rag_app.documents.pdf.running_heads import running_lines, without
from rag_app.documents.pdf.table_heads import with_heads
from rag_app.documents.progress import counted
from rag_app.documents.tables import form_lines, lines_below
from rag_app.documents.text import clean, shown
from rag_app.errors import DocumentError

if TYPE_CHECKING:
    from PIL.Image import Image
    from pypdfium2 import PdfDocument, PdfPage

MAX_PAGES = 50_000
MAX_CHARACTERS = 50_000_000
"""A few bytes can name the same page, and a page the same text, any number of times."""
_PDFIUM = Lock()
"""PDFium must be used by one thread at a time."""
_PICTURE = 0.02
"""Share of a page above which a picture may hold text."""
_MOST_PICTURES = 20
"""Pictures of a page that are looked at."""
_DPI = 200
"""Dots an inch at which pictures are read."""
LONGEST_SIDE = 4000
"""The longest side of a picture when it is read, in pixels."""
INSTALL_OCR = "to read pictures: pip install 'rag-app[ocr]' and index again"
_SCAN_TEXT = 40
"""Characters that a scanned page may have beside its picture: a stamp, a page number."""

ReadPicture = Callable[["Image"], PageCharacters]
"""Returns the characters in a picture of a page, in pixels, y upwards."""


class _Page(NamedTuple):
    items: list[Block | Table]
    unread: str = ""
    """Why there is nothing to read though something is on the page."""
    quarter: int | None = 0
    """By how many quarters its lines were turned; None where their places are not known."""
    unsure: int = 0
    """Characters that were read in a picture with little confidence."""
    private: int = 0
    """Characters whose font does not say which they are, among others that can be read."""
    hidden: int = 0
    """Characters that a reader does not see."""
    comments: Sequence[Written] = ()
    """What readers wrote on it."""


def read_pdf(
    data: bytes, name: str, read_picture: ReadPicture | None = None, *, always: bool = False
) -> ExtractedText:
    """Return the text of a PDF.

    Args:
        data: The file's content.
        name: The name of the file, for messages.
        read_picture: Reads pages that are pictures, or whose text can't be read.
        always: Whether it reads all pages.

    Raises:
        DocumentError: it is damaged, needs a password, is far too large, or holds no text.
    """
    import pypdfium2

    with _PDFIUM:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            raise _unopened(name, error) from error
        try:
            notes = _form_notes(document)
            pages = list(_pages(document, name, read_picture, always=always))
        except pypdfium2.PdfiumError as error:
            msg = f"{shown(name)} has a damaged page ({error}); get it or save it again"
            raise DocumentError(msg) from error
        finally:
            document.close()
    result = text_of(pages)
    if not result.text:
        unread = {page.unread for page in pages if page.unread}
        hidden = any(page.hidden for page in pages)
        what = " and ".join(sorted(unread)) or ("text that nobody sees" if hidden else "pictures")
        advice = "nothing can be read in them" if read_picture else INSTALL_OCR
        msg = f"{shown(name)} holds no text, only {what}; {advice}"
        raise DocumentError(msg)
    return result._replace(notes=[*notes, *result.notes])


def _form_notes(document: "PdfDocument") -> list[str]:
    """Make the fields of a form known to its pages; return a note where it is XFA."""
    from pypdfium2 import PdfiumError
    from pypdfium2 import raw as pdfium

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
    document: "PdfDocument", name: str, read_picture: ReadPicture | None, *, always: bool
) -> Iterator[_Page]:
    room = MAX_CHARACTERS
    for number in counted(range(min(len(document), MAX_PAGES + 1)), "pages", step=5):
        page = document[number]
        try:
            filled, comments = annotations(page)
            written = _with_fields(page_characters(page), filled)
            read = _page(page, written, read_picture, always=always)
            read = read._replace(comments=_said_once(read, comments), hidden=written.hidden)
        finally:
            page.close()
        room -= sum(
            len(line.chars) for item in read.items if isinstance(item, Block) for line in item.lines
        )
        if room < 0 or number == MAX_PAGES:
            limit = f"{MAX_PAGES:,} pages or {MAX_CHARACTERS:,} characters"
            msg = f"{shown(name)} has more than {limit}: refused; split it if you trust it"
            raise DocumentError(msg)
        yield read


def _said_once(page: _Page, comments: Sequence[Written]) -> list[Written]:
    """Return comments without those that say what they are about, as programs fill them in."""
    blocks = (item for item in page.items if isinstance(item, Block))
    text = "".join("".join(line.text.split()) for block in blocks for line in block.lines)
    said = ("".join(comment.text.partition(": ")[2].split()) for comment in comments)
    return [comment for comment, words in zip(comments, said, strict=True) if words not in text]


def _page(
    page: "PdfPage", written: PageCharacters, read_picture: ReadPicture | None, *, always: bool
) -> _Page:
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
        return _Page([], unread)
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
    return _Page(items, unread, written.quarter, unsure, written.private)


def _with_fields(page: PageCharacters, filled: Sequence[Written]) -> PageCharacters:
    """Return the characters of a page with what is filled into its fields."""
    if not filled or page.turn:
        return page
    more = (char for each in filled for char in characters(each, page.quarter or 0))
    return page._replace(chars=[*page.chars, *more])


def page_of(read: PageCharacters, unread: str = "") -> _Page:
    """Return what was read of a picture as a page."""
    return _Page(blocks(read.chars, [], []), unread, read.quarter, read.unsure)


def _read_part(
    page: "PdfPage", box: tuple[float, float, float, float], read_picture: ReadPicture
) -> PageCharacters:
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


def _pictures(page: "PdfPage", chars: Sequence[Char]) -> list[tuple[float, float, float, float]]:
    """Return the boxes of pictures on a page that hold no text that can be read already."""
    from pypdfium2 import raw as pdfium

    area = page.get_width() * page.get_height()
    found = []
    for item in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = place_of(item).on_rect(*item.get_bounds())
        written = sum(
            left <= (char.left + char.right) / 2 <= right and bottom <= char.middle <= top
            for char in chars
        )
        if (right - left) * (top - bottom) >= _PICTURE * area and written < _SCAN_TEXT:
            found.append((left, bottom, right, top))
        if len(found) == _MOST_PICTURES:
            break
    return found


def _notes(pages: Sequence[_Page]) -> list[str]:
    notes = []
    for reason in sorted({page.unread for page in pages if page.unread}):
        numbers = [number for number, page in enumerate(pages, 1) if page.unread == reason]
        notes.append(
            f"{len(numbers)} of {len(pages)} pages hold only {reason} and were not read "
            f"(page {_ranges(numbers)}); {INSTALL_OCR}"
        )
    if unsure := [number for number, page in enumerate(pages, 1) if page.unsure]:
        count = sum(page.unsure for page in pages)
        notes.append(
            f"{count} characters on page {_ranges(unsure)} were hard to read; check what they say"
        )
    if private := [number for number, page in enumerate(pages, 1) if page.private]:
        count = sum(page.private for page in pages)
        notes.append(
            f"{count} characters on page {_ranges(private)} have a font that does not say which "
            f"they are; {INSTALL_OCR}"
        )
    if hidden := [number for number, page in enumerate(pages, 1) if page.hidden]:
        count = sum(page.hidden for page in pages)
        notes.append(
            f"{count} characters on page {_ranges(hidden)} that a reader does not see were left "
            "out: they are of the page's colour, covered, beyond its edge, or in a hidden layer"
        )
    return notes


def _ranges(numbers: Sequence[int]) -> str:
    """Return page numbers with runs shortened, as in ``2-4, 7``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)


def text_of(pages: Sequence[_Page]) -> ExtractedText:
    """Return pages as one text, with notes of what was not read."""
    whole = [with_heads(page.items) for page in pages]
    running, heads = running_lines(whole)
    items = [without(page, running) for page in whole]
    lines = [
        line for page in items for item in page if isinstance(item, Block) for line in item.lines
    ]
    body = body_size(lines)
    headings = heading_sizes(lines, body)
    writer = _Writer()
    for number, page in enumerate(items, 1):
        writer.begin_page(number, pages[number - 1].quarter)
        kept, notes = without_footnotes(page, body)
        if number == 1:
            for head in heads:
                writer.add(Paragraph([head]))
        content: list[Paragraph | Table] = []
        for item in kept:
            content += [item] if isinstance(item, Table) else paragraphs(item, body, headings)
        footnotes = [*paragraphs(Block(notes), body, ())] if notes else []
        # Notes of a page stand before a paragraph that goes on on the next one.
        at = len(content)
        if content and isinstance(content[-1], Paragraph) and content[-1].open:
            at -= 1
        content[at:at] = footnotes
        for comment in pages[number - 1].comments:
            content.append(Paragraph([Fragment(list(characters(comment)))]))
        for part in content:
            writer.add(part)
    return writer.finish()._replace(notes=_notes(pages))


_LEADERS = re.compile(r"\s*(?:[.·•․‥…。]\s?){6,}\s*(?=\S)")
"""What leads from a heading to its page in a table of contents."""
_LOWEST = 160.0
"""Points above the foot of a page below which a table ends that goes on elsewhere."""
_SAME_WIDTH = 3.0
"""Points by which the parts of a table may differ."""


class _Writer:
    """Puts paragraphs and tables one after the other and keeps where each line stands."""

    def __init__(self) -> None:
        self._boxes: list[LineBox] = []
        self._starts: list[int] = []
        self._done: list[str] = []
        self._length = 0
        self._page = 0
        self._quarter: int | None = 0
        self._open = False
        self._new_page = False
        self._table: Table | None = None
        self._head: Sequence[str] = ()

    def begin_page(self, number: int, quarter: int | None) -> None:
        self._open = self._open and not self._new_page  # nothing goes on over an empty page
        self._page, self._quarter, self._new_page = number, quarter, True
        self._starts.append(-1)

    def add(self, part: Paragraph | Table) -> None:
        if isinstance(part, Table):
            self._add_table(part)
            return
        self._table = None
        texts = [_LEADERS.sub(" … ", clean(line.text).strip()) for line in part.lines]
        goes_on = self._new_page and self._open and not part.fresh and not part.level
        if goes_on:
            self._glue(texts[0])
        else:
            self._break("\n" if part.close else "\n\n")
        self._start_page()
        if part.level:
            self._write("#" * part.level + " ")
        for number, (line, text) in enumerate(zip(part.lines, texts, strict=True)):
            if number:
                self._glue(text)
            self._line(line, text)
        self._open = part.open

    def _add_table(self, table: Table) -> None:
        goes_on = self._goes_on(table)
        if table.is_form:
            rows, self._head = form_lines(table.rows), ()
        else:
            rows, self._head = lines_below(table.rows, self._head if goes_on else None)
        if rows:
            self._break("\n" if goes_on else "\n\n")
            self._start_page()
            start = self._length
            self._write(clean("\n".join(rows)))
            self._box(start, (table.left, table.bottom, table.right, table.top))
        self._open, self._table = False, table

    def _goes_on(self, table: Table) -> bool:
        """Return whether a table goes on from the page or column before, where one ended."""
        before = self._table
        if before is None or before.is_form or before.bottom > _LOWEST:
            return False
        if not self._new_page and table.left < before.right:
            return False
        widths = [max(map(len, part.rows), default=0) for part in (before, table)]
        apart = abs((table.right - table.left) - (before.right - before.left))
        return widths[0] == widths[1] and apart <= _SAME_WIDTH

    def finish(self) -> ExtractedText:
        starts = self._starts
        for number in range(len(starts) - 1, -1, -1):
            if starts[number] < 0:
                starts[number] = starts[number + 1] if number + 1 < len(starts) else self._length
        return ExtractedText("".join(self._done), page_starts=starts, boxes=self._boxes)

    def _start_page(self) -> None:
        if self._new_page:
            self._starts[-1] = self._length
        self._new_page = False

    def _break(self, kind: str) -> None:
        if self._length:
            self._write(kind)

    def _glue(self, line: str) -> None:
        before = self._done[-1]
        text, between = glue(before, line)
        if text != before:
            self._done[-1] = text
            self._length -= len(before) - len(text)
        self._write(between)

    def _write(self, text: str) -> None:
        if text:
            self._done.append(text)
            self._length += len(text)

    def _line(self, line: Fragment, text: str) -> None:
        start = self._length
        self._write(text)
        self._box(start, (line.left, line.bottom, line.right, line.top))

    def _box(self, start: int, box: tuple[float, float, float, float]) -> None:
        """Note where the text from ``start`` on stands on the page, before it was turned."""
        if self._quarter is None:
            return
        for _ in range(self._quarter):
            left, bottom, right, top = box
            box = (bottom, -right, top, -left)
        rounded = (round(number, 1) for number in box)
        self._boxes.append(LineBox(start, self._length, self._page, *rounded))
