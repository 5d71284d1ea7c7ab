"""Reading one committed state of an index in Milvus."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rag_app.index.milvus.catalogue import Entry, State, key
from rag_app.index.milvus.collections import (
    DOCUMENTS,
    Entity,
    among,
    literal,
    match_token,
    passages_name,
    query_weights,
    rows_where,
)
from rag_app.index.store.bm25 import best, bm25_scores, term_weight, terms_held
from rag_app.index.store.interface import Scores
from rag_app.index.store.records import ChunkRecord, DocumentRecord, IndexMeta
from rag_app.index.store.snapshot import Matches

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pymilvus import MilvusClient

    from rag_app.models.embeddings.base import FloatArray

FIELDS = ("id", "ordinal", "caller_id", "text", "record")
"""What a `ChunkRecord` is made of."""
_ENTRY = ["source", "content_hash", "live", "record"]
_MORE_CANDIDATES = 2
"""Passages found for each that is wanted: the weights in Milvus are nearly those of the scores."""
_LEAST_CANDIDATES = 64
_AT_ONCE = 500  # values in one expression


class MilvusSnapshot:
    """One state of an index; what is written later is not seen.

    What later states no longer see is deleted some seconds after, so a snapshot is for one question
    or one step, not for long. Which passages are a document's is read as it is now.
    """

    def __init__(self, client: "MilvusClient", index: str, state: State) -> None:
        self._client = client
        self._index = index
        self.state = state
        self._passages = passages_name(state.meta.dimension)
        self._rows: dict[int, Entity] = {}
        self._frequencies: dict[str, int] = {}

    def meta(self) -> IndexMeta:
        """Return what the index was made with."""
        return self.state.meta

    def documents(self) -> Iterator[DocumentRecord]:
        """Yield every document, by source."""
        found = (Entry.of(row).record for row in self._entries("live == true"))
        yield from sorted(found, key=lambda record: record.source)

    def sources(self) -> list[str]:
        """Return the source of every document."""
        return self._sources_where("live == true")

    def document(self, source: str) -> DocumentRecord | None:
        """Return the document of ``source``."""
        entry = self.entry(source)
        return entry.record if entry else None

    def entry(self, source: str) -> Entry | None:
        """Return the document of ``source`` and which passages are its."""
        found = self._client.get(DOCUMENTS, ids=[key(self._index, source)], output_fields=_ENTRY)
        entry = Entry.of(found[0]) if source and found else None
        return entry if entry and entry.live else None

    def sources_of_hash(self, content_hash: str) -> list[str]:
        """Return the sources of the documents of that content."""
        same = f"live == true and content_hash == {literal(content_hash)}"
        return self._sources_where(same)

    def sources_at(self, path: str) -> list[str]:
        """Return the sources of the document of that path, or of those in the folder."""
        folder = path.rstrip("/")
        # "0" is what follows "/" in ASCII.
        inside = f"source > {literal(folder + '/')} and source < {literal(folder + '0')}"
        there = f"live == true and (source == {literal(path)} or ({inside}))"
        return self._sources_where(there)

    def staging(self) -> None:
        """Return None: vectors in Milvus are not made again in their place."""

    def count_documents(self) -> int:
        """Return the number of documents."""
        return self.state.documents

    def count_chunks(self) -> int:
        """Return the number of chunks."""
        return self.state.chunks

    def count_waiting(self) -> tuple[int, int]:
        """Return that no document and no chunk is without its vector: both are written at once."""
        return 0, 0

    def count_outdated(self) -> int:
        """Return the number of documents that an earlier version read."""
        return sum(record.is_outdated for record in self.documents())

    def chunks(self, ids: Sequence[int]) -> list[ChunkRecord]:
        """Return the chunks of ``ids`` in that order; those that aren't there are left out."""
        missing = [int(number) for number in ids if int(number) not in self._rows]
        self._rows |= {row["id"]: row for row in self._with_ids(missing, *FIELDS)}
        return [as_chunk(self._rows[number]) for number in ids if number in self._rows]

    def first_chunks(self, limit: int) -> list[ChunkRecord]:
        """Return the first chunk of every document, then the second ones, by id."""
        chosen: list[ChunkRecord] = []
        while len(chosen) < limit:
            ordinal = chosen[-1].ordinal + 1 if chosen else 0
            found = self._found(f"ordinal == {ordinal}", *FIELDS)
            chunks = sorted(map(as_chunk, found), key=lambda chunk: chunk.id)
            if not chunks:
                break
            chosen += chunks
        return chosen[:limit]

    def sample_texts(self, count: int) -> list[str]:
        """Return the texts of some chunks, whichever Milvus finds first."""
        found = self._client.query(
            self._passages, filter=self._live(), output_fields=["text"], limit=count
        )
        return [row["text"] for row in found]

    def ids_where(
        self, matches: Matches | None = None, sources: Collection[str] | None = None
    ) -> "NDArray[np.int64]":
        """Return the ids of some chunks, int64, ascending; see `Snapshot.ids_where`."""
        import numpy as np

        names = ("id",) if matches is None else FIELDS
        found = (
            row
            for expression in self._of_sources(sources)
            for row in self._found(expression, *names)
            if matches is None or matches(as_chunk(row).metadata())
        )
        return np.sort(np.array([row["id"] for row in found], np.int64))

    def all_chunks(self) -> Iterator[ChunkRecord]:
        """Yield every chunk, by ascending id."""
        found = map(as_chunk, self._found("", *FIELDS))
        yield from sorted(found, key=lambda chunk: chunk.id)

    def chunks_of(self, source: str) -> Iterator[ChunkRecord]:
        """Yield the chunks of one document in order."""
        entry = self.entry(source)
        if entry:
            found = self._found(among("version", list(entry.versions)), *FIELDS)
            yield from sorted(map(as_chunk, found), key=lambda chunk: chunk.ordinal)

    def ids_of(self, public_ids: Sequence[str]) -> list[int]:
        """Return the chunk ids that the ids seen by LangChain stand for; unknown ones left out."""
        found = []
        for public in public_ids:
            wanted = [f"caller_id == {literal(public)}"] if public else []
            if public.isascii() and public.isdecimal() and len(public) < 20:
                wanted.append(f'id == {public} and caller_id == ""')
            ids = (row["id"] for expression in wanted for row in self._found(expression, "id"))
            found += [*ids][:1]
        return found

    def vectors_of(self, ids: Iterable[int]) -> "dict[int, FloatArray]":
        """Return the vectors, float32 ``[dimension]``, of some chunks by their ids."""
        wanted = [int(number) for number in ids]
        missing = [number for number in wanted if "vector" not in self._rows.get(number, {})]
        self._rows |= {row["id"]: row for row in self._with_ids(missing, *FIELDS, "vector")}
        return {number: self._vector(number) for number in wanted if number in self._rows}

    def nearest(
        self,
        vector: "FloatArray",
        k: int,
        matches: Matches | None = None,
        sources: Collection[str] | None = None,
    ) -> Scores:
        """Return the cosines of the ``k`` nearest chunks, from their vectors, best first."""
        if matches is not None:
            ids = [int(number) for number in self.ids_where(matches, sources)]
        else:
            data = [vector.tolist()]
            ids = [
                number
                for expression in self._of_sources(sources)
                for number in self._search("vector", data, k, expression, "vector")
            ]
        scores = {number: float(row @ vector) for number, row in self.vectors_of(ids).items()}
        return best(scores, k)

    def search_any(
        self, terms: Sequence[str], limit: int, sources: Collection[str] | None = None
    ) -> list[tuple[int, float]]:
        """Return the ids of chunks that hold any of ``terms``, best first, with their BM25."""
        counts = {term: self.document_frequency(term) for term in terms}
        weights = {
            term: term_weight(count, self.state.chunks) for term, count in counts.items() if count
        }
        if not weights:
            return []
        data, count = [query_weights(weights)], max(_MORE_CANDIDATES * limit, _LEAST_CANDIDATES)
        ids = [
            number
            for expression in self._of_sources(sources)
            for number in self._search("bm25", data, count, expression)
        ]
        mean = self.state.terms / max(self.state.chunks, 1)
        scores = bm25_scores(terms_held(self.chunks(ids)), counts, self.state.chunks, mean)
        return list(best(scores, limit).items())

    def document_frequency(self, term: str) -> int:
        """Return how many chunks hold a question's ``term``."""
        if term not in self._frequencies:
            holds = self._live(f"text_match(terms, {literal(match_token(term))})")
            found = self._client.query(self._passages, filter=holds, output_fields=["count(*)"])
            self._frequencies[term] = int(found[0]["count(*)"])
        return self._frequencies[term]

    def _search(
        self, field: str, data: list[Any], limit: int, expression: str, *more: str
    ) -> list[int]:
        """Return the ids of what a search finds, whose rows are kept."""
        if not self.state.chunks:
            return []
        (hits,) = self._client.search(
            self._passages, data, anns_field=field, limit=min(limit, 16_384),
            filter=self._live(expression), output_fields=[*FIELDS, *more],
        )  # fmt: skip
        found = {int(hit["id"]): {**hit["entity"], "id": int(hit["id"])} for hit in hits}
        self._rows |= {
            number: {**self._rows.get(number, {}), **row} for number, row in found.items()
        }
        return list(found)

    def _vector(self, number: int) -> "FloatArray":
        import numpy as np

        return np.asarray(self._rows[number]["vector"], np.float32)

    def _with_ids(self, ids: Sequence[int], *fields: str) -> Iterator[Entity]:
        for start in range(0, len(ids), _AT_ONCE):
            some = list(ids[start : start + _AT_ONCE])
            yield from self._client.query(
                self._passages, filter=self._live(among("id", some)), output_fields=list(fields)
            )

    def _of_sources(self, sources: Collection[str] | None) -> Iterator[str]:
        """Yield expressions of which each passage of the documents fulfils one."""
        if sources is None:
            yield ""
            return
        keys = [key(self._index, source) for source in sorted(sources) if source]
        for start in range(0, len(keys), _AT_ONCE):
            some = self._client.get(
                DOCUMENTS, ids=keys[start : start + _AT_ONCE], output_fields=_ENTRY
            )
            entries = [entry for entry in map(Entry.of, some) if entry.live]
            if versions := [version for entry in entries for version in entry.versions]:
                yield among("version", versions)

    def _entries(self, expression: str) -> Iterator[Entity]:
        return rows_where(self._client, DOCUMENTS, self._documents(expression), *_ENTRY)

    def _sources_where(self, expression: str) -> list[str]:
        found = rows_where(self._client, DOCUMENTS, self._documents(expression), "source")
        return sorted(row["source"] for row in found)

    def _documents(self, expression: str) -> str:
        return f"index == {literal(self._index)} and {expression}"

    def _found(self, expression: str, *fields: str) -> Iterator[Entity]:
        return rows_where(self._client, self._passages, self._live(expression), *fields)

    def _live(self, expression: str = "") -> str:
        """Return what is true of the passages of this state for which ``expression`` is."""
        state = self.state
        parts = [f"index == {literal(self._index)}", f"version <= {state.last}"]
        if state.hidden:
            parts.append(among("version", list(state.hidden), never=True))
        if state.hidden_ids:
            parts.append(among("id", list(state.hidden_ids), never=True))
        return " and ".join([*parts, *([f"({expression})"] if expression else [])])


def as_chunk(row: Entity) -> ChunkRecord:
    """Return the passage of a row."""
    record = ChunkRecord(text=row["text"], **row["record"])
    given = row["caller_id"] or None
    return replace(record, id=int(row["id"]), ordinal=int(row["ordinal"]), key=given)
