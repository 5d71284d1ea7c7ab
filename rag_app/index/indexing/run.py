"""One run of indexing: what is due is read, split, embedded and written."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import numpy as np

from rag_app.documents.object_stores import RemoteFile, SourcePath
from rag_app.documents.progress import shown_progress
from rag_app.documents.sources import STDIN
from rag_app.errors import DocumentError
from rag_app.index.indexing.batches import WINDOW, Embeddable, groups, waiting
from rag_app.index.indexing.placement import Roots, farther
from rag_app.index.indexing.reading import (
    check_free,
    failure_reason,
    file_hash,
    is_current,
    is_gone,
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
from rag_app.index.indexing.unfinished import UnfinishedPictures, UnfinishedVectors
from rag_app.index.search.faiss_cache import dense_index
from rag_app.index.store.interface import DocumentStore
from rag_app.index.store.records import ChunkRecord, DocumentRecord, IndexMeta, in_folders
from rag_app.index.store.store import IndexStore
from rag_app.index.store.summaries import KeptSummaries
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray
from rag_app.models.llms.prompt_cache import forget

_MERGED = 10_000
"""Chunks written after which their vectors are merged, so that a search meanwhile reads few."""
_SAVE_SECONDS = 10
"""After which documents that are slow to read, as scans are, are written without waiting."""


class IndexEngine(Protocol):
    """Reads and embeds documents for a run, somewhere else."""

    def read(self, run: "IndexRun", paths: Sequence[SourcePath]) -> None:
        """Have the run write what is new or changed at ``paths``, and report what can't be read."""


@dataclass(frozen=True)
class DueDocument:
    """A source that is new or changed."""

    path: SourcePath
    source: str
    digest: str | None
    """SHA-256 of the bytes, hexadecimal; None where they were not looked at."""
    known: bool
    """Whether the index has an earlier version."""
    folders: tuple[str, ...]
    """Those that it is to be searched by, outermost first."""


@dataclass(frozen=True)
class _Pending(Embeddable):
    due: DueDocument


