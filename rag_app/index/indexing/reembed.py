"""Embedding the passages of an index again, with another model."""

from collections.abc import Callable

from langchain_core.embeddings import Embeddings

from rag_app.index.store.records import IndexMeta
from rag_app.index.store.store import IndexStore
from rag_app.index.store.terms import lexical_version
from rag_app.models.embeddings.base import adapt, embed_by_length

_BATCH = 256
_STAGED_FOR = "staged_for"


def reembed(
    store: IndexStore,
    embeddings: Embeddings,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Give every chunk a vector of `embedding`, from the texts in the index.

    New vectors are staged batch by batch and swapped in at once: readers have the old space until
    then, and a run that was interrupted goes on where it stopped.

    Args:
        store: The index.
        embeddings: The model to use from now on.
        progress: Called with how many chunks are done, and of how many.

    Returns:
        The number of chunks embedded in this run.
    """
    done, embedding = 0, adapt(embeddings)
    with store.locked():
        with store.write() as transaction:
            total, old = transaction.count_chunks(), transaction.meta()
            wanted = f"{embedding.fingerprint}/{lexical_version()}"  # another text, another vector
            if transaction.optional_value(_STAGED_FOR) != wanted:
                transaction.drop_staged()
                transaction.set_value(_STAGED_FOR, wanted)
            waiting, staged = transaction.unstaged(_BATCH), transaction.count_staged()
        while waiting:
            vectors = embed_by_length(embedding, [chunk.embedded_text for chunk in waiting])
            with store.write() as transaction:
                transaction.stage_vectors([chunk.id for chunk in waiting], vectors)
                staged += len(waiting)
                done += len(waiting)
                waiting = transaction.unstaged(_BATCH)
            if progress is not None:
                progress(staged, total)
        with store.write() as transaction:
            new = IndexMeta.of(embedding, old.chunk_size, old.chunk_overlap)
            transaction.swap_vectors(new)
            transaction.set_value(_STAGED_FOR, None)
    return done
