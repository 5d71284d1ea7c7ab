"""Unfinished work of an interrupted run on one document: pages read, passages embedded.

A document is written in one piece, so a run that ends inside a large one would lose its work; the
next run finds it here, by content. A file goes when nothing is left in it.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from rag_app.errors import IndexStoreError
from rag_app.index.store.kept_file import KeptFile
from rag_app.index.store.lock import unwritable
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray, embed_by_length

UNFINISHED_NAME = "unfinished.sqlite3"
"""The file that holds vectors."""
PICTURES_NAME = "unfinished-pictures.sqlite3"
"""The file that holds what was read in pictures."""
_SLICE = 64  # passages embedded between two commits
_LARGE = 2 * _SLICE  # passages up to which what an interrupt costs is small
_KEPT_SECONDS = 30 * 24 * 3600  # after which what no run came back for is dropped
_LOG = logging.getLogger(__name__)


class UnfinishedVectors:
    """What is embedded of documents that the index does not hold yet.

    Only the index's one writer may use it.

    Args:
        folder: The index.
        embedding: The model; vectors of another are never returned.
    """

    def __init__(self, folder: Path, embedding: DocumentEmbeddings) -> None:
        self._file = KeptFile(folder / UNFINISHED_NAME, _KEPT_SECONDS)
        self._embedding = embedding

    def embed(self, texts: Sequence[str], progress: Callable[[int], None]) -> FloatArray:
        """Return the vectors of passages in their order, float32 ``[len(texts), dimension]``.

        Args:
            texts: Passages of any length. Of many, each slice is kept as soon as it is embedded.
            progress: Called with how many vectors each step added.

        Raises:
            IndexStoreError: they can't be kept.
            ModelError: see `embed_by_length`.
        """
        keys = [self._key(text) for text in texts]
        kept = self._file.values(keys)
        vectors = np.empty((len(texts), self._embedding.dimension), np.float32)
        missing = []
        for row, key in enumerate(keys):
            if len(vector := kept.get(key, b"")) == vectors[row].nbytes:
                vectors[row] = np.frombuffer(vector, "<f4")
            else:
                missing.append(row)
        if len(missing) < len(texts):
            progress(len(texts) - len(missing))
        missing.sort(key=lambda row: -len(texts[row]))  # as `embed_by_length` would
        for start in range(0, len(missing), _SLICE):
            rows = missing[start : start + _SLICE]
            some = [texts[row] for row in rows]
            vectors[rows] = embed_by_length(self._embedding, some, progress)
            if len(texts) > _LARGE:
                self._file.keep((keys[row], vectors[row].tobytes()) for row in rows)
        return vectors

    def forget(self, texts: Sequence[str]) -> None:
        """Drop the vectors of passages that the index holds now."""
        self._file.drop(self._key(text) for text in texts)

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self._embedding.fingerprint}\0{text}".encode()).digest()


class UnfinishedPictures:
    """What was read in the pictures of documents that the index does not hold yet.

    A `rag_app.documents.ocr.KeptPictures`. Several processes may use it; where nothing can be
    kept, that is logged once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = KeptFile(folder / PICTURES_NAME, _KEPT_SECONDS)
        self._reading: set[bytes] = set()
        self._read: set[bytes] = set()
        self._unreadable: set[bytes] = set()
        self._made = self._failed = False

    @contextmanager
    def of_document(self) -> Iterator[None]:
        """In the block a document is read; of one that can't be, what was read stays.

        Else a folder of photographs in which nothing can be read would be read at each run.
        """
        self._reading = set()
        try:
            yield
        except Exception:
            self._unreadable |= self._reading
            raise
        self._read |= self._reading

    def get(self, key: bytes) -> bytes | None:
        """Return what was read in a picture, None where it was not."""
        self._reading.add(key)
        found: dict[bytes, bytes] = {}
        with self._logged():
            found = self._file.values([key])
        return found.get(key)

    def keep(self, key: bytes, value: bytes) -> None:
        """Keep what was read in a picture."""
        with self._logged():
            self._made = self._made or not self._folder.exists()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file.keep([(key, value)])

    def forget(self, *, indexed: bool) -> None:
        """Drop what was asked for of documents that could be read.

        Args:
            indexed: Whether there is an index, which holds them now; else nothing stays.
        """
        done, self._read = self._read, set()
        if not indexed:
            done, self._unreadable = done | self._unreadable, set()
        with self._logged():
            self._file.drop(done)
        if self._made:
            with suppress(OSError):  # it holds an index
                self._folder.rmdir()

    @contextmanager
    def _logged(self) -> Iterator[None]:
        """Log what goes wrong, once: it costs only the time of an interrupted run."""
        try:
            yield
        except (IndexStoreError, OSError) as error:
            reason = unwritable(self._folder, error) if isinstance(error, OSError) else error
            if not self._failed:
                _LOG.warning("what is read in pictures is not kept: %s", reason)
            self._failed = True
