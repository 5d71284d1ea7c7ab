"""The pages of a PDF as one text, in which each line knows its place on its page."""

from collections.abc import Sequence
from typing import NamedTuple

from rag_app.documents.formats import ExtractedText, LineBox
from rag_app.documents.pdf.annotations import Written, characters
from rag_app.documents.pdf.characters import HYPHEN, PageCharacters
from rag_app.documents.pdf.layout import Block, blocks, facing_pages
from rag_app.documents.pdf.lines import Fragment, glue
from rag_app.documents.pdf.paragraphs import (
    LEADERS,
    Paragraph,
    body_size,
    heading_sizes,
    paragraphs,
    without_footnotes,
)
from rag_app.documents.pdf.rules import Box
from rag_app.documents.pdf.running_heads import lines_of, running_lines, without
from rag_app.documents.pdf.tables.ruled_tables import Table
from rag_app.documents.pdf.tables.table_heads import with_heads
from rag_app.documents.tables import form_lines, lines_below
from rag_app.documents.text import clean

INSTALL_OCR = "to read pictures: pip install 'rag-app[ocr]' and index again"
_LOWEST = 160.0  # points above the foot of a page below which a table ends that goes on elsewhere
_SAME_SIZE = 0.03
"""Share by which the text of a paragraph that goes on in the next column may differ in size."""
_SAME_WIDTH = 3.0  # points by which the parts of a table may differ


class Page(NamedTuple):
    """What was read of a page, in the order of reading, and what was not."""

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
    torn: int = 0
    """Characters that were left out, since they are codes that are damaged."""
    slanted: Sequence[Fragment] = ()
    """Lines that stand aslant on it."""
    comments: Sequence[Written] = ()
    """What readers wrote on it."""


def page_of(read: PageCharacters, unread: str = "") -> Page:
    """Return what was read of a picture as a page."""
    pages = facing_pages(read.chars)
    items = [item for chars in pages for item in blocks(chars, [], [])]
    return Page(items, unread, read.quarter, read.unsure)


_COUNTED = {
    "unsure": "{} characters on page {} were hard to read; check what they say",
    "torn": "{} damaged characters on page {} were left out; get it or save it again",
    "private": "{} characters on page {} have a font that does not say which they are; "
    + INSTALL_OCR,
    "hidden": "{} characters on page {} that a reader does not see were left out: they are of the "
    "page's colour, covered, beyond its edge, or in a hidden layer",
}
"""What is said of the characters that a page counts, of how many and on which pages."""


def _notes(pages: Sequence[Page]) -> list[str]:
    notes = []
    for reason in sorted({page.unread for page in pages if page.unread}):
        numbers = [number for number, page in enumerate(pages, 1) if page.unread == reason]
        notes.append(
            f"{len(numbers)} of {len(pages)} pages hold only {reason} and were not read "
            f"(page {_ranges(numbers)}); {INSTALL_OCR}"
        )
    for kind, said in _COUNTED.items():
        counts = [getattr(page, kind) for page in pages]
        if numbers := [number for number, count in enumerate(counts, 1) if count]:
            notes.append(said.format(sum(counts), _ranges(numbers)))
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


def text_of(pages: Sequence[Page]) -> ExtractedText:
    """Return pages as one text, with notes of what was not read."""
    whole = [with_heads(page.items) for page in pages]
    running, heads = running_lines(whole)
    items = [without(page, running) for page in whole]
    lines = [line for page in items for line in lines_of(page)]
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
        footnotes += [Paragraph([line]) for line in pages[number - 1].slanted]
        # They stand before a paragraph that goes on on the next one.
        at = len(content)
        last = content[-1] if content and number < len(items) else None
        if isinstance(last, Paragraph) and last.open:
            at -= 1
        content[at:at] = footnotes
        for comment in pages[number - 1].comments:
            content.append(Paragraph([Fragment(list(characters(comment)))]))
        for part in content:
            writer.add(part)
    return writer.finish()._replace(notes=_notes(pages))


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
        self._last: Fragment | None = None
        """The last line, if the text before is lines that a width broke."""
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
        texts = [LEADERS.sub(" … ", clean(line.text).strip()) for line in part.lines]
        further = self._new_page or self._is_next_column(part.lines[0])
        goes_on = further and self._open and not part.fresh and not part.level
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
            start = self._length
            self._write(text)
            self._box(start, (line.left, line.bottom, line.right, line.top))
        self._open, self._last = part.open, part.lines[-1] if len(part.lines) > 1 else None

    def _is_next_column(self, line: Fragment) -> bool:
        """Return whether a line begins the column beside that of the last line."""
        before = self._last
        if before is None or abs(before.size - line.size) > _SAME_SIZE * line.size:
            return False
        return line.bottom > before.top and line.left > before.right - 1

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
        text = "".join(self._done).replace(HYPHEN, "-")  # it parts no word
        return ExtractedText(text, page_starts=starts, boxes=self._boxes)

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

    def _box(self, start: int, box: Box) -> None:
        """Note where the text from ``start`` on stands on the page, before it was turned."""
        if self._quarter is None:
            return
        for _ in range(self._quarter):
            left, bottom, right, top = box
            box = (bottom, -right, top, -left)
        rounded = (round(number, 1) for number in box)
        self._boxes.append(LineBox(start, self._length, self._page, *rounded))
