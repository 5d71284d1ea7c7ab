"""Embedding the chunks of several documents together."""

from collections.abc import Callable, Sequence

import numpy as np

from rag_app.models.embeddings.base import EmbedsDocuments, FloatArray, checked_vectors

_SLICE = 64


def embed_by_length(
    embedding: EmbedsDocuments, texts: Sequence[str], progress: Callable[[int], None] | None = None
) -> FloatArray:
    """Return the vectors of `texts` in their order, float32 ``[len(texts), dimension]``.

    They are embedded longest first, so that texts of a batch are padded to little more than
    their own length, as ``SentenceTransformer.encode`` does with all that it is given.

    Args:
        embedding: the model.
        texts: passages of any length.
        progress: told how many texts each step embedded.
    """
    vectors = np.empty((len(texts), embedding.dimension), np.float32)
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    for start in range(0, len(order), _SLICE):
        rows = order[start : start + _SLICE]
        vectors[rows] = checked_vectors(embedding, [texts[i] for i in rows])
        if progress is not None:
            progress(len(rows))
    return vectors
