"""``index.sqlite3``: its tables, connections to it, and SQLite's errors as one clear line."""

import errno
import os
import shutil
import sqlite3
import stat
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from model_prep.output import is_full
from rag_app.errors import (
    BusyIndexError,
    DamagedIndexError,
    EmbeddingMismatchError,
    IndexStoreError,
)
from rag_app.index.store.records import IndexMeta

if TYPE_CHECKING:
    from rag_app.models.embeddings.base import DocumentEmbeddings

SCHEMA_VERSION = 1
APPLICATION_ID = 0x52414741
"""Bytes 68..71 of the file (SQLite file format, "application_id"): ``RAGA``."""

# Chunk ids are FAISS ids: AUTOINCREMENT never gives one to a second chunk, so a stale vector can
# only point at nothing. The term index is contentless: a chunk's terms follow from its text, and
# deleting them means naming them again (`lexical_version` guards that).
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE generations (number INTEGER PRIMARY KEY, token TEXT NOT NULL);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL UNIQUE,
    content_hash TEXT NOT NULL,
    settings TEXT NOT NULL,
    loader TEXT,
    encoding TEXT,
    size INTEGER NOT NULL,
    characters INTEGER NOT NULL,
    indexed_at TEXT NOT NULL,
    notes TEXT
);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id INTEGER NOT NULL REFERENCES documents(id),
    ordinal INTEGER NOT NULL,
    key TEXT UNIQUE,
    start_char INTEGER NOT NULL,
    end_char INTEGER NOT NULL,
    page INTEGER,
    heading TEXT,
    extra TEXT,
    vector BLOB NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (document_id, ordinal)
);
CREATE TABLE staged_vectors (chunk_id INTEGER PRIMARY KEY, vector BLOB NOT NULL);
"""

WAITING_TABLE = "CREATE TABLE IF NOT EXISTS waiting (document_id INTEGER PRIMARY KEY)"
"""Documents whose chunks have an empty vector until they are embedded. Then they are written again,
under new ids, since what is derived from the vectors takes a chunk's for never changing. An index
of an earlier version has no such table before it is written."""

TERM_TABLES = """
CREATE VIRTUAL TABLE terms USING fts5(body, content='', tokenize='ascii');
CREATE VIRTUAL TABLE term_counts USING fts5vocab(terms, 'row');
"""

BUSY_SECONDS = 10.0
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_REFUSED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
_LONGEST_PATH = 500  # bytes; of SQLite's 512, its other files have longer names
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def create_database(path: Path, meta: IndexMeta, lexical_version: str) -> None:
    """Write an empty index at `path` under another name, then rename it.

    A half-made file can therefore never be at `path`; what is there and is not a database is
    damage. The caller holds the writer's lock.
    """
    new = path.with_name(path.name + ".new")
    for suffix in ("", "-journal", "-wal", "-shm"):
        new.with_name(new.name + suffix).unlink(missing_ok=True)
    with closing(sqlite3.connect(new, isolation_level=None)) as connection:
        # Two chunks of ordinary size with their vectors fit a page; with 4 KiB only one does.
        connection.execute("PRAGMA page_size=8192")
        connection.execute("BEGIN")
        for statement in (TABLES + TERM_TABLES).split(";\n"):
            connection.execute(statement)
        connection.executemany("INSERT INTO meta VALUES (?, ?)", _rows(meta, lexical_version))
        connection.execute("INSERT INTO generations VALUES (0, ?)", (uuid.uuid4().hex,))
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL")
    for suffix in ("-wal", "-shm"):  # of an index that was deleted without them
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.replace(new, path)  # noqa: PTH105 - the name says that it replaces


def has_notes(connection: sqlite3.Connection) -> bool:
    """Return whether the index keeps notes of documents: older ones do not."""
    columns = connection.execute("PRAGMA table_info(documents)")
    return any(column[1] == "notes" for column in columns)


def has_waiting(connection: sqlite3.Connection) -> bool:
    """Return whether the index can hold documents that wait for their vectors."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'waiting'"
    return connection.execute(query).fetchone() is not None


def meta_rows(meta: IndexMeta) -> list[tuple[str, str]]:
    """Return `meta` as rows of the meta table."""
    return [(name, str(value)) for name, value in asdict(meta).items()]


def _rows(meta: IndexMeta, lexical_version: str) -> list[tuple[str, str]]:
    return [
        ("schema_version", str(SCHEMA_VERSION)),
        ("lexical_version", lexical_version),
        ("space", uuid.uuid4().hex),
        *meta_rows(meta),
    ]


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise SQLite's errors about the file `path` as ours.

    Raises:
        DamagedIndexError: the file is not a database or its pages contradict each other.
        IndexStoreError: no space, no permission, locked, or a failing disk.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _translation(path, error) from error
    except OSError as error:
        if is_full(error):
            raise _no_space(path) from error
        raise


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open for writing; see :func:`translated` for what is raised."""
    with translated(path):
        # NORMAL: after a power cut the last documents may be missing, never half there, and
        # indexing again adds them. FULL costs an fsync for every document.
        return _checked(path, "mode=rw", "synchronous=NORMAL", "journal_size_limit=67108864")


def connect_reader(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Open for reading; see :func:`translated` for what is raised.

    Returns:
        The connection, and whether it may be kept: one to a file in a folder that can't be
        written does no locking ("immutable"), so it is good for one query only.
    """
    _check_file(path)
    with translated(path):
        try:
            return _checked(path, "mode=rw", "query_only=ON"), True
        except sqlite3.OperationalError as error:
            if _primary(error) not in _REFUSED:
                raise
            # WAL needs a file for shared memory beside the database, and the folder is read-only.
            if _size(path.with_name(path.name + "-wal")):
                raise IndexStoreError(
                    f"{path} has changes waiting in {path.name}-wal that can't be read in a "
                    "read-only folder; copy the folder to where it can be written"
                ) from error
            return _checked(path, "mode=ro&immutable=1", "query_only=ON"), False


