"""The tables of ``index.sqlite3``, and making an empty one."""

import os
import sqlite3
import uuid
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from rag_app.index.store.records import IndexMeta

SCHEMA_VERSION = 1
APPLICATION_ID = 0x52414741
"""Bytes 68..71 of the file (SQLite file format, "application_id"): ``RAGA``."""

# Chunk ids are FAISS ids: AUTOINCREMENT never gives one to a second chunk, so a stale vector can
# only point at nothing. The term index is contentless: a chunk's terms follow from its text, and
# deleting them means naming them again (`terms.lexical_version` guards that).
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


def create_database(path: Path, meta: IndexMeta, lexical_version: str) -> None:
    """Write an empty index at `path` under another name, then rename it.

    A half-made file can therefore never lie at `path`; what lies there and is no database is
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
