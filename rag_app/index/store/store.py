"""The index on disk: ``index.sqlite3``, the only truth."""

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_prep.progress import folder_size
from rag_app.documents.text import lexical_version
from rag_app.errors import IndexStoreError
from rag_app.index.store.database import (
    check_model,
    connect_reader,
    connect_writer,
    create_database,
    missing_index,
    translated,
)
from rag_app.index.store.lock import WriterLock, unwritable
from rag_app.index.store.records import IndexMeta
from rag_app.index.store.snapshot import Snapshot
from rag_app.index.store.transaction import Transaction
from rag_app.surroundings import indexes_folder, is_there

if TYPE_CHECKING:
    from rag_app.index.store.interface import DocumentSnapshot
    from rag_app.models.embeddings.base import DocumentEmbeddings

DATABASE_NAME = "index.sqlite3"
_OURS = (
    "index.", "vectors", "unfinished", "summaries.", "conversations.", "writer.", "merge.", "files",
    "set-aside", ".",
)  # fmt: skip
"""What the names of an index's files begin with, also where its creation was cut off."""


class IndexStore:
    """One index folder, for any number of threads and processes.

    Any number of readers see consistent states while one writer writes. Every method raises
    :class:`~rag_app.errors.IndexStoreError` (missing, locked, read-only, no space) or its child
    :class:`~rag_app.errors.DamagedIndexError`; a failed write leaves the index as it was.

    Args:
        folder: The index; made by the first :meth:`create`.
        timeout: Seconds to wait for another writer.
    """

    def __init__(self, folder: str | Path, *, timeout: float = 10.0) -> None:
        self.folder = Path(folder)
        self.path = self.folder / DATABASE_NAME
        self._timeout = timeout
        self._writer_lock: WriterLock | None = None
        self._writer: sqlite3.Connection | None = None
        self._idle: list[sqlite3.Connection] = []
        weakref.finalize(self, _close_all, self._idle)
        self._idle_key: tuple[int, ...] = ()
        self._guard = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as its folder, for another process."""
        return partial(type(self), timeout=self._timeout), (self.folder,)

    @property
    def _lock(self) -> WriterLock:
        """The writer's lock: the same one for all threads, and none for those that only read."""
        with self._guard:
            if self._writer_lock is None:
                self._writer_lock = WriterLock(self.folder, self._timeout)
            return self._writer_lock

    @property
    def place(self) -> str:
        """The folder, for people."""
        return str(self.folder)

    def size(self) -> int:
        """Return the bytes of its files, with those that were uploaded into it."""
        return folder_size(self.folder)

    def names(self) -> list[str]:
        """Return the names of the indexes in the folder above, those of hidden ones left out."""
        try:
            folders = [*self.folder.parent.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            msg = f"{self.folder.parent} can't be listed ({error.strerror}); check its permissions"
            raise IndexStoreError(msg) from error
        return sorted(
            folder.name
            for folder in folders
            if not folder.name.startswith(".") and is_there(folder / DATABASE_NAME)
        )

    def exists(self) -> bool:
        """Return whether there is an index in the folder, readable or not."""
        return is_there(self.path)

    def check_exists(self) -> None:
        """Raise IndexStoreError if there is no index in the folder."""
        if not self.exists():
            raise missing_index(self.path)

    def create(self, meta: IndexMeta) -> None:
        """Make an empty index; one that exists is left as it is."""
        self._check_not_foreign()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from error
        with self._lock.held(), translated(self.path):
            if not self.exists():
                create_database(self.path, meta, lexical_version())

    def _check_not_foreign(self) -> None:
        """Keep an index out of a folder that somebody has for something else."""
        if self.exists() or self.folder.absolute().parent == indexes_folder().absolute():
            return
        try:
            names = (file.name for file in self.folder.iterdir())
            other = min((name for name in names if not name.startswith(_OURS)), default=None)
        except OSError:  # not there yet, or what making it says better
            return
        if other is not None:
            raise IndexStoreError(
                f"{self.folder.absolute()} is not an index and holds other files ({other}); give "
                "--index a name, or a folder that is new or empty"
            )

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """Yield a snapshot; it ends with the block."""
        connection, reusable = self._take()
        try:
            with translated(self.path):
                connection.execute("BEGIN")
                snapshot = Snapshot(connection, self.path)
                snapshot.generation()  # the first read is what fixes the state that is seen
                yield snapshot
        except BaseException:
            reusable = False
            raise
        finally:
            self._give_back(connection, reusable)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the writer's lock over several transactions."""
        self.check_exists()
        with self._lock.held() as outermost:
            if outermost:
                self._writer = connect_writer(self.path)
            try:
                yield
            finally:
                if outermost:
                    self._close_writer()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Yield a transaction; it is committed at the end of the block, or undone by any error."""
        with self.locked(), translated(self.path):
            connection = self._writer
            assert connection is not None  # noqa: S101 - locked() opened it
            connection.execute("BEGIN IMMEDIATE")
            try:
                transaction = Transaction(connection, self.path)
                yield transaction
                transaction.bump()
                connection.execute("COMMIT")
            except BaseException:
                # SQLite has already rolled back by itself where the disk was full.
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def drop(self) -> None:
        """Do nothing: all of the index is in its folder."""

    def check_embedding(
        self, embedding: "DocumentEmbeddings", snapshot: "DocumentSnapshot | None" = None
    ) -> None:
        """Check that vectors of `embedding` can be compared with the index's.

        Raises:
            EmbeddingMismatchError: the index was made with another model.
        """
        with nullcontext(snapshot) if snapshot else self.read() as state:
            check_model(state.meta(), embedding, f"in {self.folder}")

    def close(self) -> None:
        """Close the connections that wait for the next query."""
        with self._guard:
            self._drop_idle(())

    def _close_writer(self) -> None:
        connection, self._writer = self._writer, None
        if connection is not None:
            # A full disk can't hold back what is already committed to the write-ahead log.
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            with suppress(sqlite3.Error):
                connection.close()

    def _take(self) -> tuple[sqlite3.Connection, bool]:
        with self._guard:
            key = self._key()
            if key != self._idle_key:
                self._drop_idle(key)
            if self._idle:
                return self._idle.pop(), True
        return connect_reader(self.path)

    def _give_back(self, connection: sqlite3.Connection, reusable: bool) -> None:
        try:
            if reusable:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            reusable = False
        with self._guard:
            if reusable and self._key() == self._idle_key:
                self._idle.append(connection)
                return
        connection.close()

    def _key(self) -> tuple[int, ...]:
        """Return what waiting connections are good for: this very file."""
        try:
            found = self.path.stat()
        except OSError:
            return ()
        return found.st_dev, found.st_ino

    def _drop_idle(self, key: tuple[int, ...]) -> None:
        self._idle_key = key
        _close_all(self._idle)


def _close_all(connections: list[sqlite3.Connection]) -> None:
    """Close and forget connections, also those of a store that nobody closed."""
    while connections:
        connections.pop().close()
