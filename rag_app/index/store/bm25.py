"""BM25 as FTS5 computes it, over the terms of some passages."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from rag_app.documents.text import document_terms, is_prefix
from rag_app.index.store.records import ChunkRecord

K1, B = 1.2, 0.75
"""The parameters of FTS5's bm25()."""


def term_weight(frequency: int, total: int) -> float:
    """Return the weight of a term as FTS5 has it, positive even where most chunks hold it."""
    return max(math.log((total - frequency + 0.5) / (frequency + 0.5)), 1e-6)


def terms_held(chunks: Iterable[ChunkRecord]) -> dict[int, Counter[str]]:
    """Return how often each chunk, by its id, holds each of its terms."""
    return {chunk.id: Counter(document_terms(chunk.searched_text).split()) for chunk in chunks}


def best(scores: Mapping[int, float], limit: int) -> dict[int, float]:
    """Return the highest scores, the highest first; of equal ones that of the lowest id."""
    ids = sorted(scores, key=lambda number: (-scores[number], number))[:limit]
    return {number: scores[number] for number in ids}


def bm25_scores(
    held: Mapping[int, Counter[str]], frequencies: Mapping[str, int], total: int, mean: float
) -> dict[int, float]:
    """Return the scores, above 0, of passages by their ids.

    Args:
        held: The terms of each, see `terms_held`.
        frequencies: In how many passages of the index each term of the question is.
        total: Passages of the index.
        mean: Terms that a passage has on average.
    """
    weights = {term: term_weight(count, total) for term, count in frequencies.items()}
    scores = {}
    for chunk_id, counts in held.items():
        length = K1 * (1 - B + B * counts.total() / mean)
        occurring = ((weight, _occurrences(counts, term)) for term, weight in weights.items())
        score = sum(weight * n * (K1 + 1) / (n + length) for weight, n in occurring)
        if score:
            scores[chunk_id] = score
    return scores


def _occurrences(counts: Counter[str], term: str) -> int:
    if is_prefix(term):
        return sum(count for held, count in counts.items() if held.startswith(term))
    return counts[term]
