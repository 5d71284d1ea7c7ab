"""Documents → chunks whose places in the text are known exactly."""

import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.documents import Document
from langchain_text_splitters import TextSplitter

from rag_app.documents.boundaries import Boundaries, BoundaryKind
from rag_app.documents.formats import LineBox
from rag_app.documents.structure import Structure
from rag_app.settings import CHUNK_OVERLAP, CHUNK_SIZE

_FILL = {BoundaryKind.HEADING: 0.3}
_ENOUGH = 0.5  # share of the size that a chunk has at least when it ends at a good place
_SENTENCES = (BoundaryKind.PARAGRAPH, BoundaryKind.LINE, BoundaryKind.SENTENCE)
_OF_TEXTS = {"page_starts", "pages_end", "boxes", "notes"}
"""Metadata of a whole text that its chunks don't repeat."""
_TEXT = re.compile(r"\S")


def _skip_space(text: str, at: int) -> int:
    found = _TEXT.search(text, at)
    return found.start() if found else len(text)


class ChineseTextSplitter(TextSplitter):
    """Cuts text at the best boundary that leaves a chunk reasonably full.

    A chunk ends, in this order of preference, before a heading, at the end of a paragraph, a
    line, a sentence (with the quotes that close it), a clause, at a space; else between words
    and numbers; in the middle of one only if it is longer than a chunk. The next chunk begins
    with the last whole sentences of this one, as far as the overlap allows, unless it begins
    with a heading.

    Args:
        chunk_size: Most characters in a chunk.
        chunk_overlap: Most characters that a chunk shares with the one before it.

    Raises:
        ValueError: the size is not positive, or the overlap not below it.

    Example:
        >>> splitter = ChineseTextSplitter(chunk_size=12, chunk_overlap=0)
        >>> splitter.split_text("李白病逝于当涂。墓在青山。")
        ['李白病逝于当涂。', '墓在青山。']
    """

    def __init__(self, chunk_size: int = CHUNK_SIZE, chunk_overlap: int = CHUNK_OVERLAP) -> None:
        if chunk_overlap >= chunk_size > 0:
            raise ValueError(f"chunk overlap {chunk_overlap} must be below chunk size {chunk_size}")
        super().__init__(chunk_size=chunk_size, chunk_overlap=chunk_overlap)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return ``(start, end)`` of each chunk in order; white space at the edges is left out.

        Every character that is not white space is in one chunk at least.
        """
        return list(self._spans(Boundaries(text)))

    def split_text(self, text: str) -> list[str]:
        """Return the chunks of ``text``."""
        return [text[start:end] for start, end in self.spans(text)]

    def create_documents(
        self, texts: list[str], metadatas: list[dict[Any, Any]] | None = None
    ) -> list[Document]:
        """Return the chunks of all texts; `split_documents` does so for documents.

        The metadata of a chunk are those of its text, with ``start`` and ``end`` (characters in
        the text, ``text[start:end]`` is the chunk) and, where there are such, ``headings`` (the
        path of those above or at its start) and ``heading`` (the last of them), ``table_head``
        (the names of the columns of a table that it begins within), ``page`` (1-based) and
        ``boxes`` (of the lines that are in it). What is a chunk itself is placed by its own
        ``start``.
        """
        given = metadatas or [{} for _ in texts]
        return [
            chunk
            for text, metadata in zip(texts, given, strict=True)
            for chunk in self._chunks(text, metadata)
        ]

    def _chunks(self, text: str, metadata: dict[Any, Any]) -> Iterator[Document]:
        boundaries = Boundaries(text)
        common = {name: value for name, value in metadata.items() if name not in _OF_TEXTS}
        boxes = _Boxes(metadata)
        at = metadata.get("start")
        at = at if isinstance(at, int) and metadata.get("end") == at + len(text) else 0
        for start, end in self._spans(boundaries):
            own: dict[str, Any] = {"start": at + start, "end": at + end}
            own |= _place(boundaries.structure, metadata, start)
            own |= boxes.between(at + start, at + end)
            yield Document(page_content=text[start:end], metadata={**common, **own})

    def _spans(self, boundaries: Boundaries) -> Iterator[tuple[int, int]]:
        text = boundaries.text
        length = len(text.rstrip())
        start = fresh = _skip_space(text, 0)
        while fresh < length:
            cut = self._end(boundaries, start, fresh, length)
            end = start + len(text[start:cut].rstrip())
            yield start, end
            fresh = _skip_space(text, cut)
            start = _skip_space(text, self._next(boundaries, start, end, cut))
            if start + self._chunk_size <= fresh:  # white space as long as a chunk
                start = fresh

    def _end(self, boundaries: Boundaries, start: int, fresh: int, length: int) -> int:
        """Return where a chunk ends.

        Args:
            boundaries: The boundaries of the text.
            start: The start of the chunk.
            fresh: First character that no chunk before this one has.
            length: The length of the text.
        """
        high = start + self._chunk_size
        if high >= length:
            return length
        # Every chunk brings enough that is new: else large overlaps would make endless chunks.
        least = min(fresh + max(1, (self._chunk_size - self._chunk_overlap) // 4), high)
        for kind in BoundaryKind:
            low = max(start + int(self._chunk_size * _FILL.get(kind, _ENOUGH)), least)
            if (place := boundaries.last(kind, low, high)) is not None:
                return place
        place = boundaries.last_whole(start, fresh + 1, high)
        return high if place is None else place

    def _next(self, boundaries: Boundaries, start: int, end: int, cut: int) -> int:
        """Return where the next chunk begins: where the overlap has a sentence, a clause, a word.

        Args:
            boundaries: The boundaries of the text.
            start: The start of this chunk.
            end: The end of this chunk, without the white space after it.
            cut: The end of this chunk with that white space.
        """
        low = max(end - self._chunk_overlap, start + 1)
        heading = boundaries.last(BoundaryKind.HEADING, low, cut)
        if heading is not None:
            return heading
        for kinds in (_SENTENCES, (BoundaryKind.CLAUSE,), (BoundaryKind.SPACE,)):
            place = boundaries.first(kinds, low, end)
            if place is not None:
                return place
        if low >= end:
            return cut
        place = boundaries.first_whole(start, low, end)
        return cut if place is None else place


def _place(structure: Structure, metadata: Mapping[Any, Any], start: int) -> dict[str, Any]:
    """Return the metadata that say under what a chunk stands, given those of its text."""
    found: dict[str, Any] = {}
    page = bisect_right(metadata.get("page_starts") or [], start)
    if page and start < metadata.get("pages_end", sys.maxsize):
        found["page"] = page
    if path := structure.path(start):
        found |= {"heading": path[-1], "headings": path}
    if (table := structure.table(start)) and table.head:
        found["table_head"] = table.head
    return found


def split_with_offsets(splitter: TextSplitter, document: Document) -> list[Document]:
    """Return the chunks that any splitter makes of a document, each with ``start`` and ``end``.

    Splitters of other packages don't say where a chunk stands: it is looked for in the text, after
    the beginning of the one before it. One that is not found, since its splitter changes the text,
    counts as beginning there.
    """
    chunks = splitter.split_documents([document])
    at = 0
    boxes = _Boxes(document.metadata)
    structure: Structure | None = None
    for chunk in chunks:
        metadata = chunk.metadata
        if "start" not in metadata:
            at = max(document.page_content.find(chunk.page_content, at), at)
            structure = structure or Structure(document.page_content)
            metadata |= {"start": at, "end": at + len(chunk.page_content)}
            metadata |= {**_place(structure, document.metadata, at), **metadata}
            at += 1
        for name in _OF_TEXTS:
            metadata.pop(name, None)
        metadata |= boxes.between(metadata["start"], metadata["end"])
    return chunks


class _Boxes:
    """Where the lines of a text stand on its pages, if its metadata say."""

    def __init__(self, metadata: Mapping[Any, Any]) -> None:
        self._boxes = [LineBox(*box) for box in metadata.get("boxes", ())]  # in the text's order
        self._begins = [box.start for box in self._boxes]
        self._ends = [box.end for box in self._boxes]

    def between(self, start: int, end: int) -> dict[str, Any]:
        """Return the metadata of a chunk that say where its lines stand."""
        if not self._boxes:
            return {}
        inside = slice(bisect_right(self._ends, start), bisect_left(self._begins, end))
        return {"boxes": list(map(list, self._boxes[inside]))}