def _checked(path: Path, options: str, *pragmas: str) -> sqlite3.Connection:
    connection = _connect(path, options)
    try:
        _check_schema(path, connection)
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,  # handed from thread to thread, used by one at a time
    )


def _check_file(path: Path) -> None:
    """Tell a missing file from an empty one, which SQLite takes for an empty database.

    It is not opened: when it is closed, the locks that SQLite has on it in this process are gone
    (sqlite.org/howtocorrupt.html, "POSIX advisory locks canceled").
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise missing_index(path) from error
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    if not os.access(path, os.R_OK):
        raise _unreadable(path, os.strerror(errno.EACCES))
    if not stat.S_ISREG(found.st_mode):
        raise _unreadable(path, "it is not a file")
    if not found.st_size:
        raise damaged(path, "it is empty")


def _unreadable(path: Path, reason: str | None) -> IndexStoreError:
    return IndexStoreError(f"{path} can't be read ({reason}); check its permissions")


def _check_schema(path: Path, connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise damaged(path, "it is not an index of rag-app")
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    if row is None or row[0] != str(SCHEMA_VERSION):
        found = row[0] if row else "none"
        if found.isdecimal() and int(found) > SCHEMA_VERSION:
            raise IndexStoreError(
                f"{path} was written by a newer rag-app (schema {found}; this one reads "
                f"{SCHEMA_VERSION}): update rag-app, or choose another index with --index"
            )
        raise damaged(path, f"its schema version is {found}, this rag-app reads {SCHEMA_VERSION}")


def missing_index(path: Path) -> IndexStoreError:
    """Return the error for an index that isn't there."""
    return IndexStoreError(f"no index in {path.parent}; run: rag-app index PATH")


def damaged(path: Path, reason: str) -> DamagedIndexError:
    """Return the error for a database that can't be trusted."""
    return DamagedIndexError(
        f"{path} is damaged or foreign: {reason}; it was left as it is. Restore it from a copy, "
        "or move it away and run: rag-app index PATH"
    )


def check_dimension(meta: IndexMeta, dimension: int) -> None:
    """Check that vectors can be of the index's model, whatever it is called.

    Raises:
        EmbeddingMismatchError: they have another number of numbers.
    """
    if dimension != meta.dimension:
        raise EmbeddingMismatchError(
            f"the index was made with {meta.embedding}, whose vectors have {meta.dimension} "
            f"numbers, and these have {dimension}: another model answers to its name; run: "
            "rag-app reembed"
        )


def check_model(meta: IndexMeta, embedding: "DocumentEmbeddings", place: str) -> None:
    """Check that vectors of a model can be compared with those of the index at a place.

    Raises:
        EmbeddingMismatchError: the index was made with another model.
    """
    # The fingerprint settles the dimension too, for which a model may have to be loaded.
    if meta.fingerprint == embedding.fingerprint:
        return
    named = embedding.name
    if meta.embedding == named:
        named += " (of other weights)"
    raise EmbeddingMismatchError(
        f"the index {place} was made with embedding model {meta.embedding}, not "
        f"{named}; use --embedding {meta.embedding}, or embed its passages again: "
        f"rag-app reembed --embedding {embedding.name}"
    )


def _translation(path: Path, error: sqlite3.Error) -> Exception:
    code = _primary(error)
    if code in _DAMAGED or "Could not decode" in str(error):
        return damaged(path, str(error))
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _disk_is_full(path)):
        return _no_space(path)
    if code == sqlite3.SQLITE_IOERR:
        return IndexStoreError(f"{path}: {error}; check the disk and its free space")
    if code in _REFUSED:
        return _refused(path, error)
    if code in _BUSY:
        return BusyIndexError(f"{path} is busy: another program is using it; try again")
    return error  # a bug: the traceback is wanted


def _refused(path: Path, error: sqlite3.Error) -> IndexStoreError:
    """Return the error for a file that can't be opened, which SQLite gives one code for all of."""
    if len(os.fsencode(path.absolute())) > _LONGEST_PATH:
        return IndexStoreError(f"{path}: the path is too long for SQLite; choose a shorter one")
    try:
        TemporaryFile(dir=path.parent).close()
    except OSError as reason:
        if is_full(reason):  # a disk without inodes has free bytes
            return _no_space(path)
    return IndexStoreError(f"{path} can't be written ({error}); check the permissions")


def _primary(error: sqlite3.Error) -> int:
    # The low byte is the primary result code (sqlite.org/rescode.html).
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _no_space(path: Path) -> IndexStoreError:
    return IndexStoreError(
        f"no space left on the disk of {path.parent}; the index is as before the last document: "
        "free some space and run the same command again"
    )


def _disk_is_full(path: Path) -> bool:
    with suppress(OSError):
        return shutil.disk_usage(path.parent).free < 2**20
    return False


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
