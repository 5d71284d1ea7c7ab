"""Where an answer comes from, and which of its sentences the passages really support."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from langchain_core.documents import Document

from rag_app.index.store.terms import query_terms

SUPPORT = 0.6
"""Share of a sentence's terms that a passage must hold to be cited for the sentence."""

_ENDS = "。！？；!?\n"


@dataclass(frozen=True)
class Citation:
    """A passage that the model was given, and where it stands in its document.

    What a retriever of another package does not say is None, and ``source`` empty.

    Example:
        >>> Citation(1, "/docs/manual.pdf", "Press and hold.", page=3).place
        'manual.pdf · p. 3'
    """

    marker: int
    """1-based number of the passage, as in ``[1]``."""
    source: str
    text: str
    start: int | None = None
    """Character offset of the passage in the text of its document."""
    end: int | None = None
    page: int | None = None
    """1-based."""
    heading: str | None = None
    """The last of ``headings``."""
    headings: tuple[str, ...] = ()
    """The path of headings that the passage stands under."""
    table_head: str | None = None
    """The names of the columns of the table that the passage begins within."""
    copies: tuple[str, ...] = ()
    """Other documents in which a passage says the same."""
    score: float | None = None
    """The retriever's fused score."""
    relevance: float | None = None
    """Calibrated probability, 0 to 1, that the passage holds an answer."""

    @property
    def place(self) -> str:
        """The file name with page and heading, for people."""
        parts = [PurePath(self.source).name or "no source"]
        if self.page:
            parts.append(f"p. {self.page}")
        if path := self.headings or (self.heading and (self.heading,)):
            parts.append(" › ".join(path))
        return " · ".join(parts)

    @property
    def shown(self) -> str:
        """The passage as a model reads it: where it stands tells what it is about."""
        lines = [f"[{self.marker}] {self.place}", self.table_head, self.text]
        return "\n".join(filter(None, lines))


def cite(passages: Sequence[Document]) -> list[Citation]:
    """Return the retrieved passages as numbered citations.

    LangChain's own splitters write the offset as ``start_index``; a passage without ``source`` is
    known by its id.
    """

    def fields(passage: Document) -> dict[str, Any]:
        names = ("start", "end", "page", "heading", "table_head", "score", "relevance")
        found = {name: passage.metadata.get(name) for name in names}
        for name in ("headings", "copies"):
            found[name] = tuple(passage.metadata.get(name) or ())
        if found["start"] is None and (start := passage.metadata.get("start_index")) is not None:
            found |= {"start": start, "end": start + len(passage.page_content)}
        return {**found, "source": str(passage.metadata.get("source", passage.id or ""))}

    return [
        Citation(marker=marker, text=passage.page_content, **fields(passage))
        for marker, passage in enumerate(passages, 1)
    ]


def lacking(passages: Sequence[Document]) -> list[str]:
    """Return notes on what citations of these passages can't say; none for those of our indexes."""
    found = cite(passages)
    notes = []
    if any(citation.relevance is None for citation in found):
        notes.append("the retriever gives no relevance, so no passage was refused as irrelevant")
    if any(citation.start is None or not citation.source for citation in found):
        notes.append("the retriever does not say where in a document its passages stand")
    return notes


class Marker:
    """Puts ``[1]`` marks into an answer as it streams, each checked against the passages.

    A sentence is marked with the passage that holds most of its terms, if that is at least
    `SUPPORT` of them and every number in it. What no passage supports stays unmarked.

    Example:
        >>> marker = Marker([Citation(1, "tea.txt", "Green tea is steamed.")])
        >>> marker.feed("Green tea is steamed. ") + marker.feed("It is blue.") + marker.close()
        'Green tea is steamed.[1] It is blue.'
    """

    def __init__(self, citations: Sequence[Citation]) -> None:
        self._passages = [(c.marker, set(query_terms(c.text))) for c in citations]
        self._sentence = ""

    def feed(self, text: str) -> str:
        """Return ``text`` with marks before the end of each sentence that it completes."""
        out = []
        for char in text:
            if char in _ENDS or (char == " " and self._sentence.endswith(".")):
                out.append(self.close())
            else:
                self._sentence += char
            out.append(char)
        return "".join(out)

    def close(self) -> str:
        """Return the mark of the sentence so far and begin another."""
        sentence, self._sentence = self._sentence, ""
        marker = self._support(sentence)
        return f"[{marker}]" if marker else ""

    def _support(self, sentence: str) -> int | None:
        wanted = set(query_terms(sentence))
        if not wanted:
            return None
        numbers = {term for term in wanted if any(char.isdigit() for char in term)}
        best, found = SUPPORT, None
        for marker, held in self._passages:
            share = len(wanted & held) / len(wanted)
            if numbers <= held and (share > best or (share == best and found is None)):
                best, found = share, marker
        return found


def marked(text: str, citations: Sequence[Citation]) -> str:
    """Return a whole answer with its checked marks."""
    marker = Marker(citations)
    return marker.feed(text) + marker.close()
