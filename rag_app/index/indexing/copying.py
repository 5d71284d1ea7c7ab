"""Copying an index into another store, vectors included."""

from dataclasses import dataclass

from model_prep.progress import CountProgress
from rag_app.errors import IndexStoreError
from rag_app.index.search.faiss_cache import dense_index
from rag_app.index.store.interface import DocumentStore
from rag_app.index.store.records import DocumentRecord


@dataclass
class CopyReport:
    """Documents by what became of them."""

    copied: int = 0
    unchanged: int = 0
    removed: int = 0
    passages: int = 0
    """Passages of the documents that were copied."""


def copy_index(
    source: DocumentStore, target: DocumentStore, progress: CountProgress | None = None
) -> CopyReport:
    """Bring ``target`` to what ``source`` holds, with its vectors; documents that it has are left.

    A run that was interrupted is gone on with by the same call.

    Raises:
        IndexStoreError: there is no index at ``source``, one of another model at ``target``, or one
            of them can't be used.
    """
    import numpy as np

    report = CopyReport()
    with source.read() as snapshot:
        if waiting := snapshot.count_waiting()[0]:
            msg = f"{waiting} documents have no vectors yet; first run: rag-app index PATH"
            raise IndexStoreError(msg)
        meta = snapshot.meta()
        wanted = {document.source: document for document in snapshot.documents()}
    target.create(meta)
    with target.locked():
        with target.read() as snapshot:
            if snapshot.meta().fingerprint != meta.fingerprint:
                raise IndexStoreError(
                    f"the index {target.place} was made with embedding model "
                    f"{snapshot.meta().embedding}, not {meta.embedding}; choose another index"
                )
            there = {document.source: document for document in snapshot.documents()}
        for done, (name, document) in enumerate(wanted.items(), 1):
            if name in there and _content(there[name]) == _content(document):
                report.unchanged += 1
            else:
                with source.read() as snapshot:
                    chunks = list(snapshot.chunks_of(name))
                    vectors = snapshot.vectors_of(chunk.id for chunk in chunks)
                rows = np.array([vectors[chunk.id] for chunk in chunks], np.float32)
                with target.write() as transaction:
                    transaction.replace_document(
                        document, chunks, rows.reshape(len(chunks), meta.dimension)
                    )
                report.copied += 1
                report.passages += len(chunks)
            if progress is not None:
                progress(done, len(wanted))
        for name in there.keys() - wanted.keys():
            with target.write() as transaction:
                report.removed += transaction.delete_document(name)
        with target.write() as transaction:
            transaction.set_meta(meta)
    dense_index(target).refresh()
    return report


def _content(document: DocumentRecord) -> tuple[str, str, int]:
    return document.content_hash, document.settings, document.chunks
