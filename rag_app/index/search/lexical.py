"""BM25 over SQLite's full-text index, the rare terms first.

FTS5 reads every posting of every term that it ranks by, some of them twice. Where a question's
terms have more than :data:`MOST_POSTINGS`, the rarest of them find the candidates, and all of them
score these: what a candidate has of the common terms is counted in its text.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from rag_app.index.search.faiss_cache import Scores
from rag_app.index.store.snapshot import Snapshot
from rag_app.index.store.terms import (
    document_terms,
    is_prefix,
    match_expression,
    spellings_of,
)

COUNTED = 100_000
"""Chunks up to which it is counted how many hold a character, which FTS5 does by reading every
term that begins with it; of more a sample tells."""
MOST_TERMS = 128
"""Terms of a question that are searched for, the rarest: more cost time and tell little."""
MOST_POSTINGS = 10_000
"""Places in the term index that FTS5 ranks by."""
_CANDIDATES = 64
_SAMPLE = 256
_OFTEN = 0.05
"""Share of the chunks that hold a character, above which the sample is believed."""
_K1, _B = 1.2, 0.75
"""Of FTS5's bm25()."""


def term_frequencies(snapshot: Snapshot, terms: Sequence[str]) -> dict[str, int]:
    """Return in how many chunks each term of a question is; of common characters about."""
    total, estimates = snapshot.count_chunks(), dict[str, int]()
    characters = [term for term in terms if is_prefix(term)]
    if characters and total > COUNTED:
        texts = snapshot.sample_texts(_SAMPLE)
        for character in characters:
            spellings = spellings_of(character)
            held = sum(any(one in text for one in spellings) for text in texts)
            if held > _OFTEN * len(texts):
                estimates[character] = round(total * held / len(texts))
    return {term: estimates.get(term) or snapshot.document_frequency(term) for term in terms}


def search_terms(
    snapshot: Snapshot,
    frequencies: Mapping[str, int],
    limit: int,
    sources: Collection[str] | None = None,
) -> Scores:
    """Return the BM25 scores of the chunks that match best, best first.

    Args:
        snapshot: The state that is searched.
        frequencies: In how many of its chunks each term is.
        limit: How many chunks at most.
        sources: Of which documents; of any by default.
    """
    terms = sorted(filter(frequencies.get, frequencies), key=lambda term: frequencies[term])
    terms = terms[:MOST_TERMS]
    rare = list(_rarest(terms, frequencies))
    if not rare:
        return {}
    if rare == terms:
        return dict(snapshot.search_terms(match_expression(terms), limit, sources))
    candidates = _candidates(snapshot, rare, terms, max(limit, _CANDIDATES), sources)
    scores = _bm25(snapshot, candidates, {term: frequencies[term] for term in terms})
    best = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))[:limit]
    return {chunk: scores[chunk] for chunk in best}


def _candidates(
    snapshot: Snapshot,
    rare: list[str],
    terms: list[str],
    count: int,
    sources: Collection[str] | None,
) -> list[int]:
    """Return the chunks that the rare terms find; the others are asked where those find too few."""
    if sources is not None:
        ids = snapshot.ids_where(sources=sources)
        if len(ids) <= count:
            return [int(chunk) for chunk in ids]
    found = snapshot.search_terms(match_expression(rare), count, sources)
    if sources is not None and len(found) < count:  # the rare terms may be in no other document
        found = snapshot.search_terms(match_expression(terms), count, sources)
    return [chunk for chunk, _ in found]


def _rarest(terms: Sequence[str], frequencies: Mapping[str, int]) -> Iterator[str]:
    """Yield the first of some terms, as many as have few enough postings, but one at least."""
    left = MOST_POSTINGS
    for term in terms:
        left -= frequencies[term]
        if left < 0 and term != terms[0]:
            return
        yield term


def _bm25(snapshot: Snapshot, ids: Sequence[int], frequencies: Mapping[str, int]) -> Scores:
    total = snapshot.count_chunks()
    weights = {term: _weight(count, total) for term, count in frequencies.items()}
    held = {
        chunk.id: Counter(document_terms(chunk.searched_text).split())
        for chunk in snapshot.chunks(ids)
    }
    # Those of the candidates stand for all passages, which are cut to about one length.
    mean = sum(map(Counter.total, held.values())) / max(len(held), 1)
    scores = {}
    for chunk_id, counts in held.items():
        length = _K1 * (1 - _B + _B * counts.total() / mean)
        occurring = ((weight, _occurrences(counts, term)) for term, weight in weights.items())
        score = sum(weight * n * (_K1 + 1) / (n + length) for weight, n in occurring)
        if score:
            scores[chunk_id] = score
    return scores


def _occurrences(counts: Counter[str], term: str) -> int:
    if is_prefix(term):
        return sum(count for held, count in counts.items() if held.startswith(term))
    return counts[term]


def _weight(frequency: int, total: int) -> float:
    """Return the weight of a term as FTS5 has it, positive even where most chunks hold it."""
    return max(math.log((total - frequency + 0.5) / (frequency + 0.5)), 1e-6)
