"""Reading one committed state of an index."""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_app.documents.text import is_prefix, match_expression
from rag_app.index.store.database import damaged, has_notes, has_waiting
from rag_app.index.store.records import (
    ChunkRecord,
    DocumentRecord,
    Generation,
    IndexMeta,
    Staging,
)

if TYPE_CHECKING:  # an index is listed and described without them
    import numpy as np
    from numpy.typing import NDArray

    from rag_app.models.embeddings.base import FloatArray

COUNTS = "counted"
"""Key of the meta table: a generation's number, its documents, its chunks."""
STAGED_FOR, STAGED_EMBEDDING, STAGED = "staged_for", "staged_embedding", "staged"
"""Keys of the meta table: of the model of staged vectors its vector space and name, and how many
there are."""

_DOCUMENTS = """
SELECT source, content_hash, settings, loader, encoding, size, characters, indexed_at, {notes},
       (SELECT count(*) FROM chunks WHERE document_id = documents.id)
FROM documents
"""
_CHUNKS = """
SELECT chunks.text, start_char, end_char, page, heading, extra, key, ordinal, chunks.id, source
FROM chunks JOIN documents ON documents.id = document_id
"""

_OF_SOURCES = """document_id IN (
SELECT id FROM documents WHERE source IN (SELECT value FROM json_each(?)))"""

_BATCH = 1024  # rows that are read together

Matches = Callable[[Mapping[str, Any]], bool]
"""Whether a chunk's metadata are those that are looked for."""


