"""Which passages are worth reading: the relevance of each, and those that only repeat others.

Relevance is a calibrated probability that a passage holds an answer; here is its threshold too.

Two things count: how near the vectors are, and which share of what the question asks about the
passage names. The second is measured in terms weighted by how rare they are, so that a name
counts for more than a common word; words that only make a question are left out.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real

from langchain_core.documents import Document

from rag_app.documents.text import content_terms, document_terms, fold, holds
from rag_app.index.store.records import ChunkRecord
from rag_app.models.embeddings.base import DocumentEmbeddings, embed_by_length

_LETTERS = re.compile(r"[^\W_]+")
_TELLING = re.compile(
    r"\d+(?:[.,:]\d+)*|[a-z]+|[零〇一二三四五六七八九十百千万亿两半不未无非没禁勿免]"
    r"|(?<=[:：])[^\n]{1,10}"
)
"""Numbers, Latin words, negations and what is after a colon: with another one, a passage says
something else."""
_ALIKE = 0.85
"""Share of their pairs of letters that two passages have in common where they say the same; one
letter of 40 changes two pairs in each."""


@dataclass(frozen=True)
class RelevanceCalibration:
    """A logistic model; ``python -m tests.benchmarks.calibrate`` fits and prints its numbers.

    It is fitted for four questions that have an answer to one that has none.

    Example:
        >>> lexical = RelevanceCalibration(intercept=-4.5, coverage=14.4)
        >>> lexical.probability(coverage=0.8, cosine=0) > 0.99
        True
    """

    intercept: float
    coverage: float
    cosine: float = 0.0

    def probability(self, coverage: float, cosine: float) -> float:
        """Return the probability, 0 to 1, that a passage with these features holds an answer."""
        exponent = self.intercept + self.coverage * coverage + self.cosine * cosine
        return 1 / (1 + math.exp(-max(min(exponent, 60.0), -60.0)))


LEXICAL = RelevanceCalibration(intercept=-4.5, coverage=14.4)
"""Where there is no cosine, or of a model whose cosines were not calibrated."""

CALIBRATIONS: Mapping[str, RelevanceCalibration] = {
    "multilingual-e5-small": RelevanceCalibration(intercept=-37.2, coverage=10.6, cosine=39.1),
}
"""By embedding model: cosines of one model say nothing about another's."""


def calibration_of(embedding: str | None) -> RelevanceCalibration:
    """Return the calibration for an embedding model's name, None for lexical search alone."""
    return CALIBRATIONS.get(embedding or "", LEXICAL)


def relevance_of(document: Document) -> float:
    """Return the ``relevance`` of a passage; of a retriever that gives no number, 1."""
    return float(document.metadata["relevance"]) if _tells(document, "relevance") else 1.0


def _tells(document: Document, name: str) -> bool:
    given = document.metadata.get(name)
    return isinstance(given, Real) and math.isfinite(given)


def above_threshold(documents: Iterable[Document], threshold: float) -> list[Document]:
    """Return the documents whose ``relevance`` reaches a threshold.

    One without it, of a retriever that doesn't give it, is kept.

    Example:
        >>> found = [Document("李白", metadata={"relevance": 0.9}), Document("杜甫")]
        >>> found += [Document("洗衣机", metadata={"relevance": 0.1})]
        >>> [document.page_content for document in above_threshold(found, 0.5)]
        ['李白', '杜甫']
    """
    return [document for document in documents if relevance_of(document) >= threshold]


def most_relevant_first(documents: Sequence[Document]) -> list[Document]:
    """Return the documents in the order in which they are read, the likeliest to answer first.

    A fused score shows which passage is the nearest of those found, ``relevance`` which holds an
    answer, and ``rerank_score`` what a cross-encoder thinks of it, which goes before. Where one of
    them has neither, they stay in the order of the search.

    Example:
        >>> found = [Document("杜甫", metadata={"relevance": 0.6})]
        >>> found += [Document("李白", metadata={"relevance": 0.9})]
        >>> [document.page_content for document in most_relevant_first(found)]
        ['李白', '杜甫']
    """
    for told in ("rerank_score", "relevance"):
        if all(_tells(document, told) for document in documents):
            return sorted(documents, key=lambda document: -document.metadata[told])
    return list(documents)


