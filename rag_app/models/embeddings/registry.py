"""Embedding models: a catalog name, a sentence-transformers folder, a hub name or a URL."""

import hashlib
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray
from pydantic import SecretStr

from model_prep.catalog.models import CATALOG, find
from model_prep.catalog.pull import is_pulled, model_path
from rag_app.errors import ModelError
from rag_app.models.embeddings.bert import BertQueryEncoder

if TYPE_CHECKING:
    from langchain_openai import OpenAIEmbeddings
    from sentence_transformers import SentenceTransformer

FloatArray = NDArray[np.float32]

_SAMPLE = 2**20
"""Bytes read at each of the places that a fingerprint samples."""


class DocumentEmbeddings(Embeddings):
    """Embeddings that know their vector space: what an index needs.

    Attributes:
        name: As the user gave it.
        fingerprint: Of the vector space: weights, tokenizer and prefixes.
        dimension: Numbers in one vector.
    """

    name: str
    fingerprint: str
    dimension: int

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """Return the vectors of passages, float32 ``[len(texts), dimension]``, L2-normalized."""
        raise NotImplementedError

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of passages as lists."""
        return [[float(number) for number in row] for row in self.embed_array(texts)]


class _EncodesQuestions(Protocol):
    def encode(self, text: str) -> FloatArray: ...


class FolderEmbeddings(DocumentEmbeddings):
    """A sentence-transformers folder.

    Passages go through sentence-transformers, which takes seconds to import; questions need not
    wait for it where `BertQueryEncoder` can read the folder.

    Raises:
        ModelError: the folder holds no such model.
    """

    def __init__(self, folder: Path, *, name: str, batch_size: int = 16) -> None:
        self.name = name
        self.folder = folder
        self.batch_size = batch_size
        entry = find(name) or find(folder.name)
        self.query_prefix = entry.query_prefix if entry else ""
        self.passage_prefix = entry.passage_prefix if entry else ""
        self.fingerprint = _fingerprint(folder, self.query_prefix, self.passage_prefix)
        self._turn = threading.Lock()  # a tokenizer can't be used by two threads at once

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

    @cached_property
    def _questions(self) -> _EncodesQuestions:
        try:
            if BertQueryEncoder.supports(self.folder):
                return BertQueryEncoder(self.folder)
        except Exception as error:  # whatever a damaged folder makes its readers raise
            raise _unreadable(self.folder, error) from error
        return _WholeModel(self)

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """See `DocumentEmbeddings.embed_array`."""
        prefixed = [self.passage_prefix + text for text in texts]
        with self._turn:
            vectors = self.model.encode(
                prefixed,
                batch_size=self.batch_size,
                normalize_embeddings=True,
                show_progress_bar=False,
                convert_to_numpy=True,
            )
        return np.asarray(vectors, np.float32)

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Return how many tokens of the model ``texts`` have together."""
        with self._turn:
            return sum(map(len, self.model.tokenizer(list(texts))["input_ids"]))

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question, L2-normalized."""
        with self._turn:
            vector = self._questions.encode(self.query_prefix + text)
        return [float(number) for number in vector]


class _WholeModel:
    """Encodes questions with the model that encodes passages."""

    def __init__(self, embeddings: FolderEmbeddings) -> None:
        self._embeddings = embeddings

    def encode(self, text: str) -> FloatArray:
        vectors = self._embeddings.model.encode(
            [text], normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        return np.asarray(vectors[0], np.float32)


class UrlEmbeddings(DocumentEmbeddings):
    """An OpenAI-compatible server; its model's name, if several, follows the URL after ``#``."""

    def __init__(self, url: str, *, batch_size: int = 16, api_key: str | None = None) -> None:
        from rag_app.models.llms.openai import NO_KEY

        base, _, model = url.partition("#")
        self.name = url
        self._url = base
        self._model = model or "default"
        self._batch_size = batch_size
        self._key = api_key or NO_KEY
        self.dimension = len(self.embed_query("dimension"))
        identity = f"{base}#{self._model}/{self.dimension}"
        self.fingerprint = hashlib.sha256(identity.encode()).hexdigest()

    @cached_property
    def _client(self) -> "OpenAIEmbeddings":
        from langchain_openai import OpenAIEmbeddings

        return OpenAIEmbeddings(
            base_url=self._url,
            model=self._model,
            api_key=SecretStr(self._key),
            chunk_size=self._batch_size,
            # Strings are sent as they are: token ids mean something to OpenAI's own models only.
            check_embedding_ctx_length=False,
        )

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """See `DocumentEmbeddings.embed_array`."""
        import openai

        from rag_app.models.llms.openai import without_key

        try:
            vectors = np.asarray(self._client.embed_documents(list(texts)), np.float32)
        except openai.OpenAIError as error:
            reason = without_key(str(error), self._key)
            msg = (
                f"{self._url} gave no embeddings ({reason}); "
                "check the URL, RAG_APP_LLM_API_KEY and the server"
            )
            raise ModelError(msg) from error
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question, L2-normalized."""
        return [float(number) for number in self.embed_array([text])[0]]


def load_embeddings(
    spec: str, *, batch_size: int = 16, api_key: str | None = None
) -> DocumentEmbeddings:
    """Return the embedding model that ``spec`` names.

    Args:
        spec: A catalog name, a sentence-transformers folder, the name of a hub repository that is
            in the local hub cache, or the URL of an OpenAI-compatible server.
        batch_size: Passages encoded at once.
        api_key: For a URL.

    Raises:
        ModelError: there is no such model here, or it can't be read.
    """
    if spec.startswith(("http://", "https://")):
        return UrlEmbeddings(spec, batch_size=batch_size, api_key=api_key)
    if find(spec):
        if not is_pulled(spec):
            msg = f"embedding model {spec} is not here yet; run: model-prep pull {spec}"
            raise ModelError(msg)
        return FolderEmbeddings(model_path(spec), name=spec, batch_size=batch_size)
    folder = Path(spec).expanduser()
    if not folder.is_dir():
        folder = _hub_cache(spec)
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        msg = f"{folder} holds no sentence-transformers model: it has no config.json"
        raise ModelError(msg)
    return FolderEmbeddings(folder, name=spec, batch_size=batch_size)


def _hub_cache(spec: str) -> Path:
    """Return the folder of a hub repository in the local cache; nothing is downloaded."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(spec, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        known = ", ".join(name for name, entry in CATALOG.items() if entry.role == "embedding")
        msg = (
            f"no embedding model {spec!r}: it is no folder, not in the local hub cache, and not "
            f"one of {known}"
        )
        raise ModelError(msg) from error


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
