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
    """A passage that the model was given, and where it stands in its document."""

    marker: int
    """1-based number of the passage, as in ``[1]``."""
    source: str
    text: str
    start: int
    """Character offset of the passage in the text of its document."""
    end: int
    page: int | None = None
    """1-based."""
    heading: str | None = None
    score: float = 0.0
    """The retriever's fused score."""
    relevance: float = 0.0
    """Calibrated probability, 0 to 1, that the passage holds an answer."""

    @property
    def place(self) -> str:
        """The file name with page and heading, for people."""
        parts = [PurePath(self.source).name]
        if self.page:
            parts.append(f"p. {self.page}")
        if self.heading:
            parts.append(self.heading)
        return " · ".join(parts)


def cite(passages: Sequence[Document]) -> list[Citation]:
    """Return the retrieved passages as numbered citations."""

    def fields(metadata: dict[str, Any]) -> dict[str, Any]:
        names = ("source", "start", "end", "page", "heading", "score", "relevance")
        return {name: metadata[name] for name in names if name in metadata}

    return [
        Citation(marker=marker, text=passage.page_content, **fields(passage.metadata))
        for marker, passage in enumerate(passages, 1)
    ]


class Marker:
    """Puts ``[1]`` marks into an answer as it streams, each checked against the passages.

    A sentence is marked with the passage that holds most of its terms, if that is at least
    `SUPPORT` of them and every number in it. What no passage supports stays unmarked.
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
