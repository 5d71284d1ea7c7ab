"""The documents of an application: described, indexed, embedded again, copied, and removed."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_app.engine.parts import Parts
from rag_app.engine.resources import open_store
from rag_app.errors import SettingsError
from rag_app.settings import EngineKind, load_settings

if TYPE_CHECKING:
    from langchain_core.document_loaders import BaseLoader
    from langchain_core.vectorstores import VectorStore

    from rag_app.index.indexing.copying import CopyReport
    from rag_app.index.indexing.preview import IndexPreview
    from rag_app.index.indexing.report import IndexOptions, IndexReport, ProgressCallback
    from rag_app.index.store.interface import DocumentSnapshot, DocumentStore
    from rag_app.index.store.records import DocumentRecord

_NO_REEMBED = (
    "an index in Milvus can't be embedded again in its place; copy it to a local one, embed that "
    "again, and copy it back (rag_app/index/README.md has the commands)"
)


class Library(Parts):
    """What `RagApp` does with documents, before they are asked or summarized."""

    def status(self) -> dict[str, str | int]:
        """Return what there is to work with: the index, its size and models."""
        from model_prep.catalog.pull import models_folder

        store = self.store
        found: dict[str, str | int] = {"index": store.place}
        if store.exists():
            found |= _described(store)
        else:
            found["documents"] = 0
        return {**found, "llm": self.settings.llm, "models": str(models_folder())}

    def index(
        self,
        paths: Sequence[str | Path],
        *,
        encoding: str | None = None,
        loader: "str | Callable[[str], BaseLoader] | None" = None,
        prune: bool = False,
        exclude: Sequence[str] = (),
        stdin_name: str | None = None,
        progress: "ProgressCallback | None" = None,
        destinations: Mapping[Path, Path] | None = None,
        engine: EngineKind = "local",
        address: str | None = None,
        words_first: bool = True,
        roots: Sequence[str | Path] = (),
    ) -> "IndexReport":
        """Bring the index up to date with files, folders, globs and URLs.

        Args:
            paths: Files, folders, globs, URLs that fsspec reads, or ``-`` for stdin.
            encoding: The encoding of text files; detected by default.
            loader: A LangChain loader class in place of our own, or the name of one: of
                langchain-community's, or any as ``package.module:Class``.
            prune: Drop documents under ``paths`` whose files are gone.
            exclude: Globs of files and folders to leave out; see `search_sources`.
            stdin_name: What standard input is called; by default ``-``.
            progress: Called as the work goes on.
            destinations: For files that are indexed under another path, to which each is moved as
                soon as the index holds it.
            engine: What reads and embeds: this process, or the workers of Ray.
            address: A Ray cluster's; by default one is started on this machine for the call.
            words_first: Write documents before they are embedded; see `IndexOptions`.
            roots: Folders below which the names of folders are searched too; by default those
                that ``paths`` name.

        Raises:
            DocumentError: a path doesn't exist or holds no document.
            IndexStoreError: the index can't be written.
            ClusterError: Ray is missing, can't be reached, or failed.
            SettingsError: documents of a vector store are to be pruned, which it does not list, or
                to be embedded by Ray.
            EmbeddingMismatchError: it was made with another embedding model.
        """
        names = [str(path) for path in paths]
        options = self._index_options(
            encoding=encoding,
            loader=loader,
            prune=prune,
            exclude=exclude,
            stdin_name=stdin_name,
            words_first=words_first,
            roots=tuple(map(str, roots)),
        )
        more: dict[str, Any] = {"progress": progress, "destinations": destinations}
        if (vector_store := self.resources.given.vector_store) is not None:
            from rag_app.index.indexing.vector_store import fill_vector_store

            if engine != "local":
                raise SettingsError("a vector store embeds by itself; leave out the engine")
            return fill_vector_store(names, vector_store, options=options, **more)
        from rag_app.index.indexing.indexer import index_paths

        if engine == "ray":
            from rag_app.index.indexing.ray_engine import RayEngine

            load = self.resources.embeddings_loader(self.resources.embedding_spec, threads=1)
            more["engine"] = RayEngine(load, address=address, workers=self.settings.threads)
        embedding = self.resources.embeddings
        return index_paths(names, store=self.store, embedding=embedding, options=options, **more)

    def preview(
        self,
        paths: Sequence[str | Path],
        *,
        encoding: str | None = None,
        loader: "str | Callable[[str], BaseLoader] | None" = None,
        exclude: Sequence[str] = (),
    ) -> "IndexPreview":
        """Return what `index` would do, by the files' names and bytes; nothing is changed.

        Raises:
            DocumentError: a path doesn't exist or holds no document.
            IndexStoreError: the index can't be read.
        """
        from rag_app.index.indexing.preview import preview_paths

        options = self._index_options(encoding=encoding, loader=loader, exclude=exclude)
        return preview_paths([str(path) for path in paths], store=self.store, options=options)

    def reembed(
        self, progress: Callable[[int, int], None] | None = None, *, again: bool = True
    ) -> int:
        """Embed every passage again; return how many were.

        The model is the one given or that of the settings, else that of a run that was
        interrupted, else the index's own. The index can be asked and changed meanwhile.

        Args:
            progress: Called with the passages done and their number.
            again: Embed them also where their vectors are the model's already.

        Raises:
            IndexStoreError: there is no index, or it can't be written.
            ModelError: the embedding model is missing or damaged.
            SettingsError: it is in Milvus.
        """
        from rag_app.index.indexing.reembed import reembed
        from rag_app.index.store.store import IndexStore

        store = self.store
        if not isinstance(store, IndexStore):
            raise SettingsError(_NO_REEMBED)
        with store.read() as snapshot:
            staging, meta = snapshot.staging(), snapshot.meta()
        embeddings = self.resources.next_embeddings(staging)
        if not (again or staging) and embeddings.fingerprint == meta.fingerprint:
            return 0
        return reembed(store, embeddings, progress)

    def copy(self, to: str, progress: Callable[[int, int], None] | None = None) -> "CopyReport":
        """Copy the index into another store, under its name, without embedding again.

        Args:
            to: The store, as in the settings; an index there is brought to what this one holds.
            progress: Called with the documents done and their number.

        Raises:
            IndexStoreError: there is no index, one of another model at ``to``, or one of them can't
                be used.
            SettingsError: ``to`` is not a store, or is the index's own.
        """
        from rag_app.index.indexing.copying import copy_index

        given = self.settings.model_dump(exclude_unset=True)
        try:
            there = load_settings(**{**given, "store": to})
        except SettingsError as error:
            raise SettingsError(str(error).replace("store", "to", 1), flag="to") from error
        if to == self.settings.store:
            raise SettingsError(f"the index is in the store {to} already; name another with --to")
        self.store.check_exists()
        with closing(open_store(there)) as target:
            return copy_index(self.store, target, progress)

    def documents(self) -> "list[DocumentRecord]":
        """Return what is indexed, by source.

        Raises:
            IndexStoreError: there is no index, or it can't be read.
        """
        with self.store.read() as snapshot:
            return list(snapshot.documents())

    def text_of(self, source: str) -> str:
        """Return the text of an indexed document, to which the offsets of its passages refer.

        Raises:
            DocumentError: it isn't indexed.
            IndexStoreError: there is no index, or it can't be read.
        """
        from rag_app.index.indexing.prune import not_indexed
        from rag_app.index.store.records import joined

        with self.store.read() as snapshot:
            if snapshot.document(source) is None:
                raise not_indexed(source)
            return joined(snapshot.chunks_of(source))

    def remove(self, sources: Sequence[str]) -> list[str]:
        """Take documents out of the index and return their sources; their files are left alone.

        Args:
            sources: As `documents` lists them, or files, folders and globs that hold those.

        Raises:
            DocumentError: one of them isn't indexed; then none is removed, or of a vector store
                those before it.
        """
        if (vector_store := self.resources.given.vector_store) is not None:
            return _remove_from(vector_store, sources)
        from rag_app.index.indexing.prune import remove_documents

        return remove_documents(sources, self.store)

    def _index_options(
        self,
        *,
        loader: "str | Callable[[str], BaseLoader] | None",
        exclude: Sequence[str],
        **options: Any,
    ) -> "IndexOptions":
        from rag_app.index.indexing.report import IndexOptions

        settings, given = self.settings, self.resources.given
        return IndexOptions(
            chunk_size=settings.chunk_size,
            chunk_overlap=settings.chunk_overlap,
            splitter=given.splitter,
            max_bytes=settings.max_file_bytes,
            max_passages=settings.max_passages,
            ocr=settings.ocr,
            loader=loader or given.loader,
            exclude=tuple(exclude),
            **options,
        )


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


def _remove_from(vector_store: "VectorStore", sources: Sequence[str]) -> list[str]:
    from rag_app.index.indexing.prune import not_indexed
    from rag_app.index.indexing.vector_store import remove_from_vector_store

    chosen = [source if source == "-" else str(Path(source).resolve()) for source in sources]
    for name, source in zip(sources, chosen, strict=True):
        if not remove_from_vector_store(source, vector_store):
            raise not_indexed(name)
    return chosen
