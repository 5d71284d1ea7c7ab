"""Indexing: bringing an index up to date with files."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from langchain_core.embeddings import Embeddings

from rag_app.index.indexing.placement import Roots
from rag_app.index.indexing.prune import gone_sources, present_sources
from rag_app.index.indexing.report import Failure, IndexOptions, IndexReport, ProgressCallback
from rag_app.index.indexing.run import IndexEngine, IndexRun
from rag_app.index.search.faiss_cache import dense_index
from rag_app.index.store.interface import DocumentStore
from rag_app.models.embeddings.base import adapt


def index_paths(
    paths: Sequence[str],
    *,
    store: DocumentStore,
    embedding: Embeddings,
    options: IndexOptions | None = None,
    progress: ProgressCallback | None = None,
    destinations: Mapping[Path, Path] | None = None,
    engine: "IndexEngine | None" = None,
) -> IndexReport:
    """Bring the index up to date with files, folders, globs, URLs, or ``-`` (standard input).

    Unchanged files are skipped without being read as documents. Every document is written in one
    transaction, so a run that ends early (Ctrl-C, a crash, a full disk) leaves whole documents,
    and the same call goes on from there, also inside a large one (`UnfinishedVectors`) and
    between the pages of a scan (`UnfinishedPictures`). A document that can't be read is reported,
    and the others go on.

    In an index on this machine documents are written, and found by their words, before any is
    embedded; those that an earlier run left without vectors are embedded too.

    Args:
        paths: What to index.
        store: The index; made if it isn't there.
        embedding: The embeddings; must be those that the index was made with.
        options: Reading, chunking, pruning.
        progress: Called with how far the run is.
        destinations: For files that are indexed under another path, to which each is moved as soon
            as the index holds it; one that can't be read stays where it is.
        engine: What reads and embeds in place of this process, which writes alone.

    Raises:
        DocumentError: there is nothing at one of the paths.
        EmbeddingMismatchError: the index was made with another model.
        IndexStoreError: it can't be written; what is in it is complete.
    """
    started = time.perf_counter()
    options = options or IndexOptions()
    found = present_sources(paths, store, prune=options.prune, exclude=options.exclude)
    sources = found.everything
    with ExitStack() as stack:
        moves = destinations or {}
        roots = Roots(options.roots) if options.roots else Roots.of(paths)
        count = len(sources)
        run = IndexRun(store, adapt(embedding), options, progress, moves, roots, count, stack)
        run.report.skipped = found.skipped
        for folder, reason in found.unreadable.items():
            run.report.failed.append(Failure(str(folder), reason))
        if store.exists():
            run.open()
        if engine is None:
            for path in sources:
                run.take(path)
        else:
            engine.read(run, sources)
        run.flush()
        if options.prune and store.exists():
            run.remove(gone_sources(paths, sources, store))
        report = run.report
        run.note_searchable(time.perf_counter() - started)
        embedded = run.embed_waiting()
        rewritten = report.added or report.updated or report.renamed or report.placed
        if embedded or rewritten or report.removed:
            dense_index(store).refresh()
    run.report.seconds = time.perf_counter() - started
    return run.report
