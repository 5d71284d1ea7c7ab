"""The index as a LangChain vector store."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from rag_app.index.search.faiss_cache import EXACT_LIMIT, DerivedVectors
from rag_app.index.store.records import ChunkRecord, DocumentRecord, IndexMeta
from rag_app.index.store.store import IndexStore
from rag_app.models.embeddings.base import FloatArray, adapt, embed_by_length

_ADDED = "added texts"
_OWN_FIELDS = {"source", "start", "end", "page", "heading", "ordinal"}


class FaissVectorStore(VectorStore):
    """Dense search over an :class:`IndexStore`.

    Ids are chunk ids, or the caller's own where it gave some. Scores are cosines.

    Args:
        store: the index; made at the first addition if it isn't there.
        embedding: the model that it was made with, or any LangChain embeddings.
        exact_limit: number of vectors above which search becomes approximate.
    """

    def __init__(
        self,
        store: IndexStore,
        embedding: Embeddings,
        *,
        exact_limit: int = EXACT_LIMIT,
    ) -> None:
        self.store = store
        self.embedding = adapt(embedding)
        self.derived = DerivedVectors(store, exact_limit=exact_limit)
        self._given = embedding

    @property
    def embeddings(self) -> Embeddings:
        """The embedding model as it was given."""
        return self._given

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embed passages and add them in one transaction.

        Args:
            texts: the passages.
            metadatas: one for each; ``source`` names the document that a passage belongs to.
            ids: own ids; a passage that has one of them already is replaced.
            kwargs: ignored.

        Returns:
            The ids, in order.

        Raises:
            ValueError: the lists differ in length, or an id is given twice.
            EmbeddingMismatchError: the index was made with another model.
        """
        passages = list(texts)
        given = metadatas or [{} for _ in passages]
        keys: Sequence[str | None] = ids or [None] * len(passages)
        rows = zip(passages, given, keys, strict=True)
        chunks = [_chunk(text, metadata, key) for text, metadata, key in rows]
        if ids and len(set(ids)) < len(ids):
            raise ValueError("an id is given twice")
        self._ensure()
        vectors = embed_by_length(self.embedding, passages)
        with self.store.write() as transaction:
            replaced = transaction.ids_of([key for key in keys if key is not None])
            transaction.delete_chunks(replaced)
            added = [
                transaction.append_chunks(_document(chunk.source), [chunk], vectors[i : i + 1])[0]
                for i, chunk in enumerate(chunks)
            ]
            transaction.delete_empty_documents()
        return [key or str(number) for key, number in zip(keys, added, strict=True)]

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Delete passages, and documents that have none left; None deletes all."""
        with self.store.write() as transaction:
            if ids is None:
                for document in list(transaction.documents()):
                    transaction.delete_document(document.source)
                return True
            found = transaction.ids_of(ids)
            transaction.delete_chunks(found)
            transaction.delete_empty_documents()
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the passages of `ids`; unknown ones are left out."""
        with self.store.read() as snapshot:
            return [as_document(chunk) for chunk in snapshot.chunks(snapshot.ids_of(ids))]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Return the `k` passages nearest to a question."""
        return [document for document, _ in self.similarity_search_with_score(query, k)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the `k` passages nearest to a question with their cosines."""
        return self._search(self.query_vector(query), k)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """Return the `k` passages nearest to a vector ``[dimension]``."""
        vector = np.asarray(embedding, np.float32)
        return [document for document, _ in self._search(vector, k)]

    def query_vector(self, query: str) -> FloatArray:
        """Return the vector of a question, float32 ``[dimension]``, for this index.

        Raises:
            EmbeddingMismatchError: the index was made with another model.
        """
        self.store.check_embedding(self.embedding)
        return np.asarray(self.embedding.embed_query(query), np.float32)

    @classmethod
    def from_texts(  # type: ignore[override] # it needs a folder
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

    def _select_relevance_score_fn(self) -> Any:
        # Rounding takes cosines a little beyond 1, and LangChain warns of it.
        return lambda cosine: min(max((cosine + 1) / 2, 0.0), 1.0)

    def _search(self, vector: FloatArray, k: int) -> list[tuple[Document, float]]:
        with self.derived.searched(vector, k) as (snapshot, found):
            scores = dict(found)
            return [(as_document(chunk), scores[chunk.id]) for chunk in snapshot.chunks([*scores])]

    def _ensure(self) -> None:
        if not self.store.exists():
            self.store.create(IndexMeta.of(self.embedding, 0, 0))
        self.store.check_embedding(self.embedding)


def as_document(chunk: ChunkRecord) -> Document:
    """Return a passage as LangChain's document."""
    return Document(id=chunk.public_id, page_content=chunk.text, metadata=chunk.metadata())


def _chunk(text: str, metadata: dict[str, Any], key: str | None) -> ChunkRecord:
    start = metadata.get("start", 0)
    return ChunkRecord(
        text=text,
        start=start,
        end=metadata.get("end", start + len(text)),
        page=metadata.get("page"),
        heading=metadata.get("heading"),
        extra={name: value for name, value in metadata.items() if name not in _OWN_FIELDS},
        key=key,
        source=str(metadata.get("source", _ADDED)),
    )


def _document(source: str) -> DocumentRecord:
    return DocumentRecord(source=source, content_hash="", settings="added")
