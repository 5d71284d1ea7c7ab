"""Excerpts: the sentences of passages that bear on a question, with their neighbours."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log1p
from operator import attrgetter

import numpy as np

from rag_app.documents.text import content_terms, document_terms, holds
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray

_SENTENCE = re.compile(
    r"(?:[^。！？；!?.\n]|\.(?!\s))*(?:[。！？；!?]+[”’」』\"')）】]*|\.(?=\s)|\n|$)"
)
_LONG = 150  # characters of a sentence above which its clauses count as sentences
_CLAUSES = re.compile(r".{40,}?(?:，|,(?!\d))|.+", re.DOTALL)
_ROW = re.compile(r"\s*\||(?:[^:;\n]+: [^;\n]*; ){2}")
"""A row of a table: cells between lines, or each after the name of its column."""
_LATER = 0.85
"""How much less a sentence counts than one of the passage before its own, were that as relevant."""
_LESS_RELEVANT = 2
"""Power of a passage's relevance, as a share of the first one's, that its sentences count by."""
_WORTH = 0.3  # share of the best sentence's score that one must have to be of any use
_SAID = 0.05
"""What a term of the question counts for in further sentences once one that holds it is chosen, and
in all where the most relevant passage begins with it: what that names, all of it is about."""

_OPENING = 0.5
"""Share of the weight of the question's terms in any sentence above which the first is read."""


@dataclass(frozen=True)
class _Sentence:
    passage: int
    start: int
    end: int
    row: bool
    terms: frozenset[str]


def excerpts(
    question: str,
    texts: Sequence[str],
    limit: int,
    embeddings: DocumentEmbeddings | None = None,
    relevance: Sequence[float | None] = (),
) -> dict[int, str]:
    """Return the parts of passages that bear on a question, in the order of the passages.

    The sentences that hold most of the question's terms come first, the rare ones counting for
    more, and those that are the nearest to it in meaning; what one says already counts for less in
    the next, as does what the first passage begins with, since all of it is about that. Each has
    the head of its table, and where there is room that beginning if it says much of the question,
    the sentence after it and the one before it. What is left out between two sentences is marked
    with an ellipsis.

    Args:
        question: What is asked.
        texts: The passages, the most relevant first.
        limit: Characters of all excerpts together; the best sentence is given in full in any case.
        embeddings: Tell the meaning; by default the terms alone count.
        relevance: Of the passages, as far as it is known; sentences of less relevant ones count for
            less.

    Returns:
        The excerpts by the places of their passages in ``texts``; none where nothing marks one
        sentence from another.

    Example:
        >>> text = "茶很古老。绿茶要蒸。它耐放。铁锅要洗。人人都喝。"
        >>> excerpts("绿茶怎么做？", [text], 14)
        {0: '茶很古老。绿茶要蒸。它耐放。'}
    """
    sentences = [
        sentence for passage, text in enumerate(texts) for sentence in _sentences(passage, text)
    ]
    weights = _passage_weights(len(texts), relevance)
    later = np.array([weights[sentence.passage] for sentence in sentences], np.float32)
    ranking = _Ranking.of(question, texts, sentences, embeddings, later)
    kept: dict[str, int] = {}
    size = 0

    def keep(place: int) -> bool:
        nonlocal size
        sentence = sentences[place]
        said = texts[sentence.passage][sentence.start : sentence.end].strip()
        length = sentence.end - sentence.start
        if said not in kept:  # of passages that overlap it may be in two
            if kept and size + length > limit:
                return False
            kept[said] = place
            size += length
        return True

    chosen = []
    while (best := ranking.best()) is not None:
        if keep(best):
            ranking.say(best)
            chosen.append(best)
            keep(_head(sentences, best))
    if chosen and ranking.opening:
        keep(0)
    for best in chosen:
        for place in _neighbours(sentences, best):
            keep(place)
    return dict(_joined(texts, [sentences[place] for place in sorted(kept.values())]))


def _sentences(passage: int, text: str) -> Iterator[_Sentence]:
    for sentence in _SENTENCE.finditer(text):
        row = bool(_ROW.match(sentence.group()))
        split = len(sentence.group()) > _LONG and not row
        for part in _CLAUSES.finditer(text, *sentence.span()) if split else (sentence,):
            if part.group().strip():
                terms = frozenset(document_terms(part.group()).split())
                yield _Sentence(passage, *part.span(), row, terms)


