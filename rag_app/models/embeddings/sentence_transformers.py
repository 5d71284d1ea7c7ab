"""Embeddings of a sentence-transformers folder."""

import copy
import hashlib
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model_prep.catalog.models import find
from rag_app.errors import ModelError
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray
from rag_app.models.embeddings.bert import BertQueryEncoder
from rag_app.settings import DEFAULTS

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_SAMPLE = 2**20
"""Bytes read at each of the places that a fingerprint samples."""


class SentenceTransformerEmbeddings(DocumentEmbeddings):
    """A sentence-transformers folder, with the prefixes of its catalog entry if it has one.

    Passages go through sentence-transformers, which takes seconds to import. Questions have an
    encoder of their own, so they neither wait for that nor for passages that are being embedded.

    Raises:
        ModelError: the folder holds no such model.
    """

    def __init__(
        self, folder: Path, *, name: str, batch_size: int = DEFAULTS.embedding_batch
    ) -> None:
        self.name = name
        self.folder = folder
        self.batch_size = batch_size
        entry = find(name) or find(folder.name)
        self.query_prefix = entry.query_prefix if entry else ""
        self.passage_prefix = entry.passage_prefix if entry else ""
        self.fingerprint = _fingerprint(folder, self.query_prefix, self.passage_prefix)
        # A tokenizer can't be used by two threads at once, and either encoder has its own.
        self._passages = threading.Lock()
        self._questions = threading.Lock()

    @cached_property
    def dimension(self) -> int:  # type: ignore[override] # read from the model when it is needed
        """Numbers in one vector."""
        return len(self.embed_query("dimension"))

    @cached_property
    def model(self) -> "SentenceTransformer":
        """The whole model, for passages."""
        import warnings

        with warnings.catch_warnings():
            # Libraries that it imports warn of their own deprecations.
            warnings.simplefilter("ignore")
            from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()
        try:
            return SentenceTransformer(str(self.folder), local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise _unreadable(self.folder, error) from error

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """See `DocumentEmbeddings.embed_array`."""
        prefixed = [self.passage_prefix + text for text in texts]
        with self._passages:
            return _encode(self.model, prefixed, self.batch_size)

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question, L2-normalized."""
        with self._questions:
            vector: list[float] = self._query_encoder.encode(self.query_prefix + text).tolist()
        return vector

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Return how many tokens of the model ``texts`` have together."""
        count = 0
        for text in texts:  # one by one, lest a question wait for all
            with self._questions:
                count += self._query_encoder.count_tokens(text)
        return count

    @cached_property
    def _query_encoder(self) -> "BertQueryEncoder | _ModelTwin":
        try:
            if BertQueryEncoder.supports(self.folder):
                return BertQueryEncoder(self.folder)
        except Exception as error:  # whatever a damaged folder makes its readers raise
            raise _unreadable(self.folder, error) from error
        with self._passages:
            return _ModelTwin(self.model)


class _ModelTwin:
    """A model for single texts: it shares the weights of another, and not its tokenizer."""

    def __init__(self, model: "SentenceTransformer") -> None:
        weights = [*model.parameters(), *model.buffers()]
        self._model = copy.deepcopy(model, {id(tensor): tensor for tensor in weights})

    def encode(self, text: str) -> FloatArray:
        vector: FloatArray = _encode(self._model, [text], 1)[0]
        return vector

    def count_tokens(self, text: str) -> int:
        return len(self._model.tokenizer(text)["input_ids"])


def _encode(model: "SentenceTransformer", texts: list[str], batch_size: int) -> FloatArray:
    vectors = model.encode(
        texts,
        batch_size=batch_size,
        normalize_embeddings=True,
        show_progress_bar=False,
        convert_to_numpy=True,
    )
    return np.asarray(vectors, np.float32)


def _fingerprint(folder: Path, *prefixes: str) -> str:
    """Return a hash of what decides the vectors, without reading all the weights.

    Configuration and tokenizer are hashed whole; of each weights file its size, its first and last
    megabyte and one in the middle: a different model or training differs in all of them.
    """
    digest = hashlib.sha256(repr(prefixes).encode())
    for file in sorted(folder.rglob("*")):
        if file.suffix not in (".json", ".safetensors", ".bin", ".txt", ".model"):
            continue
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder).as_posix()}:{size}".encode())
        with file.open("rb") as data:
            if file.suffix in (".json", ".txt", ".model") and size <= 32 * _SAMPLE:
                digest.update(data.read())
                continue
            for place in (0, size // 2, max(size - _SAMPLE, 0)):
                data.seek(place)
                digest.update(data.read(_SAMPLE))
    return digest.hexdigest()


def _unreadable(folder: Path, error: Exception) -> ModelError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ModelError(f"{folder} is damaged or no embedding model ({reason}); pull or copy it anew")
