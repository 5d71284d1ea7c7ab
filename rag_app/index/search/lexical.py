"""The lexical search: BM25 over SQLite's full-text index, the rare terms first.

FTS5 reads every posting of every term that it ranks by, some of them twice. Where a question's
terms have more than :data:`MOST_POSTINGS`, the rarest of them find the candidates, and all of them
score these: what a candidate has of the common terms is counted in its text.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from rag_app.index.store.bm25 import best, bm25_scores, terms_held
from rag_app.index.store.interface import DocumentSnapshot, Scores
from rag_app.index.store.terms import is_prefix, spellings_of

COUNTED = 100_000
"""Chunks up to which it is counted how many hold a character, which FTS5 does by reading every
term that begins with it; for more a sample is enough."""
MOST_TERMS = 128
"""Terms of a question that are searched for, the rarest: more cost time and add little."""
MOST_POSTINGS = 10_000
"""Places in the term index that FTS5 ranks by."""
_CANDIDATES = 64
_SAMPLE = 256
_OFTEN = 0.05
"""Share of the chunks that hold a character, above which the sample is believed."""


def term_frequencies(snapshot: DocumentSnapshot, terms: Sequence[str]) -> dict[str, int]:
    """Return in how many chunks each term of a question is; of common characters about."""
    total, estimates = snapshot.count_chunks(), dict[str, int]()
    characters = [term for term in terms if is_prefix(term)]
    if characters and total > COUNTED:
        texts = snapshot.sample_texts(_SAMPLE)
        for character in characters:
            spellings = spellings_of(character)
            held = sum(any(spelling in text for spelling in spellings) for text in texts)
            if held > _OFTEN * len(texts):
                estimates[character] = round(total * held / len(texts))
    return {term: estimates.get(term) or snapshot.document_frequency(term) for term in terms}


def search_terms(
    snapshot: DocumentSnapshot,
    frequencies: Mapping[str, int],
    limit: int,
    sources: Collection[str] | None = None,
) -> Scores:
    """Return the BM25 scores of the chunks that match best, best first.

    Args:
        snapshot: The state that is searched.
        frequencies: In how many of its chunks each term is.
        limit: How many chunks at most.
        sources: The documents to search; by default all.
    """
    terms = sorted(filter(frequencies.get, frequencies), key=lambda term: frequencies[term])
    terms = terms[:MOST_TERMS]
    rare = list(_rarest(terms, frequencies))
    if not rare:
        return {}
    if rare == terms:
        return dict(snapshot.search_any(terms, limit, sources))
    candidates = _candidates(snapshot, rare, terms, max(limit, _CANDIDATES), sources)
    scores = _bm25(snapshot, candidates, {term: frequencies[term] for term in terms})
    return best(scores, limit)


def _candidates(
    snapshot: DocumentSnapshot,
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
    found = snapshot.search_any(rare, count, sources)
    if sources is not None and len(found) < count:  # the rare terms may be in no other document
        found = snapshot.search_any(terms, count, sources)
    return [chunk for chunk, _ in found]


def _rarest(terms: Sequence[str], frequencies: Mapping[str, int]) -> Iterator[str]:
    """Yield the first of some terms, as many as have few enough postings, but one at least."""
    left = MOST_POSTINGS
    for term in terms:
        left -= frequencies[term]
        if left < 0 and term != terms[0]:
            return
        yield term


def _bm25(snapshot: DocumentSnapshot, ids: Sequence[int], frequencies: Mapping[str, int]) -> Scores:
    total = snapshot.count_chunks()
    held = terms_held(snapshot.chunks(ids))
    # Those of the candidates stand for all passages, which are cut to about one length.
    mean = sum(map(Counter.total, held.values())) / max(len(held), 1)
    return bm25_scores(held, frequencies, total, mean)
