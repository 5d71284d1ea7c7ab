"""The one façade over documents, index, models and chains."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from copy import copy
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from rag_app.errors import DocumentError, QuestionError, SettingsError
from rag_app.settings import RetrieverKind, Settings, load_settings

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import Runnable

    from rag_app.chains.answer import Answer, Question
    from rag_app.chains.summarize import Summary
    from rag_app.index.derived import DerivedVectors
    from rag_app.index.embedding import EmbedsDocuments
    from rag_app.index.indexing import IndexReport, ProgressCallback
    from rag_app.index.records import DocumentRecord
    from rag_app.index.store import IndexStore

    Piece = TypeVar("Piece", Answer, Summary)


class RagApp:
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

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        llm: "BaseChatModel | str | None" = None,
        embeddings: "Embeddings | EmbedsDocuments | None" = None,
        **flags: Any,
    ) -> None:
        if isinstance(llm, str):
            flags["llm"], llm = llm, None
        if settings is not None and flags:
            msg = f"give settings, or {', '.join(flags)}, not both"
            raise SettingsError(msg)
        self.settings = settings or load_settings(**flags)
        self.timings: dict[str, float] = {}
        """Seconds that the parts of the last call took."""
        self._given_embeddings = embeddings
        self._llm: Future[BaseChatModel] | None = None
        self._guard = threading.Lock()
        if llm is not None:
            self._llm = Future()
            self._llm.set_result(llm)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index; models go with the object."""
        if "store" in self.__dict__:
            self.store.close()

    # Parts

    @cached_property
    def store(self) -> "IndexStore":
        """The index the settings name, there or not."""
        from rag_app.index.store import IndexStore

        return IndexStore(self.settings.index_folder)

    @cached_property
    def derived(self) -> "DerivedVectors":
        """The vectors of the index in memory, brought up to date at each question."""
        from rag_app.index.derived import DerivedVectors

        return DerivedVectors(self.store)

    @cached_property
    def embeddings(self) -> "EmbedsDocuments":
        """The embedding model: the one given, else the settings', else the index's own.

        Raises:
            ModelError: it is missing or damaged.
        """
        spec = self.settings.embedding
        if "embedding" not in self.settings.model_fields_set and self.store.exists():
            with self.store.read() as snapshot:
                spec = snapshot.meta().embedding
        return self.load_embeddings(spec)

    def load_embeddings(self, spec: str) -> "EmbedsDocuments":
        """Return the embedding model that was given, whatever ``spec`` says, else that of it.

        Raises:
            ModelError: it is missing or damaged.
        """
        from rag_app.index.embedding import adapt
        from rag_app.models.embeddings import load_embeddings

        if self._given_embeddings is not None:
            return adapt(self._given_embeddings)
        return load_embeddings(
            spec,
            batch_size=self.settings.embedding_batch,
            api_key=self.settings.llm_api_key or self.settings.api_key,
        )

    @property
    def llm(self) -> "BaseChatModel":
        """The language model, waited for if it is being loaded.

        Raises:
            ModelError: it is missing, damaged or doesn't fit the memory.
        """
        self.preload()
        assert self._llm is not None  # noqa: S101 - preload() began it
        return self._llm.result()

    def using(self, *, callbacks: "Sequence[BaseCallbackHandler]" = (), **changes: Any) -> "RagApp":
        """Return a view of this application with other options, for one call.

        Index and models are shared, so only options of retrieval, sampling and chains have an
        effect.

        Args:
            callbacks: LangChain's, told of every call to the language model.
            **changes: Options by their names in `Settings`.

        Raises:
            SettingsError: an option is wrong.
        """
        _ = self.store, self.derived, self.embeddings  # made here, so that the copies share them
        view = copy(self)
        given = self.settings.model_dump(exclude_unset=True)
        view.settings = load_settings(**{**given, **changes})
        view.timings = {}
        if changes or callbacks:
            names = {"max_new_tokens": "max_tokens"}
            fields = {names.get(name, name): value for name, value in changes.items()}
            known = type(self.llm).model_fields
            update = {name: value for name, value in fields.items() if name in known}
            view._llm = Future()
            view._llm.set_result(
                self.llm.model_copy(update={**update, "callbacks": list(callbacks) or None})
            )
        return view

    def over(self, index: Path, embeddings: "EmbedsDocuments | None" = None) -> "RagApp":
        """Return an application over another index, with the same settings and language model.

        Args:
            index: Its folder.
            embeddings: The model of that index, if it is loaded already.
        """
        settings = self.settings.model_copy(update={"index": str(index.absolute())})
        other = RagApp(settings=settings, embeddings=embeddings or self._given_embeddings)
        other._llm = self._llm
        return other

    @property
    def llm_error(self) -> BaseException | None:
        """Why the language model could not be loaded, if so."""
        done = self._llm is not None and self._llm.done()
        return self._llm.exception() if self._llm is not None and done else None

    @property
    def ready(self) -> bool:
        """Whether the language model is loaded."""
        return self._llm is not None and self._llm.done() and self._llm.exception() is None

    def preload(self) -> None:
        """Begin to load the language model in the background."""
        with self._guard:
            if self._llm is not None and not (self._llm.done() and self._llm.exception()):
                return
            self._llm = Future()
        threading.Thread(target=self._load_llm, args=[self._llm], name="load-llm").start()

    def _load_llm(self, loaded: "Future[BaseChatModel]") -> None:
        from rag_app.models.llms.registry import load_llm

        try:
            with self._timed("language model"):
                loaded.set_result(load_llm(self.settings))
        except BaseException as error:
            loaded.set_exception(error)

    # Index

    def index(
        self,
        paths: Sequence[str | Path],
        *,
        encoding: str | None = None,
        loader: str | None = None,
        prune: bool = False,
        progress: "ProgressCallback | None" = None,
    ) -> "IndexReport":
        """Bring the index up to date with files, folders and globs.

        Args:
            paths: Files, folders, globs, or ``-`` for stdin.
            encoding: Of text files; detected by default.
            loader: A LangChain loader class in place of our own: one of langchain-community's
                by its name, or any as ``package.module:Class``.
            prune: Drop documents under ``paths`` whose files are gone.
            progress: Called as the work goes on.

        Raises:
            DocumentError: a path doesn't exist or holds no document.
            IndexStoreError: the index can't be written.
            EmbeddingMismatchError: it was made with another embedding model.
        """
        from rag_app.index.indexer import index_paths
        from rag_app.index.indexing import IndexOptions

        options = IndexOptions(
            chunk_size=self.settings.chunk_size,
            chunk_overlap=self.settings.chunk_overlap,
            encoding=encoding,
            loader=loader,
            max_bytes=self.settings.max_file_bytes,
            prune=prune,
        )
        return index_paths(
            [str(path) for path in paths],
            store=self.store,
            embedding=self.embeddings,
            options=options,
            progress=progress,
        )

    def reembed(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Embed every passage again with the settings' embedding model; return how many.

        Args:
            progress: Called with the passages done and their number.

        Raises:
            IndexStoreError: there is no index, or it can't be written.
        """
        from rag_app.index.reembed import reembed

        return reembed(self.store, self.embeddings, progress)

    def documents(self) -> "list[DocumentRecord]":
        """Return what is indexed, by source.

        Raises:
            IndexStoreError: there is no index, or it can't be read.
        """
        with self.store.read() as snapshot:
            return list(snapshot.documents())

    def text_of(self, source: str) -> str:
        """Return the text of an indexed document, at whose offsets its passages stand.

        Raises:
            DocumentError: it isn't indexed.
            IndexStoreError: there is no index, or it can't be read.
        """
        from rag_app.index.joining import joined

        with self.store.read() as snapshot:
            if snapshot.document(source) is None:
                msg = f"{source} is not in the index; `rag-app docs` lists what is"
                raise DocumentError(msg)
            return joined(snapshot.chunks_of(source))

    def remove(self, sources: Sequence[str]) -> list[str]:
        """Take documents out of the index and return their sources; their files are left alone.

        Args:
            sources: As `documents` lists them, or paths that resolve to those.

        Raises:
            DocumentError: one of them isn't indexed; then none is removed.
        """
        indexed = {document.source for document in self.documents()}
        chosen = [one if one in indexed else str(Path(one).resolve()) for one in sources]
        for given, source in zip(sources, chosen, strict=True):
            if source not in indexed:
                msg = f"{given} is not in the index; `rag-app docs` lists what is"
                raise DocumentError(msg)
        with self.store.write() as transaction:
            for source in chosen:
                transaction.delete_document(source)
        return chosen

    def status(self) -> dict[str, str | int]:
        """Return what there is to work with: the index, its size and models."""
        from model_prep.pull import models_folder

        values: dict[str, str | int] = {"index": str(self.store.folder)}
        if self.store.exists():
            with self.store.read() as snapshot:
                meta = snapshot.meta()
                values |= {
                    "documents": snapshot.count_documents(),
                    "passages": snapshot.count_chunks(),
                    "embedding": meta.embedding,
                    "chunk_size": meta.chunk_size,
                    "chunk_overlap": meta.chunk_overlap,
                    "bytes": sum(one.stat().st_size for one in self.store.folder.iterdir()),
                }
        else:
            values["documents"] = "none yet; run: rag-app index PATH"
        return {**values, "llm": self.settings.llm, "models": str(models_folder())}

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
        from rag_app.index.connection import missing_index
        from rag_app.index.retriever import HybridRetriever

        self._check(question)
        if not self.store.exists():
            raise missing_index(self.store.path)
        with self._timed("embedding model"):
            self.store.check_embedding(self.embeddings)
        with self._timed("retrieval"):
            searching = HybridRetriever(
                store=self.store,
                embedding=self.embeddings,
                kind=retriever or self.settings.retriever,
                k=k or self.settings.k,
                derived=self.derived,
            )
            return searching.invoke(question)

    def ask(self, question: str) -> "Answer":
        """Return the answer to ``question`` from the indexed documents.

        Raises:
            QuestionError, IndexStoreError, ModelError: as `retrieve` and `llm`.
        """
        from rag_app.chains.answer import Answer

        return reduce(add, self.stream(question), Answer())

    def stream(self, question: str) -> "Iterator[Answer]":
        """Yield the answer in pieces, as it is generated; they add up to the whole."""
        with self._clock():
            asked, nearest = self._relevant(question)
            if not asked.passages:
                yield self._not_found(question, nearest)
                return
            yield from self._watched(self._answer_chain().stream(asked))

    async def aask(self, question: str, history: "Sequence[BaseMessage]" = ()) -> "Answer":
        """`ask` without blocking the event loop."""
        from rag_app.chains.answer import Answer

        whole = Answer()
        async for piece in self.astream(question, history):
            whole = whole + piece
        return whole

    async def astream(
        self, question: str, history: "Sequence[BaseMessage]" = ()
    ) -> "AsyncIterator[Answer]":
        """`stream` without blocking the event loop.

        Args:
            question: What is asked.
            history: Messages before it, oldest first; the model first makes of the question one
                that can be understood without them.
        """
        from rag_app.chains.standalone import Conversation, standalone_chain

        with self._clock():
            self._check(question)
            if history:
                llm = await asyncio.to_thread(lambda: self.llm)
                with self._timed("standalone question"):
                    asked_alone = standalone_chain(llm)
                    question = await asked_alone.ainvoke(Conversation(question, history))
            asked, nearest = await asyncio.to_thread(self._relevant, question)
            if not asked.passages:
                yield self._not_found(question, nearest)
                return
            chain = await asyncio.to_thread(self._answer_chain)
            async for piece in chain.astream(asked):
                yield piece

    def _check(self, question: str) -> None:
        limit = self.settings.max_question_chars
        if not question.strip():
            raise QuestionError("the question is empty; ask something")
        if len(question) > limit:
            msg = (
                f"the question has {len(question):,} characters, more than {limit:,}; shorten it, "
                "or index the text as a document and ask about it"
            )
            raise QuestionError(msg)

    def _relevant(self, question: str) -> "tuple[Question, list[Document]]":
        """Return the question with its relevant passages, and all passages that were retrieved.

        The operating system reads the model file meanwhile. The model itself is loaded after, and
        only where something relevant was found: llama.cpp's binding lets no other Python code run
        while it loads, so a second thread would make the question wait for it.
        """
        from rag_app.chains.answer import Question
        from rag_app.models.llms.registry import read_ahead

        if self._llm is None and self.store.exists():
            read_ahead(self.settings.llm)
        passages = self.retrieve(question)
        threshold = self.settings.threshold
        relevant = [one for one in passages if one.metadata["relevance"] >= threshold]
        return Question(question, relevant), passages

    def _not_found(self, question: str, nearest: "list[Document]") -> "Answer":
        from rag_app.chains.answer import not_found

        return not_found(question, nearest)

    def _answer_chain(self) -> "Runnable[Question, Answer]":
        from rag_app.chains.answer import answer_chain

        return answer_chain(
            self.llm,
            self.settings.answer_chain,
            reply=self.settings.max_new_tokens,
            step_tokens=self.settings.answer_step_tokens,
        )

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
        with self._clock():
            text = self._text(source, encoding)
            yield from self._watched(self._summary_chain().stream(text))

    async def asummarize(
        self, source: "str | Path | Document", *, encoding: str | None = None
    ) -> "Summary":
        """`summarize` without blocking the event loop."""
        from rag_app.chains.summarize import Summary

        whole = Summary()
        async for piece in self.astream_summary(source, encoding=encoding):
            whole = whole + piece
        return whole

    async def astream_summary(
        self, source: "str | Path | Document", *, encoding: str | None = None
    ) -> "AsyncIterator[Summary]":
        """`stream_summary` without blocking the event loop."""
        with self._clock():
            text = await asyncio.to_thread(self._text, source, encoding)
            chain = await asyncio.to_thread(self._summary_chain)
            async for piece in chain.astream(text):
                yield piece

    def _text(self, source: "str | Path | Document", encoding: str | None) -> str:
        from rag_app.documents.loaders import FileLoader

        if not isinstance(source, str | Path):
            return source.page_content
        with self._timed("reading the document"):
            loader = FileLoader(source, encoding=encoding, max_bytes=self.settings.max_file_bytes)
            (document,) = loader.load()
        return document.page_content

    def _summary_chain(self) -> "Runnable[str, Summary]":
        from rag_app.chains.summarize import summarize_chain

        return summarize_chain(
            self.llm,
            self.settings.summary_chain,
            length=self.settings.summary_length,
            reply=self.settings.max_new_tokens,
            step_tokens=self.settings.summary_step_tokens,
        )

    # Timing

    @contextmanager
    def _clock(self) -> "Iterator[None]":
        """Begin a new breakdown of `timings`."""
        self.timings.clear()
        with self._timed("total"):
            yield

    @contextmanager
    def _timed(self, part: str) -> "Iterator[None]":
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[part] = time.perf_counter() - start

    def _watched(self, pieces: "Iterator[Piece]") -> "Iterator[Piece]":
        """Pass pieces on and note when the first text came and how long the rest took."""
        start = time.perf_counter()
        first: float | None = None
        try:
            for piece in pieces:
                if first is None and piece.text:
                    first = time.perf_counter()
                    self.timings["first token"] = first - start
                yield piece
        finally:
            if first is not None:
                self.timings["further text"] = time.perf_counter() - first
