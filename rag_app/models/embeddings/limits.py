"""Texts that are longer than an embedding model reads."""

from collections.abc import Callable, Sequence

import numpy as np

from rag_app.models.embeddings.base import FloatArray, normalized

_SPARE = 0.9
"""Share of the limit that a window aims at: tokens are not spread evenly over a text."""


def windows(text: str, limit: int, count: Callable[[str], int]) -> list[str]:
    """Return a text in parts that a model reads in full, cut at the ends of sentences if possible.

    Args:
        text: A text of any length.
        limit: Most tokens of a part.
        count: Returns the tokens of a text.

    Example:
        >>> windows("李白病逝于当涂。墓在青山。", 9, len)
        ['李白病逝于当涂。', '墓在青山。']
    """
    from rag_app.documents.splitters import ChineseTextSplitter

    tokens = count(text)
    if tokens <= limit or len(text) < 2:
        return [text]
    size = max(int(len(text) * limit / tokens * _SPARE), 1)
    parts = ChineseTextSplitter(min(size, len(text) - 1), 0).split_text(text)
    return [window for part in parts for window in windows(part, limit, count)]


def mean_vector(vectors: FloatArray, weights: Sequence[int]) -> FloatArray:
    """Return the weighted mean of vectors, float32 ``[n, dimension]``, L2-normalized."""
    average = np.average(vectors, axis=0, weights=weights)
    row: FloatArray = normalized(average[np.newaxis].astype(np.float32))[0]
    return row
