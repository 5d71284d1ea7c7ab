"""``unfinished.sqlite3``: vectors of a large document that is not embedded to its end yet.

A document is written whole, so a run that ends inside a large one would lose its work; the next run
finds the vectors here, by the content of the passages. The file goes when none is left.
"""

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np

from rag_app.index.store.connection import translated
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray, embed_by_length

UNFINISHED_NAME = "unfinished.sqlite3"
_SLICE = 64
"""Passages embedded between two commits."""
_LARGE = 2 * _SLICE
"""Passages up to which what an interrupt costs is small."""
_KEPT_SECONDS = 30 * 24 * 3600
"""After which vectors that no run came back for are dropped."""
_PARAMETERS = 500
"""Of one SQL statement."""


class UnfinishedVectors:
    """What is embedded of documents that the index does not hold yet.

    Only the index's one writer may use it.

    Args:
        folder: The index.
        embedding: The model; vectors of another are never returned.
    """

    def __init__(self, folder: Path, embedding: DocumentEmbeddings) -> None:
        self.path = folder / UNFINISHED_NAME
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
        kept = self._kept(keys) if self.path.exists() else {}
        vectors = np.empty((len(texts), self._embedding.dimension), np.float32)
        missing = []
        for row, key in enumerate(keys):
            if key in kept:
                vectors[row] = kept[key]
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
                self._keep([(keys[row], vectors[row].tobytes()) for row in rows])
        return vectors

    def forget(self, texts: Sequence[str]) -> None:
        """Drop the vectors of passages that the index holds now."""
        if not self.path.exists():
            return
        with self._connected() as connection:
            rows = [(self._key(text),) for text in texts]
            connection.executemany("DELETE FROM vectors WHERE key = ?", rows)
            connection.execute(
                "DELETE FROM vectors WHERE at < ?", (int(time.time()) - _KEPT_SECONDS,)
            )
            empty = connection.execute("SELECT 1 FROM vectors LIMIT 1").fetchone() is None
        if empty:
            self._remove()

    def _kept(self, keys: Sequence[bytes]) -> dict[bytes, FloatArray]:
        size = 4 * self._embedding.dimension
        kept: dict[bytes, FloatArray] = {}
        with self._connected() as connection:
            for start in range(0, len(keys), _PARAMETERS):
                some = keys[start : start + _PARAMETERS]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608
                for key, vector in connection.execute(query, some):
                    if len(vector) == size:
                        kept[key] = np.frombuffer(vector, "<f4")
        return kept

    def _keep(self, rows: Sequence[tuple[bytes, bytes]]) -> None:
        now = int(time.time())
        with self._connected() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", [(*row, now) for row in rows]
            )

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self._embedding.fingerprint}\0{text}".encode()).digest()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Give a transaction; a damaged file is made anew, since its loss costs only time."""
        with translated(self.path):
            try:
                connection = self._open()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self._remove()
                connection = self._open()
            with closing(connection), connection:
                yield connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path)
        try:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS vectors "
                "(key BLOB PRIMARY KEY, vector BLOB NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID"
            )
        except BaseException:
            connection.close()
            raise
        return connection

    def _remove(self) -> None:
        for suffix in ("", "-journal"):
            with suppress(OSError):
                self.path.with_name(self.path.name + suffix).unlink()
