"""The façade: what there is to do, each with one call."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING

from rag_app.engine.resources import Parts
from rag_app.settings import RetrieverKind

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from langchain_core.messages import BaseMessage

    from rag_app.chains.answer import Answer
    from rag_app.chains.summarize import Summary
    from rag_app.index.indexing.report import IndexReport, ProgressCallback
    from rag_app.index.store.records import DocumentRecord


class RagApp(Parts):
    """Index documents, ask them, summarize them.

    Models are loaded when first needed and kept. Safe to use from several threads.

    Args:
        settings: All options; by default those of the environment and ``rag-app.toml``.
        llm: Any LangChain chat model, or one by its name as in the settings.
        embeddings: Any LangChain embeddings, in place of those the settings name.
        **flags: Single options by their names in `Settings`, over all other sources.

    Raises:
        SettingsError: an option is wrong, or there are both ``settings`` and single options.
    """

    # Index

    def index(
        self,
        paths: Sequence[str | Path],
        *,
        encoding: str | None = None,
        loader: str | None = None,
        prune: bool = False,
        progress: "ProgressCallback | None" = None,
        destinations: Mapping[Path, Path] | None = None,
    ) -> "IndexReport":
        """Bring the index up to date with files, folders and globs.

        Args:
            paths: Files, folders, globs, or ``-`` for stdin.
            encoding: Of text files; detected by default.
            loader: A LangChain loader class in place of our own: one of langchain-community's
                by its name, or any as ``package.module:Class``.
            prune: Drop documents under ``paths`` whose files are gone.
            progress: Called as the work goes on.
            destinations: Of files that are indexed under another path, to which each is moved as
                soon as the index holds it.

        Raises:
            DocumentError: a path doesn't exist or holds no document.
            IndexStoreError: the index can't be written.
            EmbeddingMismatchError: it was made with another embedding model.
        """
        from rag_app.index.indexing.indexer import index_paths
        from rag_app.index.indexing.report import IndexOptions

        options = IndexOptions(
            chunk_size=self.settings.chunk_size,
            chunk_overlap=self.settings.chunk_overlap,
            encoding=encoding,
            loader=loader,
            max_bytes=self.settings.max_file_bytes,
            prune=prune,
        )
        names = [str(path) for path in paths]
        return index_paths(
            names,
            store=self.store,
            embedding=self.embeddings,
            options=options,
            progress=progress,
            destinations=destinations,
        )

    def reembed(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Embed every passage again with the settings' embedding model; return how many.

        Args:
            progress: Called with the passages done and their number.

        Raises:
            IndexStoreError: there is no index, or it can't be written.
        """
        from rag_app.index.indexing.reembed import reembed

        return reembed(self.store, self.embeddings, progress)

    def documents(self) -> "list[DocumentRecord]":
        """Return what is indexed, by source.

        Raises:
            IndexStoreError: there is no index, or it can't be read.
        """
        from rag_app.index.store.contents import documents

        return documents(self.store)

    def text_of(self, source: str) -> str:
        """Return the text of an indexed document, at whose offsets its passages stand.

        Raises:
            DocumentError: it isn't indexed.
            IndexStoreError: there is no index, or it can't be read.
        """
        from rag_app.index.store.contents import text_of

        return text_of(self.store, source)

    def remove(self, sources: Sequence[str]) -> list[str]:
        """Take documents out of the index and return their sources; their files are left alone.

        Args:
            sources: As `documents` lists them, or paths that resolve to those.

        Raises:
            DocumentError: one of them isn't indexed; then none is removed.
        """
        from rag_app.index.store.contents import remove

        return remove(self.store, sources)

    def status(self) -> dict[str, str | int]:
        """Return what there is to work with: the index, its size and models."""
        from model_prep.catalog.pull import models_folder
        from rag_app.index.store.contents import figures

        none: dict[str, str | int] = {"documents": "none yet; run: rag-app index PATH"}
        inside = figures(self.store) if self.store.exists() else none
        models = {"llm": self.settings.llm, "models": str(models_folder())}
        return {"index": str(self.store.folder), **inside, **models}

    # Questions

    def retrieve(
        self, question: str, *, k: int | None = None, retriever: RetrieverKind | None = None
    ) -> "list[Document]":
        """Return the passages nearest to ``question``, best first, with their relevance.

        Args:
            question: What is asked.
            k: How many; by default as the settings say.
            retriever: Which kind; by default as the settings say.

        Raises:
            QuestionError: it is empty or longer than ``max_question_chars``.
            IndexStoreError: there is no index, or it can't be read.
        """
        from rag_app.engine import questions

        return questions.retrieve(self, question, k, retriever)

    def ask(self, question: str) -> "Answer":
        """Return the answer to ``question`` from the indexed documents.

        Raises:
            QuestionError, IndexStoreError, ModelError: as `retrieve` and `llm`.
        """
        from rag_app.chains.answer import Answer

        return reduce(add, self.stream(question), Answer())

    def stream(self, question: str) -> "Iterator[Answer]":
        """Yield the answer in pieces, as it is generated; they add up to the whole."""
        from rag_app.engine import questions

        return questions.stream(self, question)

    async def aask(self, question: str, history: "Sequence[BaseMessage]" = ()) -> "Answer":
        """`ask` without blocking the event loop."""
        from rag_app.chains.answer import Answer

        whole = Answer()
        async for piece in self.astream(question, history):
            whole = whole + piece
        return whole

    def astream(
        self, question: str, history: "Sequence[BaseMessage]" = ()
    ) -> "AsyncIterator[Answer]":
        """`stream` without blocking the event loop.

        Args:
            question: What is asked.
            history: Messages before it, oldest first; the model first makes of the question one
                that can be understood without them.
        """
        from rag_app.engine import questions

        return questions.astream(self, question, history)

    # Summaries

    def summarize(
        self, source: "str | Path | Document", *, encoding: str | None = None
    ) -> "Summary":
        """Return the summary of a file, or of a LangChain document.

        Raises:
            DocumentError: the file can't be read.
            ModelError: the model is missing, or its window is too small.
        """
        from rag_app.chains.summarize import Summary

        return reduce(add, self.stream_summary(source, encoding=encoding), Summary())

    def stream_summary(
        self, source: "str | Path | Document", *, encoding: str | None = None
    ) -> "Iterator[Summary]":
        """Yield the summary in pieces; they add up to the whole."""
        from rag_app.engine import summaries

        return summaries.stream(self, source, encoding)

    async def asummarize(
        self, source: "str | Path | Document", *, encoding: str | None = None
    ) -> "Summary":
        """`summarize` without blocking the event loop."""
        from rag_app.chains.summarize import Summary

        whole = Summary()
        async for piece in self.astream_summary(source, encoding=encoding):
            whole = whole + piece
        return whole

    def astream_summary(
        self, source: "str | Path | Document", *, encoding: str | None = None
    ) -> "AsyncIterator[Summary]":
        """`stream_summary` without blocking the event loop."""
        from rag_app.engine import summaries

        return summaries.astream(self, source, encoding)
