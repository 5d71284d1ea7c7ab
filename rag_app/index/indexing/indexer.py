"""Indexing: files are loaded, split, embedded and written."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from model_prep.output import sync
from rag_app.documents.langchain_loaders import load_whole, loader_name
from rag_app.documents.loaders import FileLoader
from rag_app.documents.splitters import ChineseTextSplitter, split_with_offsets
from rag_app.errors import DocumentError
from rag_app.index.indexing.prune import gone_sources, present_sources
from rag_app.index.indexing.report import (
    Failure,
    IndexOptions,
    IndexProgress,
    IndexReport,
    ProgressCallback,
)
from rag_app.index.search.faiss_cache import FaissCache
from rag_app.index.store.lock import unwritable
from rag_app.index.store.records import ChunkRecord, DocumentRecord, IndexMeta
from rag_app.index.store.store import IndexStore
from rag_app.models.embeddings.base import DocumentEmbeddings, adapt, embed_by_length

_WINDOW = 256
"""Chunks embedded together: enough to sort by length, little to lose when killed."""
_FORMAT = 2
"""To be raised when loaders or splitters change what they make of the same file, or what is
embedded of it changes."""
_OWN_FIELDS = {"source", "start", "end", "page", "heading"}
_DOCUMENT_FIELDS = {"loader", "encoding", "page_starts"}


def index_paths(
    paths: Sequence[str],
    *,
    store: IndexStore,
    embedding: Embeddings,
    options: IndexOptions | None = None,
    progress: ProgressCallback | None = None,
    destinations: Mapping[Path, Path] | None = None,
) -> IndexReport:
    """Bring the index up to date with files, folders, globs, or ``-`` (standard input).

    Unchanged files are skipped without being read as documents. Every document is written in one
    transaction, so a run that ends early (Ctrl-C, a crash, a full disk) leaves whole documents,
    and the same call goes on from there. A document that can't be read is reported, and the
    others go on.

    Args:
        paths: What to index.
        store: The index; made if it isn't there.
        embedding: The embeddings; must be those that the index was made with.
        options: Reading, chunking, pruning.
        progress: Called with how far the run is.
        destinations: Of files that are indexed under another path, to which each is moved as soon
            as the index holds it; one that can't be read stays where it is.

    Raises:
        DocumentError: there is nothing at one of the paths.
        EmbeddingMismatchError: the index was made with another model.
        IndexStoreError: it can't be written; what is in it is whole.
    """
    started = time.perf_counter()
    options = options or IndexOptions()
    sources = present_sources(paths, store, prune=options.prune)
    with ExitStack() as stack:
        moves = destinations or {}
        run = _Run(store, adapt(embedding), options, progress, moves, len(sources), stack)
        if store.exists():
            run.open()
        for path in sources:
            run.take(path)
        run.flush()
        if options.prune and store.exists():
            run.remove(gone_sources(paths, sources, store))
        if run.report.added or run.report.updated or run.report.removed:
            FaissCache(store).refresh()
    run.report.seconds = time.perf_counter() - started
    return run.report


@dataclass(frozen=True)
class _Pending:
    path: Path
    document: DocumentRecord
    chunks: list[ChunkRecord]
    known: bool


@dataclass
class _Run:
    """One call of :func:`index_paths`."""

    store: IndexStore
    embedding: DocumentEmbeddings
    options: IndexOptions
    progress: ProgressCallback | None
    destinations: Mapping[Path, Path]
    total: int
    stack: ExitStack
    report: IndexReport = field(default_factory=IndexReport)
    pending: list[_Pending] = field(default_factory=list)
    looked_at: int = 0
    writing: bool = False
    source: str = ""

    def open(self) -> None:
        """Take the writer's lock for the rest of the run, making the index if need be."""
        model, options = self.embedding, self.options
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

    def take(self, path: Path) -> None:
        """Read a document, if it is new or changed; embed and write when enough have come."""
        target = self.destinations.get(path, path)
        self.source = "-" if str(path) == "-" else str(target.resolve())
        try:
            self.source.encode()  # SQLite keeps UTF-8
            if target != path:
                _check_free(target)
            pending = self._read(path)
        except UnicodeEncodeError:
            self._fail(ascii(str(path)), "its name is not valid text; rename it")
        except DocumentError as error:
            self._fail(self.source, str(error))
        except OSError as error:
            self._fail(self.source, f"can't be read ({error.strerror or error})")
        else:
            if pending is None:
                self._move(path)
                self.report.unchanged += 1
            else:
                self.pending.append(pending)
        self.looked_at += 1
        self._note_progress()
        if sum(len(pending.chunks) for pending in self.pending) >= _WINDOW:
            self.flush()

    def flush(self) -> None:
        """Embed what is pending and write it, each document in a transaction of its own."""
        pending, self.pending = self.pending, []
        if not pending:
            return
        if not self.writing:
            self.open()
        started = time.perf_counter()
        texts = [chunk.searched_text for item in pending for chunk in item.chunks]
        vectors = embed_by_length(self.embedding, texts, self._embedded)
        self.report.embedding_seconds += time.perf_counter() - started
        row = 0
        for item in pending:
            with self.store.write() as transaction:
                rows = vectors[row : row + len(item.chunks)]
                transaction.replace_document(item.document, item.chunks, rows)
            self._move(item.path)
            row += len(item.chunks)
            self.report.added += not item.known
            self.report.updated += item.known

    def remove(self, sources: Sequence[str]) -> None:
        """Drop documents."""
        for source in sources:
            with self.store.write() as transaction:
                self.report.removed += transaction.delete_document(source)

    def _move(self, path: Path) -> None:
        """Move a file that the index holds to where its document says it is."""
        target = self.destinations.get(path, path)
        if target == path:
            return
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
            sync(target.parent)
        except OSError as error:
            raise unwritable(target.parent, error) from error

    def _read(self, path: Path) -> _Pending | None:
        """Return the document of `path`, None if the index has it as it is now."""
        options = self.options
        known = self._known()
        digest = _file_hash(path, options.max_bytes)  # before it is read, lest it changes between
        settings = _settings(options)
        if known and digest and (known.content_hash, known.settings) == (digest, settings):
            return None
        loaded = _load(path, options)
        digest = digest or hashlib.sha256(loaded.page_content.encode()).hexdigest()
        if known and (known.content_hash, known.settings) == (digest, settings):
            return None
        own = ChineseTextSplitter(options.chunk_size, options.chunk_overlap)
        parts = split_with_offsets(options.splitter or own, loaded)
        chunks = [_chunk(part, self.source) for part in parts]
        if not chunks:
            msg = f"{self.source} holds no text"
            raise DocumentError(msg)
        document = DocumentRecord(
            source=self.source,
            content_hash=digest,
            settings=settings,
            loader=loaded.metadata.get("loader"),
            encoding=loaded.metadata.get("encoding"),
            size=path.stat().st_size if str(path) != "-" else len(loaded.page_content.encode()),
            characters=len(loaded.page_content),
        )
        return _Pending(path, document, chunks, known is not None)

    def _known(self) -> DocumentRecord | None:
        if not self.writing:
            return None
        with self.store.read() as snapshot:
            return snapshot.document(self.source)

    def _fail(self, source: str, reason: str) -> None:
        self.report.failed.append(Failure(source, reason))

    def _embedded(self, count: int) -> None:
        self.report.chunks += count
        self._note_progress()

    def _note_progress(self) -> None:
        if self.progress is not None:
            self.progress(
                IndexProgress(self.source, self.looked_at, self.total, self.report.chunks)
            )


