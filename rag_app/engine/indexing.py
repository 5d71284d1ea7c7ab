"""What is done to an index: it is described, filled, embedded again, copied, and emptied.

Functions of what `RagApp` holds, its resources and the settings in force; what else they take, and
what they raise, is said there.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_app.engine.resources import Resources, open_store
from rag_app.errors import SettingsError
from rag_app.settings import EngineKind, Settings, load_settings

if TYPE_CHECKING:
    from langchain_core.vectorstores import VectorStore

    from rag_app.index.indexing.copying import CopyReport
    from rag_app.index.indexing.preview import IndexPreview
    from rag_app.index.indexing.report import IndexOptions, IndexReport, ProgressCallback
    from rag_app.index.store.interface import DocumentSnapshot, DocumentStore

_NO_REEMBED = (
    "an index in Milvus can't be embedded again in its place; copy it to a local one, embed that "
    "again, and copy it back (rag_app/README.md has the commands)"
)


def status(resources: Resources, settings: Settings) -> dict[str, str | int]:
    """Return what there is to work with: the index, its size and models."""
    from model_prep.catalog.pull import models_folder

    store = resources.store
    found: dict[str, str | int] = {"index": store.place}
    if store.exists():
        found |= _described(store)
    else:
        found["documents"] = "none yet; run: rag-app index PATH"
    return {**found, "llm": settings.llm, "models": str(models_folder())}


def _described(store: "DocumentStore") -> dict[str, str | int]:
    from rag_app.index.search.background import merge_lock

    with store.read() as snapshot:
        meta = snapshot.meta()
        found: dict[str, str | int] = {
            "documents": snapshot.count_documents(),
            "passages": snapshot.count_chunks(),
            "embedding": meta.embedding,
            "chunk_size": meta.chunk_size,
            "chunk_overlap": meta.chunk_overlap,
        }
        if (size := store.size()) is not None:
            found["bytes"] = size
        if merger := merge_lock(store.folder).holder():
            found["merging"] = f"vectors, in the background, by {merger}"
        if staging := snapshot.staging():
            found["reembedding"] = (
                f"{staging.done:,} of {snapshot.count_chunks():,} passages, with "
                f"{staging.embedding}; to go on, run: rag-app reembed"
            )
        if waiting := _waiting(snapshot):
            found["waiting"] = waiting
        if old := snapshot.count_outdated():
            found["outdated"] = (
                f"{old} documents, read by an earlier version; run: rag-app index PATH"
            )
    return found


def _waiting(snapshot: "DocumentSnapshot") -> str:
    """Return what is said of documents that have no vectors yet, nothing where all have."""
    documents, passages = snapshot.count_waiting()
    if not documents:
        return ""
    return (
        f"{documents:,} documents with {passages:,} passages, found by their words alone until the "
        "next run of: rag-app index PATH"
    )


def index(
    resources: Resources,
    settings: Settings,
    paths: Sequence[str | Path],
    *,
    progress: "ProgressCallback | None",
    destinations: Mapping[Path, Path] | None,
    engine: EngineKind,
    address: str | None,
    **options: Any,
) -> "IndexReport":
    """Bring an index, or the vector store in its place, up to date; see `RagApp.index`."""
    names, chosen = [str(path) for path in paths], _options(resources, settings, **options)
    more: dict[str, Any] = {"progress": progress, "destinations": destinations}
    if (vector_store := resources.given.vector_store) is not None:
        from rag_app.index.indexing.vector_store import fill_vector_store

        if engine != "local":
            raise SettingsError("a vector store embeds by itself; leave out the engine")
        return fill_vector_store(names, vector_store, options=chosen, **more)
    from rag_app.index.indexing.indexer import index_paths

    if engine == "ray":
        from rag_app.index.indexing.ray_engine import RayEngine

        load = resources.embeddings_loader(resources.embedding_spec, threads=1)
        more["engine"] = RayEngine(load, address=address, workers=settings.threads)
    return index_paths(
        names, store=resources.store, embedding=resources.embeddings, options=chosen, **more
    )


def preview(
    resources: Resources, settings: Settings, paths: Sequence[str | Path], **options: Any
) -> "IndexPreview":
    """Return what `index` would do; see `RagApp.preview`."""
    from rag_app.index.indexing.preview import preview_paths

    chosen = _options(resources, settings, **options)
    return preview_paths([str(path) for path in paths], store=resources.store, options=chosen)


def _options(
    resources: Resources, settings: Settings, *, loader: Any, exclude: Sequence[str], **options: Any
) -> "IndexOptions":
    from rag_app.index.indexing.report import IndexOptions

    return IndexOptions(
        chunk_size=settings.chunk_size,
        chunk_overlap=settings.chunk_overlap,
        splitter=resources.given.splitter,
        max_bytes=settings.max_file_bytes,
        max_passages=settings.max_passages,
        ocr=settings.ocr,
        loader=loader or resources.given.loader,
        exclude=tuple(exclude),
        **options,
    )


def reembed(
    resources: Resources, progress: Callable[[int, int], None] | None, *, again: bool
) -> int:
    """Embed every passage of an index again; see `RagApp.reembed`."""
    from rag_app.index.indexing.reembed import reembed as embed_again
    from rag_app.index.store.store import IndexStore

    store = resources.store
    if not isinstance(store, IndexStore):
        raise SettingsError(_NO_REEMBED)
    with store.read() as snapshot:
        staging, meta = snapshot.staging(), snapshot.meta()
    embeddings = resources.next_embeddings(staging)
    if not (again or staging) and embeddings.fingerprint == meta.fingerprint:
        return 0
    return embed_again(store, embeddings, progress)


def copy(
    resources: Resources,
    settings: Settings,
    to: str,
    progress: Callable[[int, int], None] | None,
) -> "CopyReport":
    """Copy an index into another store; see `RagApp.copy`."""
    from rag_app.index.indexing.copying import copy_index

    there = load_settings(**{**settings.model_dump(exclude_unset=True), "store": to})
    if to == settings.store:
        msg = f"the index lies in the store {to} already; name another with --to"
        raise SettingsError(msg)
    resources.store.check_exists()
    with closing(open_store(there)) as target:
        return copy_index(resources.store, target, progress)


def remove(resources: Resources, sources: Sequence[str]) -> list[str]:
    """Take documents out of an index, or of the vector store in its place; see `RagApp.remove`."""
    if (vector_store := resources.given.vector_store) is not None:
        return _remove_from(vector_store, sources)
    from rag_app.index.indexing.prune import remove_documents

    return remove_documents(sources, resources.store)


def _remove_from(vector_store: "VectorStore", sources: Sequence[str]) -> list[str]:
    from rag_app.index.indexing.prune import not_indexed
    from rag_app.index.indexing.vector_store import remove_from_vector_store

    chosen = [source if source == "-" else str(Path(source).resolve()) for source in sources]
    for name, source in zip(sources, chosen, strict=True):
        if not remove_from_vector_store(source, vector_store):
            raise not_indexed(name)
    return chosen