@dataclass
class IndexRun:
    """One call of :func:`index_paths`: what is due, the writing, the report."""

    store: DocumentStore
    embedding: DocumentEmbeddings
    options: IndexOptions
    progress: ProgressCallback | None
    destinations: Mapping[Path, Path]
    roots: Roots
    total: int
    stack: ExitStack
    report: IndexReport = field(default_factory=IndexReport)
    pending: list[_Pending] = field(default_factory=list)
    looked_at: int = 0
    found: int = 0
    searchable: int = 0
    unmerged: int = 0
    writing: bool = False
    source: str = ""
    saved_at: float = 0.0

    def __post_init__(self) -> None:
        self.saved_at = time.monotonic()
        self.pictures = UnfinishedPictures(self.store.folder)

    def open(self) -> None:
        """Take the writer's lock for the rest of the run, making the index if need be."""
        model, options = self.embedding, self.options
        if not self.store.exists():  # a new one needs the model's dimension
            self.store.create(IndexMeta.of(model, options.chunk_size, options.chunk_overlap))
        self.stack.enter_context(self.store.locked())
        self.store.check_embedding(model)
        with self.store.read() as snapshot:
            found = snapshot.meta()
        wanted = replace(found, chunk_size=options.chunk_size, chunk_overlap=options.chunk_overlap)
        if wanted != found:
            with self.store.write() as transaction:
                transaction.set_meta(wanted)
        self.writing = True

    def take(self, path: SourcePath) -> None:
        """Read a document, if it is new or changed; embed and write when enough have come."""
        if due := self.due(path):
            with self.reporting(due.source):
                self._read(due)
        self.looked()
        ahead = sum(len(pending.chunks) for pending in self.pending)
        if ahead >= WINDOW or time.monotonic() - self.saved_at > _SAVE_SECONDS:
            self.flush()

    def due(self, path: SourcePath, *, hash_new: bool = True) -> DueDocument | None:
        """Return the document at ``path`` if it must be read; None if not, or if it can't be.

        Args:
            path: A file, its URL, or ``-``.
            hash_new: Whether the bytes of a source that is not indexed are read, which shows
                a renamed file.
        """
        target = self._target(path)
        self.source = name_of(target, self.options.stdin_name)
        if failure := misnamed(path, self.source):
            self.report.failed.append(failure)
            return None
        with self.reporting(self.source):
            if isinstance(target, Path) and target != path:
                check_free(target)
            known = self._known()
            hashed = known is not None or hash_new
            digest = file_hash(path, self.options.max_bytes) if hashed else None
            if not (digest and self._is_current(path, known, digest)):
                folders = self._folders(known)
                return DueDocument(path, self.source, digest, known is not None, folders)
        return None

    @contextmanager
    def reporting(self, source: str) -> Iterator[None]:
        """Report that a document can't be read, in place of raising it."""
        try:
            yield
        except (DocumentError, OSError) as error:
            self.fail(source, failure_reason(error))

    def looked(self) -> None:
        """Count a document that was looked at."""
        self.looked_at += 1
        self._note_progress()

    @property
    def may_rename(self) -> bool:
        """Whether the index holds a document whose file is gone, and may have a new name."""
        if not self.writing:
            return False
        with self.store.read() as snapshot:
            return any(is_gone(document.source) for document in snapshot.documents())

    def flush(self) -> None:
        """Write what is pending, each document in a transaction of its own.

        Where vectors can't follow it is embedded before.
        """
        pending, self.pending = self.pending, []
        if pending and not self.writing:
            self.open()
        if (store := self._words_first) is not None:
            for item in pending:
                write = shown_progress(lambda far: self._note_progress(f"{far} written"))
                with self._replacing(item.due), store.write() as transaction, write:
                    transaction.replace_document(item.document, item.chunks, None)
        else:
            for group in groups(pending):
                with self._embedding(group) as found:
                    for item, vectors in zip(group, found, strict=True):
                        self._replace(item.due, item.document, item.chunks, vectors)
        self.pictures.forget(indexed=self.writing)
        self.saved_at = time.monotonic()

    @property
    def _words_first(self) -> IndexStore | None:
        """The index, where documents are written before they are embedded."""
        store = self.store
        return store if self.options.words_first and isinstance(store, IndexStore) else None

    def embed_waiting(self) -> int:
        """Embed the documents of the index that have no vectors yet; return how many chunks."""
        store, before = self.store, self.report.chunks
        if not (self.writing and isinstance(store, IndexStore)):
            return 0
        with store.read() as snapshot:  # those of an earlier run too
            self.found = before + snapshot.count_waiting()[1]
        while found := waiting(store):
            for group in groups(found):
                with self._embedding(group) as parts:
                    for item, vectors in zip(group, parts, strict=True):
                        with store.write() as transaction:
                            transaction.replace_document(item.document, item.chunks, vectors)
                        self._merge(len(item.chunks))
        return self.report.chunks - before

    @contextmanager
    def _embedding(self, group: "Sequence[Embeddable]") -> Iterator[list[FloatArray]]:
        """Yield the vectors of each of some documents; in the block they are written."""
        started = time.perf_counter()
        texts = [chunk.embedded_text for item in group for chunk in item.chunks]
        unfinished = UnfinishedVectors(self.store.folder, self.embedding)
        vectors = unfinished.embed(texts, self._embedded)
        self.report.embedding_seconds += time.perf_counter() - started
        ends = list(accumulate(len(item.chunks) for item in group))
        yield np.split(vectors, ends[:-1])
        unfinished.forget(texts)

    def write(
        self,
        due: DueDocument,
        document: DocumentRecord,
        chunks: Sequence[ChunkRecord],
        vectors: FloatArray,
    ) -> None:
        """Write a document that was read and embedded elsewhere, in a transaction of its own.

        Args:
            due: What it was read of.
            document: What was read, in its folders.
            chunks: Its passages.
            vectors: Theirs, float32 ``[len(chunks), dimension]``.
        """
        if not self.writing:
            self.open()
        self._found(document, chunks)
        self._replace(due, document, chunks, vectors)
        self._embedded(len(chunks))

    def _replace(
        self,
        due: DueDocument,
        document: DocumentRecord,
        chunks: Sequence[ChunkRecord],
        vectors: FloatArray,
    ) -> None:
        with self._replacing(due), self.store.write() as transaction:
            transaction.replace_document(document, chunks, vectors)
        self._merge(len(chunks))

    def _merge(self, chunks: int) -> None:
        """Count new chunks, and merge the file of vectors now and then."""
        self.unmerged += chunks
        if self.unmerged >= _MERGED:
            dense_index(self.store).refresh()
            self.unmerged = 0

    @contextmanager
    def _replacing(self, due: DueDocument) -> Iterator[None]:
        """In the block a document is written: what was made of an earlier version is forgotten."""
        old = self._passages(due.source) if due.known else set()
        if due.known:
            KeptSummaries(self.store.folder).forget([due.source])
        yield
        if old:
            forget(old - self._passages(due.source))
        self._move(due.path)
        self.report.added += not due.known
        self.report.updated += due.known
        self.report.written[due.source] = due.known

    def remove(self, sources: Sequence[str]) -> None:
        """Drop documents."""
        KeptSummaries(self.store.folder).forget(sources)
        for source in sources:
            passages = self._passages(source)
            with self.store.write() as transaction:
                self.report.removed += transaction.delete_document(source)
            forget(passages)

    def _passages(self, source: str) -> set[str]:
        with self.store.read() as snapshot:
            return {chunk.text for chunk in snapshot.chunks_of(source)}

    def _target(self, path: SourcePath) -> SourcePath:
        return path if isinstance(path, RemoteFile) else self.destinations.get(path, path)

    def _move(self, path: SourcePath) -> None:
        target = self._target(path)
        if isinstance(path, Path) and isinstance(target, Path):
            move_file(path, target)

    def _read(self, due: DueDocument) -> None:
        reading = shown_progress(lambda far: self._note_progress(f"{far} read"))
        with reading, self.pictures.of_document():
            document, chunks = read_document(
                due.path, due.source, due.digest, self.options, self.pictures
            )
        known = self._known()
        if due.digest is None and self._is_current(due.path, known, document.content_hash):
            return
        if known and due.path == STDIN and not self.options.stdin_name:
            said = "it took the place of an earlier standard input; --name keeps both"
            self.report.notes.append(Note(due.source, said))
        document, chunks = in_folders(document, chunks, due.folders)
        self._found(document, chunks)
        self.pending.append(_Pending(document, chunks, due))

    def _found(self, document: DocumentRecord, chunks: Sequence[ChunkRecord]) -> None:
        for text in document.notes:
            self.report.notes.append(Note(document.source, text))
        self.found += len(chunks)

    def _is_current(self, path: SourcePath, known: DocumentRecord | None, digest: str) -> bool:
        """Return whether the index has these bytes, if under another name under this one now."""
        same = is_current(known, digest, self.options) if known else self._rename(digest)
        if not same:
            return False
        if known is not None:
            self._place(known)
        self._move(path)
        self.report.unchanged += known is not None
        if known is None:
            self.report.renamed += 1
            self.report.written[self.source] = False
        return True

    def _rename(self, digest: str) -> bool:
        """Give a document whose file has moved its new name; its vectors stay as they are."""
        if not self.writing:
            return False
        with self.store.read() as snapshot:
            sources = snapshot.sources_of_hash(digest)
        for source in sources:
            # The format may follow from the suffix.
            if Path(source).suffix == Path(self.source).suffix and is_gone(source):
                with self.store.write() as transaction:
                    old = transaction.document(source)
                    if old is None or not is_current(old, digest, self.options):
                        continue
                    beside = Path(source).parent == Path(self.source).parent
                    folders = self._folders(old if beside else None)
                    transaction.rename_document(source, self.source, folders)
                return True
        return False

    def _place(self, known: DocumentRecord) -> None:
        """Have a document be found by the names of its folders, if it was not."""
        folders = self._folders(known)
        if folders != known.folders:
            with self.store.write() as transaction:
                transaction.rename_document(known.source, known.source, folders)
            self.report.placed += 1
            self._merge(known.chunks)

    def _folders(self, known: DocumentRecord | None) -> tuple[str, ...]:
        """Return the folders that the source at hand is to be searched by.

        Args:
            known: What the index has of a document in the same folder, if anything.
        """
        return farther(self.roots.folders_of(self.source), known.folders if known else ())

    def _known(self) -> DocumentRecord | None:
        if not self.writing:
            return None
        with self.store.read() as snapshot:
            return snapshot.document(self.source)

    def fail(self, source: str, reason: str) -> None:
        """Report a document that can't be indexed."""
        self.report.failed.append(Failure(source, reason))

    def _embedded(self, count: int) -> None:
        self.report.chunks += count
        self._note_progress()

    def note_searchable(self, seconds: float) -> None:
        """Note that all documents are written, where that was before they are embedded."""
        written = self.report.added + self.report.updated
        if written and self._words_first:
            self.searchable, self.report.searchable_seconds = written, seconds
            self._note_progress()

    def _note_progress(self, within: str = "") -> None:
        if self.progress is not None:
            at = (self.looked_at, self.total, self.report.chunks, self.found, self.searchable)
            self.progress(IndexProgress(self.source, *at, within))
