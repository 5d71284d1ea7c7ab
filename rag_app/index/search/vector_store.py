"""The index as a LangChain vector store."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from rag_app.index.search.faiss_cache import dense_index
from rag_app.index.store.interface import DenseIndex, DocumentSnapshot, DocumentStore, Scores
from rag_app.index.store.records import ChunkRecord, DocumentRecord, IndexMeta
from rag_app.index.store.snapshot import Matches
from rag_app.index.store.store import IndexStore
from rag_app.models.embeddings.base import FloatArray, adapt, embed_by_length

_ADDED = "added texts"
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Halves of characters, as some readers of PDFs leave them: no text that can be stored."""
_OWN_FIELDS: dict[str, Any] = {
    "start": Integral,
    "end": Integral,
    "page": int | str,
    "heading": str,
}
"""Metadata that have a column, where they have its type."""
_BY_STORE = ("source", "ordinal")

Filter = Mapping[str, Any] | Matches
"""Metadata that passages must have, a list standing for any of its items, or a test of them."""


class FaissVectorStore(VectorStore):
    """Dense search over an :class:`IndexStore`.

    Ids are chunk ids, or the caller's own where it gave some. Scores are cosines. Every search
    takes a `filter`, and searches exactly what it lets through.

    Args:
        store: The index; made at the first addition if it isn't there.
        embedding: The embeddings that it was made with.
        cache: The vectors of the store, such as its FAISS index; several vector stores can share
            it.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> poems = FaissVectorStore.from_texts(
        ...     ["静夜思", "春望"],
        ...     DeterministicFakeEmbedding(size=8),
        ...     [{"source": "李白"}, {"source": "杜甫"}],
        ...     folder="poems",
        ... )
        >>> [found] = poems.similarity_search("静夜思", filter={"source": ["杜甫", "王维"]})
        >>> found.page_content
        '春望'
    """

    def __init__(
        self, store: DocumentStore, embedding: Embeddings, *, cache: DenseIndex | None = None
    ) -> None:
        self.store = store
        self.embedding = adapt(embedding)
        self.cache = cache or dense_index(store)
        self._given = embedding

    @property
    def embeddings(self) -> Embeddings:
        """The embeddings as they were given."""
        return self._given

    @classmethod
    def from_texts(  # type: ignore[override] # an index needs a folder
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        folder: str | Path,
        **kwargs: Any,
    ) -> Self:
        """Return a store in `folder` with `texts` added."""
        store = cls(IndexStore(folder), embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embed passages and add them in one transaction.

        Args:
            texts: The passages.
            metadatas: One for each; ``source`` names the document that a passage belongs to.
            ids: Own ids; a passage that has one of them already is replaced.
            kwargs: Ignored.

        Returns:
            The ids, in order.

        Raises:
            ValueError: the lists differ in length, or an id is given twice.
            EmbeddingMismatchError: the index was made with another model.
        """
        passages = [_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text) for text in texts]
        given = metadatas or [{} for _ in passages]
        keys = ids or [None] * len(passages)
        if not len(passages) == len(given) == len(keys):
            counts = f"{len(passages)} texts, {len(given)} metadatas, {len(keys)} ids"
            raise ValueError(f"{counts}: a list is shorter than another; give as many of each")
        rows = zip(passages, given, keys, strict=True)
        chunks = [_chunk(text, metadata, key) for text, metadata, key in rows]
        own = [key for key in keys if key is not None]
        if len(set(own)) < len(own):
            raise ValueError("an id is given twice")
        if not self.store.exists():
            self.store.create(IndexMeta.of(self.embedding, 0, 0))
        self.store.check_embedding(self.embedding)
        vectors = embed_by_length(self.embedding, [chunk.embedded_text for chunk in chunks])
        with self.store.write() as transaction:
            # Its passages may have been embedded again meanwhile.
            self.store.check_embedding(self.embedding, transaction)
            transaction.delete_chunks(transaction.ids_of(own))
            added = [
                transaction.append_chunks(_document(chunk.source), [chunk], vectors[i : i + 1])[0]
                for i, chunk in enumerate(chunks)
            ]
            transaction.delete_empty_documents()
        return [key or str(chunk_id) for key, chunk_id in zip(keys, added, strict=True)]

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Delete passages, and documents that have none left; None deletes all."""
        with self.store.write() as transaction:
            chosen = transaction.ids_where().tolist() if ids is None else transaction.ids_of(ids)
            transaction.delete_chunks(chosen)
            transaction.delete_empty_documents()
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the passages of `ids`; unknown ones are left out."""
        with self.store.read() as snapshot:
            return list(map(_as_document, snapshot.chunks(snapshot.ids_of(ids))))

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Return the `k` passages nearest to a question."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the `k` passages nearest to a question with their cosines."""
        with self.nearest(self.query_vector(query), k, filter) as (snapshot, scores):
            return [(_as_document(chunk), scores[chunk.id]) for chunk in snapshot.chunks([*scores])]

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """Return the `k` passages nearest to a vector ``[dimension]``."""
        with self.nearest(np.asarray(embedding, np.float32), k, filter) as (snapshot, scores):
            return list(map(_as_document, snapshot.chunks([*scores])))

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Return `k` passages near to a question and unlike each other.

        They are chosen among the `fetch_k` nearest; a `lambda_mult` of 1 looks only at how near
        they are, 0 only at how unlike.
        """
        vector = self.query_vector(query).tolist()
        return self.max_marginal_relevance_search_by_vector(
            vector, k, fetch_k, lambda_mult, **kwargs
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search` for a vector ``[dimension]``."""
        vector = np.asarray(embedding, np.float32)
        with self.nearest(vector, fetch_k, filter) as (snapshot, scores):
            vectors = snapshot.vectors_of(scores)
            ids, rows = list(scores), [vectors[chunk_id].tolist() for chunk_id in scores]
            chosen = maximal_marginal_relevance(vector, rows, lambda_mult, k)
            return list(map(_as_document, snapshot.chunks([ids[row] for row in chosen])))

    def nearest(
        self, vector: FloatArray, k: int, filter: Filter | None = None
    ) -> AbstractContextManager[tuple[DocumentSnapshot, Scores]]:
        """Yield a snapshot of the index and the cosines of its `k` chunks nearest to a vector."""
        matches, sources = _matches(filter) if filter else (None, None)
        return self.cache.search(vector, max(k, 0), matches, sources)

    def query_vector(self, query: str) -> FloatArray:
        """Return the vector of a question, float32 ``[dimension]``, for this index.

        Raises:
            EmbeddingMismatchError: the index was made with another model.
        """
        self.store.check_embedding(self.embedding)
        return np.asarray(self.embedding.embed_query(query), np.float32)

    def _select_relevance_score_fn(self) -> Any:
        # Rounding takes cosines a little beyond 1, and LangChain warns of it.
        return lambda cosine: min(max((cosine + 1) / 2, 0.0), 1.0)


def _matches(wanted: Filter) -> tuple[Matches | None, list[str] | None]:
    """Return a test of metadata, and the sources that it lets through, where it names some."""
    if callable(wanted):
        return wanted, None
    values = wanted.values() if isinstance(wanted, Mapping) else [wanted]
    if any(name.startswith("$") for value in [wanted, *values] for name in _names(value)):
        msg = f"no operators are known in a filter, as in {wanted}; give values, lists or a test"
        raise ValueError(msg)
    allowed = {
        name: list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
        for name, value in wanted.items()
    }
    # Texts that were added without a source have one that is not in their metadata.
    sources = [str(name) for name in allowed.pop("source", ()) if name != _ADDED]
    if not allowed:
        return None, sources
    return (
        lambda metadata: all(metadata.get(name) in values for name, values in allowed.items()),
        sources if "source" in wanted else None,
    )


def _names(value: Any) -> list[str]:
    return [str(name) for name in value] if isinstance(value, Mapping) else []


def _as_document(chunk: ChunkRecord) -> Document:
    # A text that was added without a source has no place: its metadata are those it was given.
    if chunk.source == _ADDED:
        return Document(id=chunk.public_id, page_content=chunk.text, metadata=dict(chunk.extra))
    return chunk.as_document()


def _chunk(text: str, metadata: dict[str, Any], key: str | None) -> ChunkRecord:
    if metadata.get("source") is None:
        return ChunkRecord(text, 0, len(text), extra=metadata, key=key, source=_ADDED)
    own = {
        name: metadata[name]
        for name, kind in _OWN_FIELDS.items()
        if isinstance(metadata.get(name), kind)
    }
    start = int(own.get("start", 0))
    return ChunkRecord(
        text=text,
        start=start,
        end=int(own.get("end", start + len(text))),
        page=own.get("page"),
        heading=own.get("heading"),
        extra={name: value for name, value in metadata.items() if name not in {*own, *_BY_STORE}},
        key=key,
        source=str(metadata["source"]),
    )


def _document(source: str) -> DocumentRecord:
    return DocumentRecord(source=source, content_hash="", settings="added")
