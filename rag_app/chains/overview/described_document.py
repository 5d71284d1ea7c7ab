"""A document as an answer about the whole of it needs it: an excerpt, and sentences to quote."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Self

from rag_app.chains.marks import SENTENCE
from rag_app.chains.orders import without_orders
from rag_app.documents.text import Language, language_of
from rag_app.index.store.interface import DocumentSnapshot
from rag_app.index.store.records import ChunkRecord, DocumentRecord

Quote = tuple[ChunkRecord, str]
"""A sentence, and the passage that it stands in."""

_READ = 400  # passages of a document that are looked at
_EXCERPT = {"zh": 1_300, "en": 4_000}  # characters that a summary is made of, besides headings
_HEADINGS = 300  # characters of the headings
_LONGEST = 150  # characters of a sentence that are quoted
_CLOSING_HEADING = re.compile(
    r"结论|結論|结语|总结|小结|结束语|\b(?:conclusions?|summary)\b", re.IGNORECASE
)
_CLOSING = re.compile(
    r"综上|總之|总之|总而言之|由此可见|(?:研究|结果|分析)表明|得出.{0,6}结论|结论[是为：:]"
    r"|^(?:in conclusion|we conclude|to sum up|overall,|in summary)",
    re.IGNORECASE,
)
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DATE = re.compile(
    r"(?<![\d.])\d{3,4}\s*年(?!以|来|内|期)|\d{1,2}\s*月\s*\d{1,2}\s*[日号]"
    r"|(?<!\d)(?:1\d|20)\d{2}[-/.](?:0?[1-9]|1[0-2])(?:[-/.](?:0?[1-9]|[12]\d|3[01]))?(?![\d.])"
    r"|[〇零○一二三四五六七八九]{4}年|[一二三四五六七八九十]{1,2}月[一二三四五六七八九十]{1,3}[日号]"
    rf"|\b{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?\b|\b(?:\d{{1,2}}(?:st|nd|rd|th)?\s+)?{_MONTH},?\s+\d{{4}}\b"
    r"|\b(?:[Ii]n|[Ss]ince|[Uu]ntil|[Bb]y|[Ff]rom) (?:1\d|20)\d{2}\b"
)


@dataclass(frozen=True)
class DescribedDocument:
    """A document, and the passages that describe it."""

    record: DocumentRecord
    chunks: tuple[ChunkRecord, ...]
    """At least one."""

    @classmethod
    def of(cls, record: DocumentRecord, snapshot: DocumentSnapshot) -> Self:
        """Return a document with the passages that an index has of it."""
        chunks = tuple(islice(snapshot.chunks_of(record.source), _READ))
        return cls(record, chunks or (ChunkRecord("", 0, 0, source=record.source),))

    @property
    def name(self) -> str:
        """The name of its file with its folders."""
        return self.record.place

    @property
    def language(self) -> Language:
        """That of its beginning."""
        return language_of("".join(chunk.text for chunk in self.chunks[:5]))

    @property
    def headings(self) -> list[str]:
        """Each once, in their order."""
        return list(dict.fromkeys(chunk.heading for chunk in self.chunks if chunk.heading))

    @property
    def excerpt(self) -> str:
        """All of a short text; the beginning and the end of a long one, with conclusions."""
        limit = _EXCERPT[self.language]
        first, *rest = self.chunks
        closing = [chunk for chunk in rest if _CLOSING_HEADING.search(chunk.heading or "")]
        order = [first, *closing[:1], *rest[-1:], *rest[:-1]]
        taken: dict[int, ChunkRecord] = {}
        size = 0
        for chunk in order:
            if chunk.ordinal in taken:
                continue
            if taken and size + len(chunk.text) > limit:
                break
            taken[chunk.ordinal] = chunk
            size += len(chunk.text)
        parts, end = [], 0
        for ordinal in sorted(taken):
            chunk = taken[ordinal]
            parts.append(chunk.text[max(end - chunk.start, 0) :])
            end = max(end, chunk.end)
        return "\n".join(parts)[: 2 * limit]

    @property
    def context(self) -> str:
        """What the model reads: the name, the headings, the excerpt."""
        return "\n".join([self.name, " / ".join(self.headings)[:_HEADINGS], self.excerpt])

    @property
    def first_sentence(self) -> str:
        """Its beginning, where a sentence is found."""
        found = SENTENCE.search(self.chunks[0].text)
        return found.group()[:_LONGEST] if found else ""

    def dates(self) -> list[Quote]:
        """Return the sentences that hold a date."""
        return self._sentences(lambda _, sentence: _DATE.search(sentence) is not None)

    def conclusions(self) -> list[Quote]:
        """Return the sentences that conclude, or stand below a heading that says so."""
        return self._sentences(
            lambda chunk, sentence: (
                (_CLOSING_HEADING.search(chunk.heading or "") or _CLOSING.search(sentence))
                is not None
            )
        )

    def _sentences(self, wanted: Callable[[ChunkRecord, str], bool]) -> list[Quote]:
        """Return sentences with their passages; of passages that overlap, each once."""
        found: dict[str, Quote] = {}
        for chunk in self.chunks:
            text = without_orders(chunk.text)
            for match in SENTENCE.finditer(text):
                sentence = " ".join(match.group().split()).lstrip("#-*• |")
                if sentence and sentence != chunk.heading and wanted(chunk, sentence):
                    found.setdefault(sentence[:_LONGEST], (chunk, sentence[:_LONGEST]))
        return list(found.values())
