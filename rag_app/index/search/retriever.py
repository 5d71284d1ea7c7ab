"""The passages nearest to a question: dense and lexical search, fused.

Fusion adds normalized scores, weighted (a convex combination: Bruch, Gai and Ingber 2023, arXiv
2210.11934), not reciprocal ranks: how much better the first passage is than the second is what
ranks throw away. On the passages of CMRC 2018 trial it puts the right one first for 98 % of the
questions, reciprocal rank fusion (k = 60) for 97 %, less than the lexical search alone.

The lexical search is BM25 over SQLite's full-text index, the rare terms first. FTS5 reads every
posting of every term that it ranks by, some of them twice. Where a question's terms have more than
:data:`MOST_POSTINGS`, the rarest of them find the candidates, and all of them score these: what a
candidate has of the common terms is counted in its text.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import run_in_executor
from pydantic import ConfigDict

from rag_app.documents.sources import documents_within
from rag_app.documents.text import content_terms, is_prefix, spellings_of
from rag_app.errors import QuestionError
from rag_app.index.search.faiss_cache import dense_index
from rag_app.index.search.relevance import Coverage, apart, calibration_of
from rag_app.index.store.bm25 import best, bm25_scores, terms_held
from rag_app.index.store.interface import DenseIndex, DocumentSnapshot, DocumentStore, Scores
from rag_app.index.store.records import ChunkRecord
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray, adapt
from rag_app.models.reranker import CrossEncoderReranker
from rag_app.settings import DEFAULTS, RetrieverKind

POOL = 50
"""Candidates that each kind of search brings to the fusion."""

_RERANKED = 20  # passages that a reranker reads

_LARGEST_POOL = 800  # candidates where those of smaller pools mostly repeat each other


COUNTED = 100_000
"""Chunks up to which it is counted how many hold a character, which FTS5 does by reading every
term that begins with it; for more a sample is enough."""
MOST_TERMS = 128
"""Terms of a question that are searched for, the rarest: more cost time and add little."""
MOST_POSTINGS = 10_000
"""Places in the term index that FTS5 ranks by."""
_CANDIDATES = 64
_SAMPLE = 256
_OFTEN = 0.05  # share of the chunks that hold a character, above which the sample is believed


class HybridRetriever(BaseRetriever):
    """Retrieves passages from an index, best first.

    Each passage's metadata hold where it is (``source``, ``start``, ``end``, ``page``,
    ``headings``), which other documents say the same (``copies``), its fused ``score``, its
    ``relevance`` (calibrated probability, 0 to 1, that it holds an answer) and its ``dense_rank``
    and ``lexical_rank`` where it has them.

    Args:
        store: The index.
        embedding: The embeddings the index was made with; None with ``kind="lexical"``.
        kind: ``hybrid``, ``dense`` or ``lexical``.
        k: Passages to return; ``invoke(question, k=…)`` overrides it.
        within: Path, folder or glob of the documents that are searched, see `documents_within`;
            all of them by default. ``invoke(question, within=…)`` overrides it.
        cache: The vectors of the store, such as its FAISS index; several retrievers can share it.
        reranker: Puts the best that were found in order, with their ``rerank_score``. The
            ``relevance``, by which questions are refused, stays as it is.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from rag_app import FaissVectorStore
        >>> embeddings = DeterministicFakeEmbedding(size=8)
        >>> texts = ["李白病逝于当涂。", "杜甫生于巩县。"]
        >>> poets = FaissVectorStore.from_texts(texts, embeddings, folder="poets")
        >>> retriever = HybridRetriever(store=poets.store, embedding=embeddings, k=1)
        >>> [document.page_content for document in retriever.invoke("李白是怎样去世的？")]
        ['李白病逝于当涂。']
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    store: DocumentStore
    embedding: Embeddings | None = None
    kind: RetrieverKind = DEFAULTS.retriever
    k: int = DEFAULTS.k
    within: str | None = None
    cache: DenseIndex | None = None
    reranker: CrossEncoderReranker | None = None

    @cached_property
    def _embeddings(self) -> DocumentEmbeddings | None:
        """The embeddings of the dense search; None where there is none."""
        if self.embedding is None or self.kind == "lexical":
            return None
        if isinstance(self.embedding, DocumentEmbeddings):
            return self.embedding
        return adapt(self.embedding)

    @cached_property
    def _vectors(self) -> DenseIndex:
        return self.cache or dense_index(self.store)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        within: str | None = None,
    ) -> list[Document]:
        vector = self._embeddings.embed_query(query) if self._embeddings else None
        return self._documents(query, vector, k, within)

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        within: str | None = None,
    ) -> list[Document]:
        vector = await self._embeddings.aembed_query(query) if self._embeddings else None
        return await run_in_executor(None, self._documents, query, vector, k, within)

    def _documents(
        self, text: str, vector: list[float] | None, k: int | None, within: str | None
    ) -> list[Document]:
        k = k or self.k
        if self.reranker is None:
            return self._found(text, vector, k, within)
        found = self._found(text, vector, max(k, _RERANKED), within)
        return self.reranker.compress_documents(found, text)[:k]

    def _found(
        self, text: str, vector: list[float] | None, k: int, within: str | None
    ) -> list[Document]:
        scope = within or self.within
        row = None if vector is None else np.asarray(vector, np.float32)
        query = _Query(text, row, k, self._sources(scope) if scope else None)
        pool = max(POOL, query.k)
        found, whole = self._search(query, pool)
        while len(found) < query.k and not whole and pool < _LARGEST_POOL:
            pool *= 4
            found, whole = self._search(query, pool)
        return found

    def _sources(self, scope: str) -> frozenset[str]:
        """Return the documents to be searched."""
        with self.store.read() as snapshot:
            near = {scope} if snapshot.document(scope) else set[str]()
            with suppress(ValueError):  # a NUL
                for place in (Path(scope).absolute(), Path(scope).resolve()):
                    near.update(snapshot.sources_at(str(place)))
            found = documents_within(near or snapshot.sources(), scope)
        if not found:
            shown = scope.replace("\0", ", ")
            msg = f"no indexed document is {shown} or is in it; `rag-app docs` lists what is"
            raise QuestionError(msg)
        return found

    def _search(self, query: "_Query", pool: int) -> tuple[list[Document], bool]:
        """Return the passages that pools of a size bring, and whether those held all there are."""
        with self._dense(query, pool) as (snapshot, nearest):
            frequencies = term_frequencies(snapshot, content_terms(query.text))
            matches = self._lexical(query, frequencies, snapshot, pool)
            weight = self._embeddings.hybrid_weight if self._embeddings else 0.0
            scores = fuse(nearest, matches, weight)
            ranked = sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id))
            chunks = apart(snapshot.chunks(ranked), query.k)
            # Without a vector there are no cosines, nor a calibration that asks for them.
            calibration = lexical = calibration_of(None)
            cosines = nearest
            if query.vector is not None and self._embeddings:
                calibration = calibration_of(self._embeddings.name)
                lexical_only = {chunk.id for chunk in chunks} - set(nearest)
                rows = snapshot.vectors_of(lexical_only).items()
                cosines = nearest | {chunk_id: float(row @ query.vector) for chunk_id, row in rows}
            coverage = Coverage(frequencies, snapshot.count_chunks())

        def document(chunk: ChunkRecord) -> Document:
            covered = coverage.of(chunk.searched_text)
            probability = (
                calibration.probability(covered, cosines[chunk.id])
                if chunk.id in cosines
                else lexical.probability(covered, 0.0)  # its vector is to follow
            )
            found = {"score": scores[chunk.id], "relevance": probability}
            return chunk.as_document(**found, **_ranks(chunk.id, nearest, matches))

        return [document(chunk) for chunk in chunks], max(len(nearest), len(matches)) < pool

    @contextmanager
    def _dense(self, query: "_Query", pool: int) -> Iterator[tuple[DocumentSnapshot, Scores]]:
        """Yield a snapshot and the cosines of its chunks nearest to a question, best first."""
        if query.vector is None or self._embeddings is None:
            with self.store.read() as snapshot:
                yield snapshot, {}
        else:
            with self._vectors.search(query.vector, pool, None, query.sources) as found:
                # Vectors of another model, perhaps since the question was embedded.
                self.store.check_embedding(self._embeddings, found[0])
                yield found

    def _lexical(
        self, query: "_Query", frequencies: Mapping[str, int], snapshot: DocumentSnapshot, pool: int
    ) -> Scores:
        if self.kind == "dense":
            return {}
        return search_terms(snapshot, frequencies, pool, query.sources)


