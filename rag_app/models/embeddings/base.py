"""What an index needs of embeddings, and any LangChain `Embeddings` made to give it."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from rag_app.errors import ModelError
from rag_app.models.providers import call_errors

FloatArray = NDArray[np.float32]

_SLICE = 64  # passages embedded between two reports of progress
_MODEL_NAMES = ("model_name", "model", "model_id", "model_path", "model_uid", "model_name_or_path")
"""Attributes by which embeddings of LangChain's packages say which model they ask."""
_WRAPPED = ("underlying_embeddings", "base_embeddings")
"""Attributes that hold the embeddings whose vectors are passed on."""
_SPARE = 0.9  # share of the limit that a window aims at: tokens are not spread evenly over a text


class DocumentEmbeddings(Embeddings):
    """Embeddings that know their vector space.

    Attributes:
        name: As the user gave it.
        fingerprint: The fingerprint of the vector space: weights, tokenizer and prefixes.
        dimension: Numbers in one vector.
        hybrid_weight: Of the normalized cosine in hybrid search, 0 to 1; the rest is BM25's. Tuned
            on CMRC 2018 trial with the default model, where 0.3 to 0.5 differ by less than half a
            percent.

    Example:
        >>> class Lengths(DocumentEmbeddings):
        ...     name, fingerprint, dimension = "lengths", "1", 2
        ...
        ...     def embed_array(self, texts):
        ...         return normalized(np.array([[len(text), 1] for text in texts], np.float32))
        >>> Lengths().embed_query("")
        [0.0, 1.0]
    """

    name: str
    fingerprint: str
    dimension: int
    hybrid_weight: float = 0.4

    @abstractmethod
    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """Return the vectors of passages, float32 ``[len(texts), dimension]``, L2-normalized."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of passages as lists."""
        rows: list[list[float]] = self.embed_array(texts).tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question, L2-normalized."""
        return self.embed_documents([text])[0]

    def cosines(self, question: str, texts: Sequence[str]) -> FloatArray:
        """Return how near some texts are to a question, float32 ``[len(texts)]``."""
        vector = np.asarray(self.embed_query(question), np.float32)
        cosines: FloatArray = self.embed_array(texts) @ vector
        return cosines


class AdaptedEmbeddings(DocumentEmbeddings):
    """Any LangChain embeddings as `DocumentEmbeddings`.

    Their weights are unknown, so the fingerprint is made of class, model name and dimension. What
    keeps the vectors of others or asks them, as LangChain's ``CacheBackedEmbeddings`` and
    ``HypotheticalDocumentEmbedder`` do, has their vector space.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> embeddings = AdaptedEmbeddings(DeterministicFakeEmbedding(size=3))
        >>> embeddings.name, embeddings.dimension, embeddings.embed_array(["李白"]).shape
        ('DeterministicFakeEmbedding', 3, (1, 3))
    """

    def __init__(self, inner: Embeddings, name: str | None = None) -> None:
        self.inner = inner
        given = (getattr(inner, attribute, None) for attribute in _WRAPPED)
        wrapped = next((each for each in given if isinstance(each, Embeddings)), None)
        self._wrapped = adapt(wrapped) if wrapped else None
        if self._wrapped:
            self.hybrid_weight = self._wrapped.hybrid_weight
        labels = (getattr(inner, attribute, None) for attribute in _MODEL_NAMES)
        label = next((each for each in labels if each and isinstance(each, str)), "")
        kind = type(inner).__qualname__
        self._label = f"{kind}:{label}" if label else kind
        self.name = name or (self._wrapped.name if self._wrapped else self._label)

    @cached_property
    def dimension(self) -> int:  # type: ignore[override] # asked of the model when it is needed
        """Numbers in one vector."""
        return self._wrapped.dimension if self._wrapped else len(self.embed_query("dimension"))

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        """A fingerprint of class, model name and dimension."""
        if self._wrapped:
            return self._wrapped.fingerprint
        identity = f"{type(self.inner).__module__}.{self._label}/{self.dimension}"
        return hashlib.sha256(identity.encode()).hexdigest()

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """See `DocumentEmbeddings.embed_array`."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        with call_errors(self.inner):
            return _vectors(self.inner.embed_documents(list(texts)), len(texts), self.name)

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question, L2-normalized."""
        with call_errors(self.inner):
            return self._row(self.inner.embed_query(text))

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query` as the embeddings themselves do it asynchronously."""
        with call_errors(self.inner):
            return self._row(await self.inner.aembed_query(text))

    def _row(self, numbers: list[float]) -> list[float]:
        row: list[float] = _vectors([numbers], 1, self.name)[0].tolist()
        return row


def adapt(embeddings: Embeddings) -> DocumentEmbeddings:
    """Return ``embeddings`` as they are if they know their vector space, else adapted."""
    if isinstance(embeddings, DocumentEmbeddings):
        return embeddings
    return AdaptedEmbeddings(embeddings)


def normalized(vectors: FloatArray) -> FloatArray:
    """Return ``vectors``, float32 ``[n, dimension]``, of length 1; zero vectors stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)


def embed_by_length(
    embedding: DocumentEmbeddings,
    texts: Sequence[str],
    progress: Callable[[int], None] | None = None,
) -> FloatArray:
    """Return the vectors of passages in their order, float32 ``[len(texts), dimension]``.

    They are embedded longest first, so that the texts of a batch are padded to little more than
    their own length, as ``SentenceTransformer.encode`` does with all that it is given.

    Args:
        embedding: The model.
        texts: Passages of any length.
        progress: Called with how many texts each step embedded.

    Raises:
        ModelError: the model returned another shape, or numbers that aren't finite.
    """
    vectors = np.empty((len(texts), embedding.dimension), np.float32)
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    for start in range(0, len(order), _SLICE):
        rows = order[start : start + _SLICE]
        vectors[rows] = _checked_vectors(embedding, [texts[i] for i in rows])
        if progress is not None:
            progress(len(rows))
    return vectors


def _checked_vectors(embedding: DocumentEmbeddings, texts: Sequence[str]) -> FloatArray:
    vectors = embedding.embed_array(texts)
    wanted = (len(texts), embedding.dimension)
    if vectors.shape != wanted:
        msg = f"embedding model {embedding.name} returned shape {vectors.shape}, not {wanted}"
        raise ModelError(msg)
    return _finite(vectors, embedding.name)


def _vectors(rows: object, count: int, name: str) -> FloatArray:
    """Return what embeddings made of ``count`` texts, normalized, or say what is wrong with it."""
    try:
        vectors = np.asarray(rows, np.float32)
    except (TypeError, ValueError) as error:
        msg = f"embedding model {name} returned no numbers in vectors of one length"
        raise ModelError(msg) from error
    if vectors.ndim != 2 or len(vectors) != count or not vectors.size:
        raise ModelError(f"embedding model {name} returned shape {vectors.shape} for {count} texts")
    return normalized(_finite(vectors, name))


def _finite(vectors: FloatArray, name: str) -> FloatArray:
    if not np.isfinite(vectors).all():
        raise ModelError(f"embedding model {name} returned numbers that aren't finite")
    return vectors


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