def _check_free(target: Path) -> None:
    """Raise DocumentError if a file can't be moved to ``target``."""
    taken = next((folder for folder in target.parents if folder.is_file()), None)
    if target.is_dir() or taken:
        what = f"{taken} is a file" if taken else f"{target} is a folder"
        msg = f"{what} already; choose another name"
        raise DocumentError(msg)


def _load(path: Path, options: IndexOptions) -> Document:
    if options.loader is not None:
        return load_whole(options.loader, path)
    return FileLoader(path, encoding=options.encoding, max_bytes=options.max_bytes).load()[0]


def _settings(options: IndexOptions) -> str:
    names = ("chunk_size", "chunk_overlap", "encoding")
    values = {"format": _FORMAT, **{name: getattr(options, name) for name in names}}
    values["loader"] = options.loader and loader_name(options.loader)
    if options.splitter:
        values["splitter"] = f"{type(options.splitter).__qualname__} {vars(options.splitter)}"
    return json.dumps(values)


def _file_hash(path: Path, max_bytes: int) -> str | None:
    """Return the SHA-256 of a file; None for standard input and files that are refused anyway."""
    if str(path) == "-" or path.stat().st_size > max_bytes:
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _chunk(part: Document, source: str) -> ChunkRecord:
    metadata = part.metadata
    known = _OWN_FIELDS | _DOCUMENT_FIELDS
    return ChunkRecord(
        text=part.page_content,
        start=metadata["start"],
        end=metadata["end"],
        page=metadata.get("page"),
        heading=metadata.get("heading"),
        extra={name: value for name, value in metadata.items() if name not in known},
        source=source,
    )
