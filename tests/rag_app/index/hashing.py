"""A small embedding model without weights: hashed character bigrams, the same on every machine."""

import hashlib
from collections.abc import Sequence

import numpy as np

from rag_app.documents.text import document_terms
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray


class HashingEmbeddings(DocumentEmbeddings):
    """Texts that share bigrams have near vectors."""

    def __init__(self, dimension: int = 64, salt: str = "") -> None:
        self.name = f"hashing{salt}"
        self.fingerprint = f"hashing-{dimension}-{salt}"
        self.dimension = dimension
        self.batches: list[list[str]] = []
        self._salt = salt

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        self.batches.append(list(texts))
        return np.array([self._vector(text) for text in texts], np.float32).reshape(
            len(texts), self.dimension
        )

    def embed_query(self, text: str) -> list[float]:
        return [float(number) for number in self._vector(text)]

    def _vector(self, text: str) -> FloatArray:
        vector = np.zeros(self.dimension)
        for term in document_terms(text).split() or [""]:
            digest = hashlib.blake2b(f"{self._salt}{term}".encode(), digest_size=4).digest()
            number = int.from_bytes(digest, "little")
            vector[number % self.dimension] += 1 if number >> 31 else -1
        vector[0] += 0.001  # never the zero vector
        return np.asarray(vector / np.linalg.norm(vector), np.float32)


class InterruptedEmbeddings(HashingEmbeddings):
    """Embeds so many passages, then Ctrl-C is pressed."""

    def __init__(self, passages: int = 0, salt: str = "") -> None:
        super().__init__(salt=salt)
        self.left = passages

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        self.left -= len(texts)
        if self.left < 0:
            raise KeyboardInterrupt
        return super().embed_array(texts)
