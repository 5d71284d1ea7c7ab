"""The documents of an index: listing them, reading their text, removing them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rag_app.errors import DocumentError
from rag_app.index.store.records import ChunkRecord, DocumentRecord
from rag_app.index.store.store import IndexStore


def documents(store: IndexStore) -> list[DocumentRecord]:
    """Return what is indexed, by source."""
    with store.read() as snapshot:
        return list(snapshot.documents())


def text_of(store: IndexStore, source: str) -> str:
    """Return the text of an indexed document, at whose offsets its passages stand.

    Raises:
        DocumentError: it isn't indexed.
    """
    with store.read() as snapshot:
        if snapshot.document(source) is None:
            raise _not_indexed(source)
        return joined(snapshot.chunks_of(source))


def joined(chunks: Iterable[ChunkRecord]) -> str:
    """Return the text that ``chunks``, in order, were cut from, at the same offsets.

    Passages overlap; between two there is only white space, of which a line break and spaces are
    made here.
    """
    parts: list[str] = []
    end = 0
    for chunk in chunks:
        if chunk.start > end:
            parts.append("\n" + " " * (chunk.start - end - 1))
            end = chunk.start
        parts.append(chunk.text[end - chunk.start :])
        end = max(end, chunk.end)
    return "".join(parts)


def remove(store: IndexStore, sources: Sequence[str]) -> list[str]:
    """Take documents out of the index and return their sources.

    Args:
        store: The index.
        sources: As `documents` lists them, or paths that resolve to those.

    Raises:
        DocumentError: one of them isn't indexed; then none is removed.
    """
    indexed = {document.source for document in documents(store)}
    chosen = [path if path in indexed else str(Path(path).resolve()) for path in sources]
    for given, source in zip(sources, chosen, strict=True):
        if source not in indexed:
            raise _not_indexed(given)
    with store.write() as transaction:
        for source in chosen:
            transaction.delete_document(source)
    return chosen


def figures(store: IndexStore) -> dict[str, str | int]:
    """Return how much there is in the index and what it was made with."""
    with store.read() as snapshot:
        meta = snapshot.meta()
        return {
            "documents": snapshot.count_documents(),
            "passages": snapshot.count_chunks(),
            "embedding": meta.embedding,
            "chunk_size": meta.chunk_size,
            "chunk_overlap": meta.chunk_overlap,
            "bytes": sum(file.stat().st_size for file in store.folder.iterdir()),
        }


def _not_indexed(source: str) -> DocumentError:
    return DocumentError(f"{source} is not in the index; `rag-app docs` lists what is")
