"""What the index needs of an embedding model, whoever implements it."""

import hashlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from rag_app.errors import ModelError

FloatArray = NDArray[np.float32]


@runtime_checkable
class EmbedsDocuments(Protocol):
    """An embedding model that knows which vector space it writes into."""

    @property
    def name(self) -> str:
        """Name of the model, as a user would give it."""

    @property
    def fingerprint(self) -> str:
        """Identity of the vector space: weights and prefixes."""

    @property
    def dimension(self) -> int:
        """Numbers in one vector."""

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """Return the passages' vectors, float32 ``[len(texts), dimension]``, L2-normalized."""

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question, L2-normalized."""


class AdaptedEmbeddings:
    """Any LangChain embeddings as :class:`EmbedsDocuments`.

    Such a model tells nothing of its weights, so the fingerprint is its class, model name and
    dimension; vectors are normalized here.
    """

    def __init__(self, inner: Embeddings) -> None:
        self._inner = inner
        label = getattr(inner, "model_name", None) or getattr(inner, "model", None)
        kind = type(inner).__qualname__
        self.name = f"{kind}:{label}" if isinstance(label, str) else kind
        self.dimension = len(inner.embed_query("dimension"))
        identity = f"{type(inner).__module__}.{self.name}/{self.dimension}"
        self.fingerprint = hashlib.sha256(identity.encode()).hexdigest()

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """See :meth:`EmbedsDocuments.embed_array`."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        return _normalized(np.asarray(self._inner.embed_documents(list(texts)), np.float32))

    def embed_query(self, text: str) -> list[float]:
        """See :meth:`EmbedsDocuments.embed_query`."""
        row = np.asarray([self._inner.embed_query(text)], np.float32)
        return [float(number) for number in _normalized(row)[0]]


def adapt(embedding: EmbedsDocuments | Embeddings) -> EmbedsDocuments:
    """Return `embedding` as it is if it fits the protocol, else wrapped."""
    return embedding if isinstance(embedding, EmbedsDocuments) else AdaptedEmbeddings(embedding)


def checked_vectors(embedding: EmbedsDocuments, texts: Sequence[str]) -> FloatArray:
    """Return the vectors of `texts`, float32 ``[len(texts), dimension]``.

    Raises:
        ModelError: the model returned another shape, or numbers that aren't finite.
    """
    vectors = np.ascontiguousarray(embedding.embed_array(texts), dtype=np.float32)
    wanted = (len(texts), embedding.dimension)
    if vectors.shape != wanted:
        msg = f"embedding model {embedding.name} returned shape {vectors.shape}, not {wanted}"
        raise ModelError(msg)
    if not np.isfinite(vectors).all():
        msg = f"embedding model {embedding.name} returned numbers that aren't finite"
        raise ModelError(msg)
    return vectors


def _normalized(vectors: FloatArray) -> FloatArray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)