class Snapshot:
    """One state of the index; every method sees the same one, whatever is written meanwhile."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def generation(self) -> Generation:
        """Return which state this is."""
        query = "SELECT number, token FROM generations ORDER BY number DESC LIMIT 1"
        row = self._connection.execute(query).fetchone()
        if row is None:
            raise damaged(self._path, "it has no generation")
        return Generation(*row)

    def descends_from(self, generation: Generation) -> bool:
        """Return whether this state came from `generation` by writes alone."""
        query = "SELECT 1 FROM generations WHERE number = ? AND token = ?"
        found = self._connection.execute(query, (generation.number, generation.token))
        return found.fetchone() is not None

    def meta(self) -> IndexMeta:
        """Return what the index was made with."""
        numbers = map(int, map(self.value, ("dimension", "chunk_size", "chunk_overlap")))
        return IndexMeta(self.value("embedding"), self.value("fingerprint"), *numbers)

    def space(self) -> str:
        """Return the name of the vectors' space: another one after every re-embedding."""
        return self.value("space")

    def value(self, key: str) -> str:
        """Return one value of the meta table."""
        value = self.optional_value(key)
        if value is None:
            raise damaged(self._path, f"it doesn't say its {key}")
        return value

    def optional_value(self, key: str) -> str | None:
        """Return one value of the meta table, None if there is none."""
        query = "SELECT value FROM meta WHERE key = ?"
        row = self._connection.execute(query, (key,)).fetchone()
        return None if row is None else str(row[0])

    def documents(self) -> Iterator[DocumentRecord]:
        """Yield every document, by source."""
        for row in self._connection.execute(f"{self._documents()} ORDER BY source"):
            yield _document(row)

    def sources(self) -> list[str]:
        """Return the source of every document."""
        return self._column("SELECT source FROM documents ORDER BY source")

    def document(self, source: str) -> DocumentRecord | None:
        """Return the document of `source`."""
        query = f"{self._documents()} WHERE source = ?"
        row = self._connection.execute(query, (source,)).fetchone()
        return _document(row) if row else None

    def sources_of_hash(self, content_hash: str) -> list[str]:
        """Return the sources of the documents of that content."""
        query = "SELECT source FROM documents WHERE content_hash = ? ORDER BY source"
        return self._column(query, content_hash)

    def sources_at(self, path: str) -> list[str]:
        """Return the sources of the document of that path, or of those in the folder."""
        query = "SELECT source FROM documents WHERE source = ? OR (source > ? AND source < ?)"
        folder = path.rstrip("/")
        # "0" is what follows "/" in ASCII.
        return sorted(self._column(query, path, f"{folder}/", f"{folder}0"))

    def count_documents(self) -> int:
        """Return the number of documents."""
        return self._counts()[0]

    def count_chunks(self) -> int:
        """Return the number of chunks."""
        return self._counts()[1]

    def count_waiting(self) -> tuple[int, int]:
        """Return the numbers of documents and chunks that have no vectors yet."""
        if not has_waiting(self._connection):
            return 0, 0
        query = (
            "SELECT (SELECT count(*) FROM waiting), (SELECT count(*) FROM chunks "
            "WHERE document_id IN (SELECT document_id FROM waiting))"
        )
        documents, chunks = self._connection.execute(query).fetchone()
        return int(documents), int(chunks)

    def count_vectors(self) -> int:
        """Return the number of chunks that have a vector."""
        return self.count_chunks() - self.count_waiting()[1]

    def waiting(self, limit: int) -> list[str]:
        """Return the sources of documents that have no vectors yet, the oldest first."""
        if not has_waiting(self._connection):
            return []
        query = (
            "SELECT source FROM waiting JOIN documents ON documents.id = document_id "
            "ORDER BY document_id LIMIT ?"
        )
        return self._column(query, limit)

    def count_outdated(self) -> int:
        """Return the number of documents that an earlier version read."""
        query = "SELECT settings, count(*) FROM documents GROUP BY settings"
        rows = self._connection.execute(query)
        return sum(
            count for settings, count in rows if DocumentRecord("", "", settings).is_outdated
        )

    def last_chunk_id(self) -> int:
        """Return the highest chunk id; later chunks have higher ones."""
        return int(self._connection.execute("SELECT max(id) FROM chunks").fetchone()[0] or 0)

    def copy_to(
        self, target: sqlite3.Connection, *, pages: int, progress: Callable[[int, int, int], None]
    ) -> None:
        """Copy the whole database, as this snapshot sees it, by SQLite's online backup.

        Args:
            target: An empty database.
            pages: Copied in one step.
            progress: Called after each with SQLite's status, the pages left and all pages.
        """
        self._connection.backup(target, pages=pages, progress=progress)

    def vector_ids(self) -> "NDArray[np.int64]":
        """Return the ids of the chunks that have a vector, int64, ascending."""
        return self._ids("SELECT id FROM chunks WHERE length(vector) > 0 ORDER BY id")

    def chunks(self, ids: Sequence[int]) -> list[ChunkRecord]:
        """Return the chunks of `ids` in that order; those that aren't there are left out."""
        query = _CHUNKS + "WHERE chunks.id IN (SELECT value FROM json_each(?))"  # noqa: S608
        rows = self._connection.execute(query, (json.dumps(list(ids)),))
        found = {chunk.id: chunk for chunk in map(_chunk, rows)}
        return [found[number] for number in ids if number in found]

    def first_chunks(self, limit: int) -> list[ChunkRecord]:
        """Return the first chunk of every document, then the second ones, by id."""
        query = "SELECT id FROM chunks ORDER BY ordinal, id LIMIT ?"
        return self.chunks(self._column(query, limit))

    def sample_texts(self, count: int) -> list[str]:
        """Return the texts of chunks whose ids lie evenly; fewer where some of these went."""
        last = self.last_chunk_id()
        ids = sorted({1 + number * last // count for number in range(count)})
        query = "SELECT text FROM chunks WHERE id IN (SELECT value FROM json_each(?))"
        return self._column(query, json.dumps(ids))

    def ids_where(
        self, matches: Matches | None = None, sources: Collection[str] | None = None
    ) -> "NDArray[np.int64]":
        """Return the ids of some chunks, int64, ascending.

        Args:
            matches: The metadata to search, each chunk being read; by default any.
            sources: The documents to search; by default all.
        """
        import numpy as np

        within, chosen = "", list[str]()
        if sources is not None:
            within, chosen = f" WHERE {_OF_SOURCES}", [json.dumps(list(sources))]
        if matches is None:
            return self._ids(f"SELECT id FROM chunks{within} ORDER BY id", *chosen)  # noqa: S608
        chunks = map(_chunk, self._connection.execute(f"{_CHUNKS}{within}", chosen))
        found = (chunk.id for chunk in chunks if matches(chunk.metadata()))
        return np.sort(np.fromiter(found, np.int64))

    def all_chunks(self) -> Iterator[ChunkRecord]:
        """Yield every chunk, by ascending id."""
        return map(_chunk, self._connection.execute(f"{_CHUNKS} ORDER BY chunks.id"))

    def chunks_of(self, source: str) -> Iterator[ChunkRecord]:
        """Yield the chunks of one document in order."""
        query = f"{_CHUNKS} WHERE source = ? ORDER BY ordinal"
        return map(_chunk, self._connection.execute(query, (source,)))

    def ids_of(self, public_ids: Sequence[str]) -> list[int]:
        """Return the chunk ids that the ids seen by LangChain stand for; unknown ones left out."""
        found = []
        for public in public_ids:
            query = "SELECT id FROM chunks WHERE key = ?"
            row = self._connection.execute(query, (public,)).fetchone()
            if row is None and public.isascii() and public.isdecimal() and len(public) < 19:
                query = "SELECT id FROM chunks WHERE id = ? AND key IS NULL"
                row = self._connection.execute(query, (int(public),)).fetchone()
            if row is not None:
                found.append(int(row[0]))
        return found

    def vectors(
        self, ids: "NDArray[np.int64] | None" = None, batch: int = _BATCH
    ) -> "Iterator[tuple[NDArray[np.int64], FloatArray]]":
        """Yield ids (int64 ``[n]``) and vectors (float32 ``[n, dimension]``), by ascending id.

        Args:
            ids: which chunks; all of them by default. Those without a vector are left out.
            batch: the most rows in one array.
        """
        query, arguments = "SELECT id, vector FROM chunks WHERE length(vector) > 0 ", list[str]()
        if ids is not None:
            query += "AND id IN (SELECT value FROM json_each(?)) "
            arguments = [json.dumps(ids.tolist())]
        query += "ORDER BY id"
        yield from self._vectors(query, arguments, batch)

    def vectors_after(self, chunk_id: int) -> "Iterator[tuple[NDArray[np.int64], FloatArray]]":
        """Yield `vectors` of the chunks with a higher id."""
        query = "SELECT id, vector FROM chunks WHERE id > ? AND length(vector) > 0 ORDER BY id"
        yield from self._vectors(query, [chunk_id])

    def _vectors(
        self, query: str, arguments: Sequence[object], batch: int = _BATCH
    ) -> "Iterator[tuple[NDArray[np.int64], FloatArray]]":
        import numpy as np

        dimension = int(self.value("dimension"))
        cursor = self._connection.execute(query, arguments)
        while rows := cursor.fetchmany(batch):
            yield np.array([row[0] for row in rows], np.int64), self._matrix(rows, dimension)

    def vectors_of(self, ids: Iterable[int]) -> "dict[int, FloatArray]":
        """Return the vectors, float32 ``[dimension]``, of some chunks by their ids."""
        import numpy as np

        batches = self.vectors(np.array(sorted(ids), np.int64))
        rows = (zip(found.tolist(), vectors, strict=True) for found, vectors in batches)
        return dict(chain.from_iterable(rows))

    def staging(self) -> Staging | None:
        """Return what is noted of staged vectors, None if there are none in the making."""
        name = self.optional_value(STAGED_EMBEDDING)
        return None if name is None else Staging(name, int(self.optional_value(STAGED) or 0))

    def unstaged(self, limit: int) -> list[ChunkRecord]:
        """Return chunks that have no staged vector yet."""
        # They are staged by ascending id, and later chunks have higher ones.
        query = (
            "SELECT id FROM chunks WHERE id > (SELECT coalesce(max(chunk_id), 0) FROM "
            "staged_vectors) ORDER BY id LIMIT ?"
        )
        return self.chunks(self._column(query, limit))

    def search_terms(
        self, expression: str, limit: int, sources: Collection[str] | None = None
    ) -> list[tuple[int, float]]:
        """Return the ids that match an FTS5 `expression`, best first, with their BM25 score."""
        query, chosen = "SELECT rowid, rank FROM terms WHERE terms MATCH ? ", list[str]()
        if sources is not None:
            # The plus keeps SQLite from searching the terms once for each of the rows.
            query += (
                "AND +rowid IN (SELECT chunks.id FROM chunks JOIN documents ON documents.id = "
                "document_id WHERE source IN (SELECT value FROM json_each(?))) "
            )
            chosen = [json.dumps(list(sources))]
        query += "ORDER BY rank LIMIT ?"
        rows = self._connection.execute(query, (expression, *chosen, limit)).fetchall()
        # FTS5's bm25() is negative: the smaller the better.
        return [(row[0], -row[1]) for row in sorted(rows, key=lambda row: (row[1], row[0]))]

    def search_any(
        self, terms: Sequence[str], limit: int, sources: Collection[str] | None = None
    ) -> list[tuple[int, float]]:
        """Return `search_terms` for any of a question's terms."""
        return self.search_terms(match_expression(terms), limit, sources)

    def document_frequency(self, term: str) -> int:
        """Return how many chunks hold a question's `term`."""
        query = "SELECT doc FROM term_counts WHERE term = ?"
        if is_prefix(term):
            query, term = "SELECT count(*) FROM terms WHERE terms MATCH ?", match_expression([term])
        row = self._connection.execute(query, (term,)).fetchone()
        return int(row[0]) if row else 0

    def _counts(self) -> tuple[int, int]:
        """Return the numbers of documents and chunks.

        They were noted when the state was written, except by an earlier version, or by none.
        """
        number, *counts = map(int, (self.optional_value(COUNTS) or "-1").split())
        if number == self.generation().number:
            return counts[0], counts[1]
        query = "SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM chunks)"
        documents, chunks = self._connection.execute(query).fetchone()
        return int(documents), int(chunks)

    def _column(self, query: str, *values: object) -> list[Any]:
        """Return the first column of what a query finds."""
        return [row[0] for row in self._connection.execute(query, values)]

    def _ids(self, query: str, *values: object) -> "NDArray[np.int64]":
        """Return the ids that a query finds, which may be of all chunks."""
        import numpy as np

        rows = self._connection.execute(query, values)
        return np.fromiter((row[0] for row in rows), np.int64)

    def _documents(self) -> str:
        return _DOCUMENTS.format(notes="notes" if has_notes(self._connection) else "NULL")

    def _matrix(self, rows: list[tuple[int, bytes]], dimension: int) -> "FloatArray":
        import numpy as np

        wrong = next((row[0] for row in rows if len(row[1]) != 4 * dimension), None)
        if wrong is not None:
            raise damaged(self._path, f"the vector of chunk {wrong} has a wrong length")
        joined = b"".join(row[1] for row in rows)
        return np.frombuffer(joined, "<f4").reshape(len(rows), dimension).astype(np.float32)


def _document(row: tuple[Any, ...]) -> DocumentRecord:
    *values, notes, chunks = row
    return replace(DocumentRecord(*values), notes=tuple(json.loads(notes or "[]")), chunks=chunks)


def _chunk(row: tuple[object, ...]) -> ChunkRecord:
    record = ChunkRecord(*row)  # type: ignore[arg-type] # the column order is the field order
    return replace(record, extra=json.loads(str(row[5])) if row[5] else {})
