"""Writing to an index in Milvus: all that one block changes is seen at once."""

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rag_app.documents.text import document_terms
from rag_app.errors import BusyIndexError
from rag_app.index.milvus.catalogue import Entry, State, key
from rag_app.index.milvus.collections import (
    DOCUMENTS,
    Entity,
    check_length,
    document_weights,
    passage_tokens,
)
from rag_app.index.milvus.snapshot import MilvusSnapshot
from rag_app.index.store.database import check_dimension
from rag_app.index.store.records import ChunkRecord, DocumentRecord, IndexMeta, in_folders

if TYPE_CHECKING:
    from pymilvus import MilvusClient

    from rag_app.models.embeddings.base import FloatArray

_EPOCH = 1_735_689_600  # 2025: from then on chunk ids count microseconds, one for each passage
_TAGS = 4096
"""Indexes of one Milvus, written at the same moment, have different ids by their names' tags."""
_BATCH = 500  # passages in one request


class MilvusTransaction(MilvusSnapshot):
    """A state in the making; its reading methods see the state before it.

    New passages are inserted under versions above all of the state, where nobody sees them; then
    one upsert changes the documents' rows and the state's. What they replaced is garbage from then
    on; a writer deletes it when no reader can be left that sees it.
    """

    def __init__(self, client: "MilvusClient", index: str, state: State) -> None:
        super().__init__(client, index, state)
        self._next = state
        self._puts: dict[str, Entry] = {}
        self._new: list[Entity] = []
        self._touched: set[str] = set()
        tag = int(hashlib.blake2b(index.encode(), digest_size=2).hexdigest(), 16)
        self._tag = tag % _TAGS

    def replace_document(
        self, document: DocumentRecord, chunks: Sequence[ChunkRecord], vectors: "FloatArray"
    ) -> list[int]:
        """Write a document and its passages, in the place of what it was; see `Transaction`."""
        self.delete_document(document.source)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return self._append(Entry(replace(document, indexed_at=now, chunks=0)), chunks, vectors)

    def rename_document(self, source: str, new: str, folders: Sequence[str] | None = None) -> None:
        """Give a document another source; see `Transaction`."""
        entry = self.entry(source)
        if entry is not None:
            chunks, vectors = self._passages_of(source)
            self.delete_document(source)
            record = entry.record
            if folders is not None:
                record, chunks = in_folders(record, chunks, folders)
            self.replace_document(replace(record, source=new), chunks, vectors)

    def renew_terms(self, source: str) -> None:
        """Make the terms of a document again, by the rules of this version."""
        entry = self.entry(source)
        if entry is not None:
            chunks, vectors = self._passages_of(source)
            self.delete_document(source)
            self._append(Entry(replace(entry.record, chunks=0)), chunks, vectors)

    def set_lexical_version(self, version: str) -> None:
        """Note by which rules all terms are made."""
        self._next = replace(self._next, lexical_version=version)

    def append_chunks(
        self, document: DocumentRecord, chunks: Sequence[ChunkRecord], vectors: "FloatArray"
    ) -> list[int]:
        """Add passages at the end of a document, which is made if there is none yet."""
        entry = self._current(document.source)
        if entry is None:
            return self.replace_document(document, chunks, vectors)
        return self._append(entry, chunks, vectors)

    def delete_document(self, source: str) -> bool:
        """Delete a document with its chunks; return whether there was one."""
        entry = self._current(source)
        if entry is None:
            return False
        written = {row["version"] for row in self._new} & {*entry.versions}
        self._new = [row for row in self._new if row["version"] not in written]
        gone = tuple(version for version in entry.versions if version not in written)
        self._put(replace(entry, live=False, versions=(), length=0, terms=0))
        self._next = replace(self._next, garbage=self._next.garbage + gone)
        return True

    def delete_chunks(self, ids: Sequence[int]) -> int:
        """Delete chunks; returns how many there were."""
        chunks = self.chunks(ids)
        for chunk in chunks:
            entry = self._current(chunk.source)
            if entry is None:
                continue
            count = document_terms(chunk.searched_text).count(" ") + 1
            fewer = replace(entry.record, chunks=entry.record.chunks - 1)
            self._put(replace(entry, record=fewer, terms=entry.terms - count))
            self._touched.add(chunk.source)
        gone = tuple(chunk.id for chunk in chunks)
        self._next = replace(self._next, garbage_ids=self._next.garbage_ids + gone)
        return len(chunks)

    def delete_empty_documents(self) -> None:
        """Delete documents that lost their last chunk in this transaction."""
        for source in self._touched:
            entry = self._current(source)
            if entry and not entry.record.chunks:
                self.delete_document(source)

    def set_meta(self, meta: IndexMeta) -> None:
        """Write what the index is made with."""
        self._next = replace(self._next, meta=meta)

    def commit(self) -> State:
        """Make the changes visible, and return the state that they make.

        Raises:
            BusyIndexError: another machine has begun to write the index.
        """
        for start in range(0, len(self._new), _BATCH):
            self._client.insert(self._passages, self._new[start : start + _BATCH])
        stored = self._client.get(DOCUMENTS, ids=[key(self._index)], output_fields=["record"])
        if not stored or State.of(stored[0]).writer != self.state.writer:
            msg = f"another program began to write the index {self._index}; run the command again"
            raise BusyIndexError(msg)
        changed = [entry.row(self._index) for entry in self._puts.values()]
        self._client.upsert(DOCUMENTS, [*changed, self._next.row(self._index)])
        return self._next

    def _passages_of(self, source: str) -> "tuple[list[ChunkRecord], FloatArray]":
        """Return the passages of a document and their vectors, ``[passages, dimension]``."""
        import numpy as np

        chunks = list(self.chunks_of(source))
        vectors = self.vectors_of(chunk.id for chunk in chunks)
        found = np.array([vectors[chunk.id] for chunk in chunks], np.float32)
        return chunks, found.reshape(len(chunks), self.state.meta.dimension)

    def _current(self, source: str) -> Entry | None:
        """Return a document as this transaction has made it."""
        entry = self._puts.get(source) or self.entry(source)
        return entry if entry and entry.live else None

    def _put(self, entry: Entry) -> None:
        source, state = entry.record.source, self._next
        old = self._current(source)
        before = (1, old.record.chunks, old.terms) if old else (0, 0, 0)
        after = (1, entry.record.chunks, entry.terms) if entry.live else (0, 0, 0)
        self._puts[source] = entry
        self._next = replace(
            state,
            documents=state.documents + after[0] - before[0],
            chunks=state.chunks + after[1] - before[1],
            terms=state.terms + after[2] - before[2],
        )

    def _append(
        self, entry: Entry, chunks: Sequence[ChunkRecord], vectors: "FloatArray"
    ) -> list[int]:
        """Add passages under a version of their own."""
        meta = self._next.meta
        check_dimension(meta, vectors.shape[-1])
        moment = int((time.time() - _EPOCH) * 1e6)
        first = max(moment, self._next.last // _TAGS + 1)
        ids = [(first + position) * _TAGS + self._tag for position in range(len(chunks))]
        source, count = entry.record.source, 0
        for position, chunk in enumerate(chunks):
            own = replace(chunk, source=source, ordinal=entry.length + position)
            counts = Counter(document_terms(own.searched_text).split())
            count += counts.total()
            row = _row(own, counts) | {"vector": vectors[position].tolist()}
            self._new.append({**row, "id": ids[position], "index": self._index, "version": ids[0]})
        if ids:
            self._next = replace(self._next, last=ids[-1])
        more = replace(entry.record, chunks=entry.record.chunks + len(chunks))
        grown = replace(
            entry,
            record=more,
            versions=(*entry.versions, *ids[:1]),
            length=entry.length + len(chunks),
            terms=entry.terms + count,
        )
        self._put(grown)
        return ids


def _row(chunk: ChunkRecord, counts: Counter[str]) -> Entity:
    """Return a passage as Milvus has it, without its ids and vector."""
    return {
        "ordinal": chunk.ordinal,
        "caller_id": chunk.key or "",
        "text": check_length(chunk.text, chunk.source),
        "record": {
            "source": chunk.source,
            "start": chunk.start,
            "end": chunk.end,
            "page": chunk.page,
            "heading": chunk.heading,
            "extra": dict(chunk.extra),
        },
        "terms": check_length(passage_tokens(counts), chunk.source),
        "bm25": document_weights(counts),
    }