class Coverage:
    """Which share of a question's terms passages hold, the rare ones counting for more.

    Args:
        frequencies: In how many passages each of the question's terms is.
        total: Passages that there are.

    Example:
        >>> Coverage({"青莲": 1, "唐代": 900}, total=1000).of("号青莲") > 0.9
        True
    """

    def __init__(self, frequencies: Mapping[str, int], total: int) -> None:
        self._weights = {term: _rarity(count, total) for term, count in frequencies.items()}

    def of(self, text: str) -> float:
        """Return the share, 0 to 1, for one passage."""
        return self.of_terms(set(document_terms(text).split()))

    def of_terms(self, held: set[str]) -> float:
        """Return the share, 0 to 1, for a passage of these terms."""
        whole = sum(self._weights.values())
        if not whole:
            return 0.0
        found = sum(weight for term, weight in self._weights.items() if holds(held, term))
        return found / whole


_UNSEEN = 100
"""Passages added to those of the index, holding none of the terms. In an index of one passage,
every term of the answer would otherwise count for a fifth of one that is missing."""


def _rarity(frequency: int, total: int) -> float:
    """Return Robertson and Sparck Jones' weight of a term, always above 0."""
    return math.log1p((total + _UNSEEN - frequency + 0.5) / (frequency + 0.5))


def relevances(
    model: DocumentEmbeddings,
    query: str,
    texts: Sequence[str],
    progress: Callable[[int], None] | None = None,
) -> list[float]:
    """Return for each text the probability, 0 to 1, that it holds an answer, as for passages.

    Args:
        model: Says how near texts and question are.
        query: The question.
        texts: Of which the model reads the beginnings, where they are long.
        progress: Called with how many texts each step embedded.
    """
    terms = set(content_terms(query))
    held = [set(document_terms(text).split()) for text in texts]
    frequencies = {term: sum(term in terms_held for terms_held in held) for term in terms}
    coverage = Coverage(frequencies, len(texts))
    cosines = embed_by_length(model, texts, progress) @ model.embed_query(query)
    calibration = calibration_of(model.name)
    return [
        calibration.probability(coverage.of_terms(terms_held), float(cosine))
        for terms_held, cosine in zip(held, cosines, strict=True)
    ]


@dataclass
class _Passage:
    """A passage, and the documents that repeat it."""

    chunk: ChunkRecord
    copies: dict[str, None] = field(default_factory=dict)

    @cached_property
    def folded(self) -> str:
        return fold(self.chunk.text)

    @cached_property
    def letters(self) -> str:
        return "".join(_LETTERS.findall(self.folded))

    @cached_property
    def pairs(self) -> set[str]:
        return {self.letters[at : at + 2] for at in range(len(self.letters) - 1)}

    @cached_property
    def telling(self) -> list[str]:
        return _TELLING.findall(self.folded)

    def says_the_same(self, other: "_Passage") -> bool:
        if self.letters == other.letters:
            return True
        shorter, longer = sorted((len(self.letters), len(other.letters)))
        if shorter < _ALIKE * longer or self.telling != other.telling:
            return False
        return len(self.pairs & other.pairs) >= _ALIKE * len(self.pairs | other.pairs)

    def record(self) -> ChunkRecord:
        if not self.copies:
            return self.chunk
        return replace(self.chunk, extra={**self.chunk.extra, "copies": list(self.copies)})


def apart(chunks: Iterable[ChunkRecord], k: int) -> list[ChunkRecord]:
    """Return the first ``k`` chunks that don't repeat an earlier one.

    One that mostly is the same place of the same document is left out. One that says the same in
    another document is too, and the earlier one's metadata name that document in ``copies``.
    """
    kept: list[_Passage] = []
    for chunk in chunks:
        new = _Passage(chunk)
        if any(_is_the_place_of(chunk, better.chunk) for better in kept):
            continue
        elsewhere = (better for better in kept if better.chunk.source != chunk.source)
        copied = next((better for better in elsewhere if new.says_the_same(better)), None)
        if copied:
            copied.copies[chunk.source] = None
        elif len(kept) < k:
            kept.append(new)
    return [passage.record() for passage in kept]


def _is_the_place_of(chunk: ChunkRecord, other: ChunkRecord) -> bool:
    start, end = max(chunk.start, other.start), min(chunk.end, other.end)
    if chunk.source != other.source or 2 * (end - start) <= min(len(chunk.text), len(other.text)):
        return False
    # Texts that a LangChain user added under one source may all begin at 0.
    return _between(chunk, start, end) == _between(other, start, end)


def _between(chunk: ChunkRecord, start: int, end: int) -> str:
    return chunk.text[start - chunk.start : end - chunk.start]
