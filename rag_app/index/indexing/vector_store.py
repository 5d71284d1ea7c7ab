"""Indexing into a LangChain vector store of another package."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from rag_app.documents.sources import search_sources
from rag_app.errors import DocumentError, SettingsError
from rag_app.index.indexing.reading import (
    check_free,
    failure_reason,
    file_hash,
    is_current,
    misnamed,
    move_file,
    name_of,
    read_document,
)
from rag_app.index.indexing.report import (
    Failure,
    IndexOptions,
    IndexProgress,
    IndexReport,
    Note,
    ProgressCallback,
)
from rag_app.index.store.records import ChunkRecord, DocumentRecord

_AT_ONCE = 64  # ids that are looked for together
_UNKNOWN = {"content_hash": "", "settings": ""}


def fill_vector_store(
    paths: Sequence[str],
    store: VectorStore,
    *,
    options: IndexOptions,
    progress: ProgressCallback | None = None,
    destinations: Mapping[Path, Path] | None = None,
) -> IndexReport:
    """Bring a vector store up to date with files, folders, globs, or ``-`` (standard input).

    A passage's id is made of its source and its position there, and the first of a document notes
    the hash of its file. So unchanged files are skipped and what is left of an earlier version is
    deleted, as long as the store has ``get_by_ids``; without that every file is added again.

    Args:
        paths: What to index.
        store: Embeds the passages itself.
        options: Reading and chunking.
        progress: Called with how far the run is.
        destinations: As `rag_app.index.indexing.indexer.index_paths` takes them.

    Raises:
        DocumentError: there is nothing at one of the paths.
        SettingsError: documents whose files are gone are to be dropped: a vector store does not
            list what it holds.
    """
    if options.prune:
        raise SettingsError("a vector store does not list its documents, so none can be pruned")
    started = time.perf_counter()
    found = search_sources(paths, options.exclude)
    run = _Run(store, options, progress, len(found.files))
    run.report.skipped = found.skipped
    for folder, reason in found.unreadable.items():
        run.report.failed.append(Failure(str(folder), reason))
    for path in found.files:
        run.take(path, (destinations or {}).get(path, path))
    run.report.seconds = time.perf_counter() - started
    return run.report


def remove_from_vector_store(source: str, store: VectorStore) -> bool:
    """Delete the passages of ``source``, and return whether there were any.

    Raises:
        SettingsError: the store has no ``get_by_ids``, so this can't be known.
    """
    try:
        store.get_by_ids([_id(source, 0)])
    except NotImplementedError as error:
        kind = type(store).__name__
        msg = f"{kind} has no get_by_ids, so nothing can be removed by name; delete it there"
        raise SettingsError(msg) from error
    return _delete_from(store, source, 0)


Read = tuple[DocumentRecord, list[ChunkRecord]]


@dataclass
class _Run:
    """One call of `fill_vector_store`."""

    store: VectorStore
    options: IndexOptions
    progress: ProgressCallback | None
    total: int
    report: IndexReport = field(default_factory=IndexReport)
    looked_at: int = 0

    def take(self, path: Path, target: Path) -> None:
        """Add a document, if it is new or changed, and move its file to where it belongs."""
        source = name_of(target, self.options.stdin_name)
        if failure := misnamed(path, source):
            self.report.failed.append(failure)
        else:
            self._bring(path, target, source)
        self.looked_at += 1
        if self.progress is not None:
            chunks = self.report.chunks
            self.progress(IndexProgress(source, self.looked_at, self.total, chunks, chunks))

    def _bring(self, path: Path, target: Path, source: str) -> None:
        try:
            known = self._known(source)
            if target != path:
                check_free(target)
            read = self._read(path, source, known)
        except (DocumentError, OSError) as error:
            self.report.failed.append(Failure(source, failure_reason(error)))
            return
        if read:
            self._add(*read)
        self.report.unchanged += read is None
        self.report.updated += read is not None and known is not None
        self.report.added += read is not None and known is None
        move_file(path, target)

    def _known(self, source: str) -> DocumentRecord | None:
        """Return what the first passage of ``source`` notes of its file."""
        for first in _held(self.store, [_id(source, 0)]):
            made_of = first.metadata.get("made_of")
            return DocumentRecord(source, **(json.loads(made_of) if made_of else _UNKNOWN))
        return None

    def _read(self, path: Path, source: str, known: DocumentRecord | None) -> Read | None:
        digest = file_hash(path, self.options.max_bytes)
        if known and digest and is_current(known, digest, self.options):
            return None
        document, chunks = read_document(path, source, digest, self.options)
        if known and is_current(known, document.content_hash, self.options):
            return None
        return document, chunks

    def _add(self, document: DocumentRecord, chunks: Sequence[ChunkRecord]) -> None:
        # LangChain asks of stores that they replace passages of the same ids; its FAISS does not.
        replaced = 0 if hasattr(self.store, "index_to_docstore_id") else len(chunks)
        _delete_from(self.store, document.source, replaced)
        started = time.perf_counter()
        # The first comes last: it says that the others are there, and no older ones.
        passages = [*_documents(document, chunks)][::-1]
        self.store.add_documents(passages, ids=[passage.id for passage in passages])
        self.report.embedding_seconds += time.perf_counter() - started
        self.report.chunks += len(chunks)
        self.report.notes.extend(Note(document.source, text) for text in document.notes)


def _documents(document: DocumentRecord, chunks: Sequence[ChunkRecord]) -> Iterator[Document]:
    for ordinal, chunk in enumerate(chunks):
        metadata = _plain(replace(chunk, ordinal=ordinal))
        if ordinal == 0:
            names = ("content_hash", "settings", "loader")
            metadata["made_of"] = json.dumps({name: getattr(document, name) for name in names})
        yield Document(chunk.text, id=_id(document.source, ordinal), metadata=metadata)


def _plain(chunk: ChunkRecord) -> dict[str, str | int | float | bool]:
    """Return metadata without lists and the like, which many stores refuse."""
    kinds = str | int | float | bool
    return {name: value for name, value in chunk.metadata().items() if isinstance(value, kinds)}


def _delete_from(store: VectorStore, source: str, ordinal: int) -> bool:
    """Delete the passages of ``source`` from one on, and return whether there were any."""
    found = False
    while True:
        ids = [_id(source, ordinal + i) for i in range(_AT_ONCE)]
        held = _held_ids(store, ids)
        if not held:
            return found
        store.delete(held)
        found, ordinal = True, ordinal + _AT_ONCE


def _held_ids(store: VectorStore, ids: Sequence[str]) -> list[str]:
    found = _held(store, ids)
    if all(document.id for document in found):
        return [document.id for document in found if document.id]
    return [key for key in ids if _held(store, [key])]  # Qdrant's passages don't say their ids


def _held(store: VectorStore, ids: Sequence[str]) -> Sequence[Document]:
    with suppress(NotImplementedError):
        return store.get_by_ids(ids)
    return []


def _id(source: str, ordinal: int) -> str:
    return str(uuid5(NAMESPACE_URL, f"{source}#{ordinal}"))  # some stores take nothing else
