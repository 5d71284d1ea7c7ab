"""Embedding the passages of an index again, with another model."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from langchain_core.embeddings import Embeddings

from model_prep.progress import CountProgress
from rag_app.documents.text import lexical_version
from rag_app.errors import BusyIndexError
from rag_app.index.search.faiss_cache import FaissCache
from rag_app.index.store.database import missing_index
from rag_app.index.store.lock import WriterLock
from rag_app.index.store.records import FORMAT, ChunkRecord, IndexMeta
from rag_app.index.store.store import IndexStore
from rag_app.index.store.transaction import Transaction
from rag_app.models.embeddings.base import DocumentEmbeddings, adapt, embed_by_length

_BATCH = 256
_PAUSE_SECONDS = 0.2  # before a busy index is tried again

_log = logging.getLogger(__name__)


def reembed(
    store: IndexStore, embeddings: Embeddings, progress: CountProgress | None = None
) -> int:
    """Embed every chunk of the index again with `embeddings`, from the texts in it.

    New vectors are staged batch by batch, and swapped in by one transaction: readers have the old
    space until then, and a run that was interrupted goes on where it stopped. The index is locked
    only while a batch is written: documents that come meanwhile, with vectors of the old model, are
    embedded as well, and those that go are forgotten.

    Args:
        store: The index.
        embeddings: The model to use from now on.
        progress: Called with how many chunks are done, and of how many.

    Returns:
        The number of chunks embedded in this run.

    Raises:
        BusyIndexError: another run embeds the index again.
        IndexStoreError: there is no index, or it can't be written; the old vectors serve on.
        ModelError: see `embed_by_length`.
    """
    if not store.exists():
        raise missing_index(store.path)
    embedding, done = adapt(embeddings), 0
    with WriterLock(store.folder, 0, name="reembed", doing="embedded again").held():
        with _writing(store) as transaction:
            transaction.begin_staging(_space(embedding), embedding.name)
        while not _swapped(store, embedding):
            while waiting := _waiting(store):
                vectors = embed_by_length(embedding, [chunk.embedded_text for chunk in waiting])
                with _writing(store) as transaction:
                    transaction.stage_vectors([chunk.id for chunk in waiting], vectors)
                    staging, total = transaction.staging(), transaction.count_chunks()
                done += len(waiting)
                if progress is not None and staging is not None:
                    progress(staging.done, total)
        FaissCache(store).refresh()
    return done


def _space(embedding: DocumentEmbeddings) -> str:
    """Return what staged vectors depend on: another text has another vector too."""
    return f"{embedding.fingerprint}/{FORMAT}/{lexical_version()}"


def _waiting(store: IndexStore) -> list[ChunkRecord]:
    with store.read() as snapshot:
        return snapshot.unstaged(_BATCH)


def _swapped(store: IndexStore, embedding: DocumentEmbeddings) -> bool:
    """Swap the vectors in if every chunk has one; return whether that was so."""
    with _writing(store) as transaction:
        if transaction.unstaged(1):
            return False
        old = transaction.meta()
        transaction.swap_vectors(IndexMeta.of(embedding, old.chunk_size, old.chunk_overlap))
    return True


@contextmanager
def _writing(store: IndexStore) -> Iterator[Transaction]:
    """Yield a transaction once nobody else writes the index, however long that is."""
    with ExitStack() as stack:
        _wait_for(store, stack)
        yield stack.enter_context(store.write())


def _wait_for(store: IndexStore, stack: ExitStack) -> None:
    told = False
    while True:
        try:
            stack.enter_context(store.locked())
        except BusyIndexError as error:
            if not told:
                _log.warning("waiting: %s", error)
            told = True
            time.sleep(_PAUSE_SECONDS)
        else:
            return