@dataclass(frozen=True)
class _Query:
    """A question, and where it is searched for."""

    text: str
    vector: FloatArray | None
    k: int
    sources: frozenset[str] | None


def fuse(
    dense: Scores, lexical: Scores, weight: float = DocumentEmbeddings.hybrid_weight
) -> Scores:
    """Return the weighted sum of normalized scores, 0 to 1.

    Args:
        dense: Cosines; the lowest candidate's counts as 0, the highest as 1.
        lexical: BM25 scores, which begin at 0; the highest counts as 1.
        weight: Of the former; see `DocumentEmbeddings`.
    """
    if not dense or not lexical:
        return dense or lexical
    low = min(dense.values())
    near, match = _normalized(dense, low), _normalized(lexical, 0.0)
    return {
        chunk: weight * near.get(chunk, 0.0) + (1 - weight) * match.get(chunk, 0.0)
        for chunk in {**dense, **lexical}
    }


def _normalized(scores: Scores, low: float) -> Scores:
    span = max(scores.values(), default=0.0) - low
    return {chunk: (score - low) / span if span > 0 else 1.0 for chunk, score in scores.items()}


def _ranks(chunk_id: int, dense: Scores, lexical: Scores) -> dict[str, int]:
    """Return the 1-based ranks of a chunk in the dense and the lexical search, if any."""
    rankings = {"dense_rank": dense, "lexical_rank": lexical}
    return {
        name: list(ranking).index(chunk_id) + 1
        for name, ranking in rankings.items()
        if chunk_id in ranking
    }


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
