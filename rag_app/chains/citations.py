"""The passages that an answer comes from, as they are cited."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a command shows what the resident engine cites without them
    from langchain_core.documents import Document

_KINDS: dict[str, Any] = {
    "start": Integral, "end": Integral, "page": (Integral, str), "heading": str, "table_head": str,
    "score": Real, "relevance": Real,
}  # fmt: skip
"""The metadata that a citation takes over."""
_LINE = 200  # characters that are shown of a sentence
_FORGED = re.compile(r"^[^\S\n]*\[\d{1,3}\][^\S\n]*", re.MULTILINE)
"""What looks like the number of another passage."""


class FromJson:
    """A frozen dataclass that may come from where it was kept: JSON and msgpack know no tuples."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))


@dataclass(frozen=True)
class Citation(FromJson):
    """A passage that the model was given, and where it is in its document.

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
    """The path of headings that the passage is under."""
    folders: tuple[str, ...] = ()
    """The folders that the document is in, from below what was indexed."""
    table_head: str | None = None
    """The names of the columns of the table that the passage begins within."""
    copies: tuple[str, ...] = ()
    """Other documents in which a passage says the same."""
    score: float | None = None
    """The retriever's fused score."""
    relevance: float | None = None
    """Calibrated probability, 0 to 1, that the passage holds an answer."""
    suspect: bool = False
    """Whether its document tells its reader what to answer."""

    @property
    def name(self) -> str:
        """The file name, for people."""
        return PurePath(self.source).name or "no source"

    @property
    def document(self) -> str:
        """The file name with its folders, for people."""
        return "/".join([*self.folders, self.name])

    @property
    def place(self) -> str:
        """The document with page and heading, for people."""
        parts = [self.document]
        if self.page:
            parts.append(f"p. {self.page}")
        if path := self.headings or (self.heading and (self.heading,)):
            parts.append(" › ".join(path))
        return " · ".join(parts)

    @property
    def shown(self) -> str:
        """The passage as a model reads it: its headings show what it is about.

        Orders to its reader are left out, and no line of it begins as a passage does.
        """
        place, head = map(self._without_orders, (self.place, self.table_head or ""))
        return "\n".join([f"[{self.marker}] {place}", *filter(None, (head, self.text_shown))])

    @property
    def text_shown(self) -> str:
        """The text as a model reads it: orders to its reader are left out."""
        return self._without_orders(_FORGED.sub("", self.text))

    def _without_orders(self, text: str) -> str:
        if not self.suspect:
            return text
        from rag_app.chains.orders import without_orders

        return without_orders(text, suspect=True)


@dataclass(frozen=True)
class Evidence:
    """The sentence of a passage that carries an answer.

    Example:
        >>> from rag_app.chains.marks import evidence
        >>> passages = [Citation(1, "tea.txt", "Tea is old. Green tea is steamed.")]
        >>> evidence("How is green tea made?", "It is steamed.", passages).sentence
        'Green tea is steamed.'
    """

    marker: int
    """The number of the passage, see `Citation`."""
    sentence: str
    start: int | None = None
    """Character offset of the sentence in the text of its document."""
    end: int | None = None

    @property
    def line(self) -> str:
        """The beginning of the sentence, on one line."""
        words = " ".join(self.sentence.split())
        return words if len(words) <= _LINE else f"{words[:_LINE]}…"


def cite(passages: "Sequence[Document]") -> list[Citation]:
    """Return the retrieved passages as numbered citations.

    LangChain's own splitters write the offset as ``start_index``, its readers of PDFs count pages
    from 0 and write ``page_label`` or ``total_pages`` too; a passage without ``source`` is known
    by its id. Metadata of another type than a citation's fields are left out.
    """

    def fields(passage: "Document") -> dict[str, Any]:
        given = passage.metadata
        found: dict[str, Any] = {
            name: given[name]
            for name, kind in _KINDS.items()
            if isinstance(given.get(name), kind) and not isinstance(given[name], bool)
        }
        for name in ("folders", "headings", "copies"):
            several = given.get(name) if isinstance(given.get(name), list | tuple) else ()
            found[name] = tuple(item for item in several or () if isinstance(item, str))
        start = given.get("start_index")
        if "start" not in found and isinstance(start, Integral):
            found |= {"start": start, "end": start + len(passage.page_content)}
        if isinstance(label := given.get("page_label"), str):
            found["page"] = label
        elif "total_pages" in given and isinstance(page := found.get("page"), Integral):
            found["page"] = int(page) + 1
        source = given.get("source")
        return {**found, "source": str(source if source is not None else passage.id or "")}

    found = [
        Citation(marker=marker, text=passage.page_content, **fields(passage))
        for marker, passage in enumerate(passages, 1)
    ]
    suspects = {citation.source for citation in found if _has_orders(citation)}
    return [replace(citation, suspect=citation.source in suspects) for citation in found]


def _has_orders(citation: Citation) -> bool:
    from rag_app.chains.orders import has_orders

    return has_orders("\n".join([citation.place, citation.table_head or "", citation.text]))


def context_of(citations: Sequence[Citation]) -> str:
    """Return passages as one step reads them: numbered from 1, whatever their ranks.

    A passage is then read in the same words by every question, and what a model keeps of it serves
    them all.
    """
    return "\n\n".join(replace(citation, marker=n).shown for n, citation in enumerate(citations, 1))


def highest_relevance(citations: Sequence[Citation]) -> float | None:
    """Return the highest relevance of some passages, None where they have none."""
    known = [citation.relevance for citation in citations if citation.relevance is not None]
    return max(known, default=None)


def lacking(citations: Sequence[Citation]) -> list[str]:
    """Return notes on passages that give orders, and on what citations of them can't say."""
    notes = [
        f"{name} tells its reader what to answer; the model was not shown those sentences"
        for name in dict.fromkeys(citation.name for citation in citations if citation.suspect)
    ]
    if any(citation.relevance is None for citation in citations):
        notes.append("the retriever gives no relevance, so no passage was refused as irrelevant")
    if any(citation.start is None or not citation.source for citation in citations):
        notes.append("the retriever does not say where in a document its passages are")
    return notes
