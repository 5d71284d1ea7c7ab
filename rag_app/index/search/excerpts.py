"""Excerpts: the sentences of passages that bear on a question, with their neighbours."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log1p

import numpy as np

from rag_app.index.store.terms import content_terms, document_terms, is_prefix
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray

_SENTENCE = re.compile(
    r"(?:[^。！？；!?.\n]|\.(?!\s))*(?:[。！？；!?]+[”’」』\"')）】]*|\.(?=\s)|\n|$)"
)
_ROW = re.compile(r"\s*\||(?:[^:;\n]+: [^;\n]*; ){2}")
"""Of a table: cells between lines, or each after the name of its column."""
_LATER = 0.85
"""How much less a sentence counts than one of the passage before its own."""
_WORTH = 0.3
"""Share of the best sentence's score that one must have to be of any use."""


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
) -> dict[int, str]:
    """Return what of some passages bears on a question, in the order of the passages.

    The sentences that hold most of the question's terms come first, the rare ones counting for
    more, and those that are the nearest to it in meaning, each with the one after it, the one
    before it and the head of its table. What is left out between two sentences is marked with an
    ellipsis.

    Args:
        question: What is asked.
        texts: The passages, the most relevant first.
        limit: Characters of all excerpts together; the best sentence is whole in any case.
        embeddings: Tell the meaning; by default the terms alone count.

    Returns:
        The excerpts by the places of their passages in ``texts``; none where nothing tells one
        sentence from another.

    Example:
        >>> text = "茶很古老。绿茶要蒸。它耐放。铁锅要洗。人人都喝。"
        >>> excerpts("绿茶怎么做？", [text], 14)
        {0: '茶很古老。绿茶要蒸。它耐放。'}
    """
    sentences = [one for passage, text in enumerate(texts) for one in _sentences(passage, text)]
    scores = _scores(question, texts, sentences, embeddings)
    least = _WORTH * max(scores, default=0.0)
    kept: set[int] = set()
    size = 0
    for best in sorted(range(len(sentences)), key=lambda place: -scores[place]):
        if scores[best] <= least:
            break
        for place in _with_context(sentences, best):
            length = sentences[place].end - sentences[place].start
            if place not in kept and (not kept or size + length <= limit):
                kept.add(place)
                size += length
    found: dict[int, str] = {}
    for passage, text in enumerate(texts):
        chosen = [sentences[place] for place in sorted(kept) if sentences[place].passage == passage]
        if chosen:
            found[passage] = _joined(text, chosen)
    return found


def _sentences(passage: int, text: str) -> Iterator[_Sentence]:
    for match in _SENTENCE.finditer(text):
        if (sentence := match.group()).strip():
            terms = frozenset(document_terms(sentence).split())
            yield _Sentence(passage, *match.span(), bool(_ROW.match(sentence)), terms)


def _scores(
    question: str,
    texts: Sequence[str],
    sentences: Sequence[_Sentence],
    embeddings: DocumentEmbeddings | None,
) -> list[float]:
    """Return how much each sentence bears on the question, at most 1."""
    scores = _scaled(_lexical(question, sentences), 0.0)
    if embeddings is not None and sentences:
        shown = [texts[one.passage][one.start : one.end].strip() for one in sentences]
        vector = np.asarray(embeddings.embed_query(question), np.float32)
        cosines = embeddings.embed_array(shown) @ vector
        weight = embeddings.hybrid_weight
        scores = (1 - weight) * scores + weight * _scaled(cosines, float(cosines.min()))
    later = [_LATER**one.passage for one in sentences]
    return [*map(float, scores * np.array(later, np.float32))]


def _lexical(question: str, sentences: Sequence[_Sentence]) -> FloatArray:
    """Return the weights of the question's terms in each sentence: a rare one counts for more."""
    scores = np.zeros(len(sentences), np.float32)
    for term in content_terms(question):
        holding = [place for place, one in enumerate(sentences) if _holds(one, term)]
        scores[holding] += log1p(len(sentences) / (1 + len(holding)))
    return scores


def _scaled(scores: FloatArray, lowest: float) -> FloatArray:
    """Return scores so that the highest is 1, and ``lowest`` 0."""
    height = float(scores.max(initial=lowest)) - lowest
    return (scores - np.float32(lowest)) / np.float32(height or 1.0)


def _holds(sentence: _Sentence, term: str) -> bool:
    if is_prefix(term):
        return any(other.startswith(term) for other in sentence.terms)
    return term in sentence.terms


def _with_context(sentences: Sequence[_Sentence], place: int) -> Iterator[int]:
    """Yield the places of a sentence and of what it can't be understood without."""
    yield place
    passage, head = sentences[place].passage, place
    while head and sentences[head].row and sentences[head - 1].row:
        head -= 1
    for other in (head,) if sentences[place].row else (place + 1, place - 1):
        if 0 <= other < len(sentences) and sentences[other].passage == passage:
            yield other


def _joined(text: str, sentences: Sequence[_Sentence]) -> str:
    out, last = "", 0
    for sentence in sentences:
        between = text[last : sentence.start]
        if between.strip():
            between = "\n" if "\n" in between or out.endswith("\n") else "…"
        out += between + text[sentence.start : sentence.end]
        last = sentence.end
    return out.strip("\n")
