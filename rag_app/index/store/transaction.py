"""Writing to an index within one transaction."""

import json
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rag_app.documents.progress import counted
from rag_app.documents.text import document_terms, lexical_version
from rag_app.index.store.database import WAITING_TABLE, check_dimension, has_notes, meta_rows
from rag_app.index.store.records import ChunkRecord, DocumentRecord, IndexMeta, in_folders
from rag_app.index.store.snapshot import COUNTS, STAGED, STAGED_EMBEDDING, STAGED_FOR, Snapshot

if TYPE_CHECKING:
    from rag_app.models.embeddings.base import FloatArray

_KEPT_GENERATIONS = 10_000


class Transaction(Snapshot):
    """A state in the making: sees its own changes, which become visible to others at once."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        super().__init__(connection, path)
        if not has_notes(connection):
            connection.execute("ALTER TABLE documents ADD COLUMN notes TEXT")
        connection.execute("CREATE INDEX IF NOT EXISTS hashes ON documents (content_hash)")
        connection.execute(WAITING_TABLE)
        self._documents_now, self._chunks_now = super()._counts()
        self._touched: set[int] = set()
        if self.value("lexical_version") != lexical_version():
            # Terms can only be deleted by the rules that they were made by.
            self._connection.execute("INSERT INTO terms (terms) VALUES ('delete-all')")
            self._insert_terms(self.all_chunks())
            self.set_value("lexical_version", lexical_version())

    def replace_document(
        self, document: DocumentRecord, chunks: Sequence[ChunkRecord], vectors: "FloatArray | None"
    ) -> list[int]:
        """Write a document and all that derives from it, in the place of what it was before.

        Args:
            document: the source.
            chunks: its passages in order.
            vectors: float32 ``[len(chunks), dimension]``; None where they are to follow.

        Returns:
            The ids of the chunks.
        """
        self.delete_document(document.source)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        *values, notes, _ = astuple(replace(document, indexed_at=now))
        cursor = self._connection.execute(
            "INSERT INTO documents (source, content_hash, settings, loader, encoding, size, "
            "characters, indexed_at, notes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, json.dumps(notes, ensure_ascii=False) if notes else None),
        )
        self._documents_now += 1
        number = int(cursor.lastrowid or 0)
        own = [replace(chunk, source=document.source) for chunk in chunks]
        if vectors is None and own:
            self._connection.execute("INSERT INTO waiting VALUES (?)", (number,))
        return self._insert_chunks(number, 0, own, vectors)

    def rename_document(self, source: str, new: str, folders: Sequence[str] | None = None) -> None:
        """Give a document another source; its vectors stay as they are.

        Args:
            source: The document.
            new: Its new source.
            folders: The folders that it is searched by from now on; None: as before.
        """
        import numpy as np

        document = self.document(source)
        if document is None:
            return
        chunks = list(self.chunks_of(source))
        vectors = self.vectors_of(chunk.id for chunk in chunks)
        found = [vectors[chunk.id] for chunk in chunks if chunk.id in vectors]
        rows = np.stack(found) if len(found) == len(chunks) else None
        self.delete_document(source)
        if folders is not None:
            document, chunks = in_folders(document, chunks, folders)
        moved = [replace(chunk, source=new) for chunk in chunks]
        self.replace_document(replace(document, source=new), moved, rows)

    def append_chunks(
        self, document: DocumentRecord, chunks: Sequence[ChunkRecord], vectors: "FloatArray"
    ) -> list[int]:
        """Add passages at the end of a document, which is made if there is none yet."""
        query = (
            "SELECT id, (SELECT coalesce(max(ordinal) + 1, 0) FROM chunks "
            "WHERE document_id = documents.id) FROM documents WHERE source = ?"
        )
        row = self._connection.execute(query, (document.source,)).fetchone()
        if row is None:
            return self.replace_document(document, chunks, vectors)
        number, ordinal = row
        own = [replace(chunk, source=document.source) for chunk in chunks]
        return self._insert_chunks(number, ordinal, own, vectors)

    def delete_document(self, source: str) -> bool:
        """Delete a document with its chunks and terms; return whether there was one."""
        self.delete_chunks([chunk.id for chunk in self.chunks_of(source)])
        query = (
            "DELETE FROM waiting WHERE document_id = (SELECT id FROM documents WHERE source = ?)"
        )
        self._connection.execute(query, (source,))
        cursor = self._connection.execute("DELETE FROM documents WHERE source = ?", (source,))
        self._documents_now -= cursor.rowcount
        return cursor.rowcount > 0

    def delete_chunks(self, ids: Sequence[int]) -> int:
        """Delete chunks with their terms; returns how many there were."""
        chunks = self.chunks(ids)
        self._connection.executemany(
            "INSERT INTO terms (terms, rowid, body) VALUES ('delete', ?, ?)",
            ((chunk.id, document_terms(chunk.searched_text)) for chunk in chunks),
        )
        rows = self._connection.execute(
            "SELECT DISTINCT document_id FROM chunks WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps([chunk.id for chunk in chunks]),),
        )
        self._touched.update(row[0] for row in rows)
        cursor = self._connection.executemany(
            "DELETE FROM chunks WHERE id = ?", ((chunk.id,) for chunk in chunks)
        )
        self._chunks_now -= max(cursor.rowcount, 0)
        cursor = self._connection.executemany(
            "DELETE FROM staged_vectors WHERE chunk_id = ?", ((chunk.id,) for chunk in chunks)
        )
        self._count_staged(-max(cursor.rowcount, 0))
        return len(chunks)

    def delete_empty_documents(self) -> None:
        """Delete documents that lost their last chunk in this transaction."""
        cursor = self._connection.execute(
            "DELETE FROM documents WHERE id IN (SELECT value FROM json_each(?)) AND NOT EXISTS "
            "(SELECT 1 FROM chunks WHERE document_id = documents.id)",
            (json.dumps([*self._touched]),),
        )
        self._documents_now -= cursor.rowcount
        query = "DELETE FROM waiting WHERE document_id NOT IN (SELECT id FROM documents)"
        self._connection.execute(query)

    def set_meta(self, meta: IndexMeta) -> None:
        """Write what the index is made with."""
        self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta_rows(meta))

    def set_value(self, key: str, value: str | None) -> None:
        """Write one value of the meta table; None deletes it."""
        self._connection.execute("DELETE FROM meta WHERE key = ?", (key,))
        if value is not None:
            self._connection.execute("INSERT INTO meta VALUES (?, ?)", (key, value))

    def begin_staging(self, space: str, embedding: str) -> None:
        """Get ready for vectors of another model; those that are staged for it already stay."""
        if self.optional_value(STAGED_FOR) != space:
            self._connection.execute("DELETE FROM staged_vectors")
        self.set_value(STAGED_FOR, space)
        self.set_value(STAGED_EMBEDDING, embedding)
        [count] = self._connection.execute("SELECT count(*) FROM staged_vectors").fetchone()
        self.set_value(STAGED, str(count))

    def stage_vectors(self, ids: Sequence[int], vectors: "FloatArray") -> None:
        """Keep new vectors until :meth:`swap_vectors`; those of chunks that are gone are not."""
        import numpy as np

        rows = zip(ids, np.ascontiguousarray(vectors, "<f4"), strict=True)
        cursor = self._connection.executemany(
            "INSERT INTO staged_vectors SELECT id, ? FROM chunks WHERE id = ?",
            ((row.tobytes(), i) for i, row in rows),
        )
        self._count_staged(max(cursor.rowcount, 0))

    def swap_vectors(self, meta: IndexMeta) -> None:
        """Put the staged vectors, one for every chunk, in place of the current ones."""
        self._connection.execute(
            "UPDATE chunks SET vector = "
            "(SELECT vector FROM staged_vectors WHERE chunk_id = chunks.id)"
        )
        self._connection.execute("DELETE FROM staged_vectors")
        self._connection.execute("DELETE FROM waiting")
        for key in (STAGED_FOR, STAGED_EMBEDDING, STAGED):
            self.set_value(key, None)
        self.set_meta(meta)
        self.set_value("space", uuid.uuid4().hex)

    def _count_staged(self, more: int) -> None:
        if more and (staging := self.staging()):
            self.set_value(STAGED, str(staging.done + more))

    def bump(self) -> None:
        """Give the state its generation, just before it is committed."""
        number = self.generation().number + 1
        token = uuid.uuid4().hex
        self._connection.execute("INSERT INTO generations VALUES (?, ?)", (number, token))
        old = number - _KEPT_GENERATIONS
        self._connection.execute("DELETE FROM generations WHERE number <= ?", (old,))
        self.set_value(COUNTS, f"{number} {self._documents_now} {self._chunks_now}")

    def _counts(self) -> tuple[int, int]:
        return self._documents_now, self._chunks_now

    def _insert_chunks(
        self,
        document: int,
        ordinal: int,
        chunks: Sequence[ChunkRecord],
        vectors: "FloatArray | None",
    ) -> list[int]:
        rows = zip(chunks, self._blobs(vectors, len(chunks)), strict=True)
        return [
            self._insert_chunk(document, ordinal + position, chunk, vector)
            for position, (chunk, vector) in enumerate(counted(rows, "passages"))
        ]

    def _blobs(self, vectors: "FloatArray | None", count: int) -> Iterable[bytes]:
        """Return vectors as they are stored; empty where they are to follow."""
        import numpy as np

        if vectors is None:
            return [b""] * count
        meta = self.meta()
        check_dimension(meta, vectors.shape[-1])
        return (row.tobytes() for row in np.ascontiguousarray(vectors, "<f4"))

    def _insert_chunk(self, document: int, ordinal: int, chunk: ChunkRecord, vector: bytes) -> int:
        extra = json.dumps(chunk.extra, ensure_ascii=False, default=str) if chunk.extra else None
        cursor = self._connection.execute(
            "INSERT INTO chunks (document_id, ordinal, key, start_char, end_char, page, heading, "
            "extra, vector, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(document, ordinal, chunk.key, chunk.start, chunk.end, chunk.page, chunk.heading),
                *(extra, vector, chunk.text),
            ),
        )
        number = int(cursor.lastrowid or 0)
        self._chunks_now += 1
        self._insert_terms([replace(chunk, id=number)])
        return number

    def _insert_terms(self, chunks: Iterable[ChunkRecord]) -> None:
        self._connection.executemany(
            "INSERT INTO terms (rowid, body) VALUES (?, ?)",
            ((chunk.id, document_terms(chunk.searched_text)) for chunk in chunks),
        )