@dataclass
class _Ranking:
    """How much each sentence adds for a question to those that are chosen already."""

    terms: FloatArray
    """The weights of the question's terms, ``[terms, sentences]``: 0 where one does not stand."""
    near: FloatArray
    """What the meaning adds, ``[sentences]``: less than nothing where it is farther than most."""
    later: FloatArray  # what a sentence counts by its passage, ``[sentences]``; 0 once it was seen
    opening: bool = False
    """Whether the first sentence holds much of the question, before that counts for less."""
    least: float = 0.0

    @classmethod
    def of(
        cls,
        question: str,
        texts: Sequence[str],
        sentences: Sequence[_Sentence],
        embeddings: DocumentEmbeddings | None,
        later: FloatArray,
    ) -> "_Ranking":
        terms = _weights(question, sentences)
        held = terms.sum(axis=0)
        opening = bool(held.any() and held[0] >= _OPENING * held.max())
        named = terms[:, :1].any(axis=1)
        if terms[~named].any():  # else the first sentence says all that is asked
            terms[named] *= _SAID
        terms /= terms.sum(axis=0).max(initial=0.0) or 1.0
        near = np.zeros(len(sentences), np.float32)
        if embeddings is not None and sentences:
            shown = [
                texts[sentence.passage][sentence.start : sentence.end].strip()
                for sentence in sentences
            ]
            near = embeddings.cosines(question, shown)
            near = (near - near.mean()) / (np.ptp(near) or 1.0)
            terms *= 1 - embeddings.hybrid_weight
            near *= embeddings.hybrid_weight
        ranking = cls(terms, near, later, opening)
        ranking.least = _WORTH * float(ranking._scores.max(initial=0.0))
        return ranking

    @property
    def _scores(self) -> FloatArray:
        scores: FloatArray = (self.terms.sum(axis=0) + self.near) * self.later
        return scores

    def best(self) -> int | None:
        """Return the place of the best sentence not seen yet, None where none is useful."""
        scores = self._scores
        place = int(scores.argmax()) if len(scores) else 0
        if scores.max(initial=0.0) <= self.least:
            return None
        self.later[place] = 0
        return place

    def say(self, place: int) -> None:
        """Lower the weight, in all others, of what a sentence already says."""
        self.terms[self.terms[:, place] > 0] *= _SAID


def _passage_weights(count: int, relevance: Sequence[float | None]) -> list[float]:
    """Return what the sentences of each passage count by: its rank, and its relevance if known."""
    known = [value for value in relevance if value]
    shares = [value / known[0] for value in known] if len(known) == count else [1.0] * count
    return [_LATER**rank * share**_LESS_RELEVANT for rank, share in enumerate(shares)]


def _weights(question: str, sentences: Sequence[_Sentence]) -> FloatArray:
    """Return the weights of the question's terms in each sentence: a rare one counts for more."""
    terms = content_terms(question)
    weights = np.zeros((len(terms), len(sentences)), np.float32)
    for row, term in zip(weights, terms, strict=True):
        holding = [place for place, sentence in enumerate(sentences) if holds(sentence.terms, term)]
        row[holding] = log1p(len(sentences) / (1 + len(holding)))
    return weights


def _head(sentences: Sequence[_Sentence], place: int) -> int:
    """Return the place of the head of a row's table, or of a sentence itself."""
    passage, head = sentences[place].passage, place
    while head and sentences[head].row and sentences[head - 1].row:
        head -= 1
    return head if sentences[head].passage == passage else place


def _neighbours(sentences: Sequence[_Sentence], place: int) -> Iterator[int]:
    """Yield the places of the sentences next to one; the one after it says more."""
    if not sentences[place].row:
        for other in (place + 1, place - 1):
            if 0 <= other < len(sentences) and sentences[other].passage == sentences[place].passage:
                yield other


def _joined(texts: Sequence[str], sentences: Sequence[_Sentence]) -> Iterator[tuple[int, str]]:
    """Yield the place of each passage that has sentences, with its excerpts."""
    for passage, chosen in groupby(sentences, attrgetter("passage")):
        text, out, last = texts[passage], "", 0
        for sentence in chosen:
            between = text[last : sentence.start]
            if between.strip():
                between = "\n" if "\n" in between or out.endswith("\n") else "…"
            out += between + text[sentence.start : sentence.end]
            last = sentence.end
        yield passage, out.strip("\n")
