"""Reading and embedding documents in another process, which writes nothing."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from langchain_core.embeddings import Embeddings

from rag_app.documents.object_stores import RemoteFile, SourcePath, is_url
from rag_app.errors import DocumentError, ModelError
from rag_app.index.indexing.reading import failure_reason, file_hash, read_document
from rag_app.index.indexing.report import IndexOptions
from rag_app.index.store.records import ChunkRecord, DocumentRecord, in_folders
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray, adapt, embed_by_length


@dataclass(frozen=True)
class EmbeddedDocument:
    """A document as the index takes it."""

    document: DocumentRecord
    chunks: list[ChunkRecord]
    vectors: FloatArray
    """The vectors of the chunks, float32 ``[len(chunks), dimension]``."""
    seconds: float
    """Time that embedding took."""


@dataclass(frozen=True)
class Unreadable:
    """Why a document can't be indexed."""

    reason: str


@dataclass(frozen=True)
class Broken:
    """Why nothing can be embedded here."""

    reason: str


WorkerResult = EmbeddedDocument | Unreadable | Broken


class IndexWorker:
    """Reads and embeds one document after another; the model is loaded once.

    Args:
        load: Returns the model; must be pickled.
        fingerprint: What the vector space of the model must have.
        options: How documents are read and cut.
        folder: What relative paths are relative to.
    """

    def __init__(
        self,
        load: Callable[[], Embeddings],
        fingerprint: str,
        options: IndexOptions,
        folder: Path,
    ) -> None:
        self._load = load
        self._fingerprint = fingerprint
        self._options = options
        self._folder = folder

    def load(self) -> None:
        """Load the model now, if it can be; `work` says what is wrong with it."""
        self._enter()
        with suppress(ModelError):
            _ = self._embedding

    def work(
        self, path: str, source: str, digest: str | None, folders: Sequence[str]
    ) -> WorkerResult:
        """Return the document at ``path`` with its vectors, or what is wrong with it.

        Args:
            path: A file or URL, named as the user did, which is how errors call it.
            source: What it is called in the index.
            digest: SHA-256 of its bytes, if they were looked at already.
            folders: Those that it is to be searched by.
        """
        self._enter()
        file: SourcePath = RemoteFile(path) if is_url(path) else self._file(path)
        try:
            digest = digest or file_hash(file, self._options.max_bytes)
            read = read_document(file, source, digest, self._options)
            document, chunks = in_folders(*read, folders)
        except (DocumentError, OSError) as error:
            return Unreadable(failure_reason(error))
        try:
            embedding, started = self._embedding, time.perf_counter()
            vectors = embed_by_length(embedding, [chunk.embedded_text for chunk in chunks])
        except ModelError as error:
            return Broken(str(error))
        return EmbeddedDocument(document, chunks, vectors, time.perf_counter() - started)

    def _enter(self) -> None:
        with suppress(OSError):  # another machine need not have that folder
            os.chdir(self._folder)

    def _file(self, path: str) -> Path:
        return Path(path) if Path.cwd() == self._folder else self._folder / path

    @cached_property
    def _embedding(self) -> DocumentEmbeddings:
        embedding = adapt(self._load())
        if embedding.fingerprint != self._fingerprint:
            raise ModelError(
                f"embedding model {embedding.name} has other weights on {platform.node()}; "
                "copy the folder of the models there"
            )
        return embedding
