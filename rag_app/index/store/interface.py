"""What an index must be able to do, wherever it is: its documents, their passages, and searches.

`IndexStore` with its FAISS file is one such store, `MilvusStore` another; what indexes, retrieves
and lists knows these protocols only.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from rag_app.index.store.records import ChunkRecord, DocumentRecord, IndexMeta, Staging
from rag_app.index.store.snapshot import Matches

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray

Scores = dict[int, float]
"""Score by chunk id, best first."""


class DocumentSnapshot(Protocol):
    """One committed state; `Snapshot` says what each method returns."""

    def meta(self) -> IndexMeta: ...  # noqa: D102
    def documents(self) -> Iterator[DocumentRecord]: ...  # noqa: D102
    def sources(self) -> list[str]: ...  # noqa: D102
    def document(self, source: str) -> DocumentRecord | None: ...  # noqa: D102
    def sources_of_hash(self, content_hash: str) -> list[str]: ...  # noqa: D102
    def sources_at(self, path: str) -> list[str]: ...  # noqa: D102
    def staging(self) -> Staging | None: ...  # noqa: D102
    def count_documents(self) -> int: ...  # noqa: D102
    def count_chunks(self) -> int: ...  # noqa: D102
    def count_outdated(self) -> int: ...  # noqa: D102
    def count_waiting(self) -> tuple[int, int]: ...  # noqa: D102
    def chunks(self, ids: Sequence[int]) -> list[ChunkRecord]: ...  # noqa: D102
    def first_chunks(self, limit: int) -> list[ChunkRecord]: ...  # noqa: D102
    def sample_texts(self, count: int) -> list[str]: ...  # noqa: D102
    def ids_where(  # noqa: D102
        self, matches: Matches | None = None, sources: Collection[str] | None = None
    ) -> "NDArray[np.int64]": ...
    def all_chunks(self) -> Iterator[ChunkRecord]: ...  # noqa: D102
    def chunks_of(self, source: str) -> Iterator[ChunkRecord]: ...  # noqa: D102
    def ids_of(self, public_ids: Sequence[str]) -> list[int]: ...  # noqa: D102
    def vectors_of(self, ids: Iterable[int]) -> "dict[int, FloatArray]": ...  # noqa: D102
    def search_any(  # noqa: D102
        self, terms: Sequence[str], limit: int, sources: Collection[str] | None = None
    ) -> list[tuple[int, float]]: ...
    def document_frequency(self, term: str) -> int: ...  # noqa: D102


class DocumentTransaction(DocumentSnapshot, Protocol):
    """A state in the making; `Transaction` says what each method does."""

    def replace_document(  # noqa: D102
        self, document: DocumentRecord, chunks: Sequence[ChunkRecord], vectors: "FloatArray"
    ) -> list[int]: ...
    def rename_document(  # noqa: D102
        self, source: str, new: str, folders: Sequence[str] | None = None
    ) -> None: ...
    def append_chunks(  # noqa: D102
        self, document: DocumentRecord, chunks: Sequence[ChunkRecord], vectors: "FloatArray"
    ) -> list[int]: ...
    def delete_document(self, source: str) -> bool: ...  # noqa: D102
    def delete_chunks(self, ids: Sequence[int]) -> int: ...  # noqa: D102
    def delete_empty_documents(self) -> None: ...  # noqa: D102
    def set_meta(self, meta: IndexMeta) -> None: ...  # noqa: D102


@runtime_checkable
class DocumentStore(Protocol):
    """An index: read in states, written in transactions by one writer at a time.

    Attributes:
        folder: On this machine, for what is not of the index itself: the writer's lock, vectors of
            a document that is not embedded to its end.
    """

    folder: Path

    @property
    def place(self) -> str:
        """Where the index is, for people."""

    def size(self) -> int | None:
        """Return its bytes on this machine; None where it is elsewhere."""

    def names(self) -> list[str]:
        """Return the names of all indexes in the place of this one."""

    def exists(self) -> bool:
        """Return whether there is such an index."""

    def check_exists(self) -> None:
        """Raise IndexStoreError if there is no such index."""

    def create(self, meta: IndexMeta) -> None:
        """Make an empty index; one that exists is left as it is."""

    def read(self) -> AbstractContextManager[DocumentSnapshot]:
        """Yield a snapshot; it ends with the block."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold the writer's lock over several transactions."""

    def write(self) -> AbstractContextManager[DocumentTransaction]:
        """Yield a transaction; it is committed at the end of the block, or undone by any error."""

    def drop(self) -> None:
        """Delete what of the index is outside its folder, with the writer's lock held."""

    def check_embedding(
        self, embedding: "DocumentEmbeddings", snapshot: DocumentSnapshot | None = None
    ) -> None:
        """Raise EmbeddingMismatchError if the index, or that state, was made with another model."""

    def close(self) -> None:
        """Release connections."""


@runtime_checkable
class DenseIndex(Protocol):
    """The vectors of a store, searched in its latest state."""

    def search(
        self,
        vector: "FloatArray",
        k: int,
        matches: Matches | None = None,
        sources: Collection[str] | None = None,
    ) -> AbstractContextManager[tuple[DocumentSnapshot, Scores]]:
        """Yield a snapshot and the cosines of its ``k`` nearest chunks; see `FaissCache`."""

    def refresh(self) -> Any:
        """Bring what is derived from the store to its latest state."""
