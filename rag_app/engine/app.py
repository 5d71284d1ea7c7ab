"""The façade: what there is to do, each with one call."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rag_app.engine.library import Library
from rag_app.errors import QuestionError
from rag_app.settings import RetrieverKind

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import Runnable, RunnableConfig

    from rag_app.chains.overview import WholeDocuments
    from rag_app.chains.questions.conversation import RagInput
    from rag_app.chains.rag import Retriever
    from rag_app.chains.results import Answer, Summary

    Config = RunnableConfig | None
    """LangChain's callbacks, tags and so on."""
    History = Sequence[BaseMessage | tuple[str, str]]
    SummarySource = str | Path | Document


class RagApp(Library):
    """Index documents, ask them, summarize them.

    Models are loaded when first needed and kept. Safe to use from several threads. Every call
    that asks a model or a retriever takes LangChain's ``config``: callbacks, tags and metadata
    reach all that happens below it, as one run.

    Args:
        settings: All options; by default those of the environment and ``rag-app.toml``.
        llm: Any LangChain model, or one by its name as in the settings; see `rag_chain`.
        embeddings: Any LangChain embeddings, in place of those the settings name.
        retriever: Any LangChain retriever, asked in place of the index.
        vector_store: Any LangChain vector store, searched and filled in place of the index. It
            must have ``get_by_ids`` for unchanged files to be skipped and changed or removed ones
            to leave nothing behind. It can't list its documents, which methods of the index do.
        splitter: Any LangChain text splitter, in place of ours.
        loader: What makes a LangChain loader of a path, such as its class, in place of ours; or
            the name of one, see `index`.
        prompts: Texts by name, or a folder of them, in place of ours; see `Prompts`.
        **flags: Single options by their names in `Settings`, over all other sources.

    Raises:
        SettingsError: an option, a prompt or the kind of a part is wrong, or there are both
            ``settings`` and single options.

    Example:
        >>> from langchain_core.documents import Document
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langchain_core.runnables import RunnableLambda
        >>> tea = Document("Green tea is steamed.", metadata={"source": "tea.txt"})
        >>> llm = FakeListChatModel(responses=["Steamed."], custom_get_token_ids=list)
        >>> app = RagApp(llm=llm, retriever=RunnableLambda(lambda question: [tea]))
        >>> app.ask("How is green tea made?").text
        'Steamed.'
    """

    def retrieve(
        self,
        question: str,
        *,
        k: int | None = None,
        retriever: RetrieverKind | None = None,
        within: str | None = None,
        config: "Config" = None,
    ) -> "list[Document]":
        """Return the ``k`` passages nearest to ``question``, best first, with their relevance.

        What is left out is as the settings say; ``within`` is a path, folder or glob of the
        documents that are searched.

        Raises:
            QuestionError: it is empty or longer than ``max_question_chars``, or ``within`` means
                no indexed document.
            IndexStoreError: there is no index, or it can't be read.
        """
        from rag_app.chains.questions import bare_question

        self._check(question)
        view = self.using(k=k, retriever=retriever, within=within)
        return view.retriever.invoke(bare_question(question), config)

    def suggestions(self, count: int, *, config: "Config" = None) -> list[str]:
        """Return up to ``count`` questions to begin with, which the documents answer.

        Raises:
            IndexStoreError: there is no index, or it can't be read.
        """
        from rag_app.engine.topics import suggestions

        def relevance(question: str) -> float:
            found = self.retrieve(question, k=1, config=config)
            return float(found[0].metadata.get("relevance", 1.0)) if found else 0.0

        return suggestions(self.store, relevance, self.settings.threshold, count)

    def chain(self, retriever: "Retriever | None" = None) -> "Runnable[RagInput, Answer]":
        """Return what `ask` runs, to be composed with other Runnables; see `rag_chain`.

        Args:
            retriever: Searches the same documents in place of our own.
        """
        from rag_app.chains.rag import rag_chain

        return rag_chain(
            retriever or self._ready_retriever,
            self._answering_llm,
            kind=self.settings.answer_chain,
            threshold=self.settings.threshold,
            prompts=self.prompts,
            max_new_tokens=self.settings.max_new_tokens,
            step_tokens=self.settings.answer_step_tokens,
            context=self.settings.context,
            embeddings=lambda: self.embeddings if self._asks_the_index else None,
            calibration=self.calibration,
            whole=self._whole_documents if self._asks_the_index else None,
        )

    def ask(
        self,
        question: str,
        history: "History" = (),
        *,
        within: str | None = None,
        config: "Config" = None,
    ) -> "Answer":
        """Return the answer to ``question`` from the indexed documents.

        With a ``history``, messages with the oldest first, the model first makes of the question
        one that can be understood without them. ``within`` is as for `retrieve`.

        Raises:
            QuestionError, IndexStoreError, ModelError: as `retrieve` and `llm`.
        """
        chain = self._chain_for(question, within)
        return chain.invoke({"question": question, "history": history}, config)

    def stream(
        self,
        question: str,
        history: "History" = (),
        *,
        within: str | None = None,
        config: "Config" = None,
    ) -> "Iterator[Answer]":
        """Yield the answer of `ask` in pieces, as it is generated; they add up to the whole."""
        chain = self._chain_for(question, within)
        return chain.stream({"question": question, "history": history}, config)

    async def aask(
        self,
        question: str,
        history: "History" = (),
        *,
        within: str | None = None,
        config: "Config" = None,
    ) -> "Answer":
        """`ask` without blocking the event loop."""
        chain = self._chain_for(question, within)
        return await chain.ainvoke({"question": question, "history": history}, config)

    def astream(
        self,
        question: str,
        history: "History" = (),
        *,
        within: str | None = None,
        config: "Config" = None,
    ) -> "AsyncIterator[Answer]":
        """`stream` without blocking the event loop."""
        chain = self._chain_for(question, within)
        return chain.astream({"question": question, "history": history}, config)

    def warm(
        self,
        limit: int,
        progress: Callable[[int, int], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
        *,
        config: "Config" = None,
    ) -> int:
        """Have the model read passages ahead of questions; see `rag_app.engine.warm.warm`."""
        from rag_app.engine.warm import warm

        self.store.check_exists()
        return warm(
            self.store,
            partial(self.retrieve, k=1, config=config),
            self._answering_llm(),
            self.prompts,
            limit=limit,
            progress=progress,
            stop=stop,
            config=config,
        )

    def read_wanted(
        self, stop: Callable[[], bool] = lambda: False, *, config: "Config" = None
    ) -> int:
        """Have the passages of the latest answers read in full where only parts were.

        See `rag_app.engine.warm.read_wanted`.
        """
        from rag_app.engine.warm import read_wanted

        return read_wanted(self._answering_llm(), stop, config)

    def make_summaries(
        self, stop: Callable[[], bool] = lambda: False, *, config: "Config" = None
    ) -> int:
        """Make the short summaries of documents that are missing; return how many were made.

        It ends once ``stop`` says that the model is wanted for something else.

        Raises:
            IndexStoreError: there is no index, or it can't be read.
            ModelError: the language model is missing or fails.
        """
        from rag_app.engine.warm import unless_stopped

        made = 0
        for work in self._whole_documents().missing(config) if self._asks_the_index else ():
            if stop() or not unless_stopped(work, stop):
                break
            made += 1
        return made

    def _whole_documents(self) -> "WholeDocuments":
        """Return what answers questions about the documents of the index as a whole."""
        from rag_app.chains.overview import MOST_TOKENS, WholeDocuments
        from rag_app.engine.identity import summarizer
        from rag_app.index.store.summaries import KeptSummaries

        prompts, store, llm = self.prompts, self.store, self.resources.given.llm
        limit = min(self.settings.max_new_tokens, MOST_TOKENS)
        return WholeDocuments(
            store,
            KeptSummaries(store.folder, summarizer(self.settings, llm, prompts)),
            lambda: self.using(max_new_tokens=limit).llm,
            prompts,
            within=self.settings.within,
            search=self.retrieve,
            max_new_tokens=limit,
        )

    def _answering_llm(self) -> "BaseChatModel":
        """Return the language model; the passages that it reads are kept where that is possible."""
        llm = self.llm
        return llm.model_copy(update={"keeps_prompts": True}) if self.keeps_prompts else llm

    def _ready_retriever(self) -> "Retriever":
        """Return the retriever, while the operating system reads the model file.

        The model itself is loaded after, and only where something relevant was found: llama.cpp's
        binding lets no other Python code run while it loads, so a second thread would make the
        question wait for it.
        """
        retriever = self.retriever
        self.resources.read_ahead()
        return retriever

    def _chain_for(self, question: str, within: str | None) -> "Runnable[RagInput, Answer]":
        """Return the chain for a valid question, over the documents that match."""
        self._check(question)
        return self.using(within=within).chain()

    def _check(self, question: str) -> None:
        limit = self.settings.max_question_chars
        if not question.strip():
            raise QuestionError("the question is empty; ask something")
        if len(question) > limit:
            raise QuestionError(
                f"the question has {len(question):,} characters, more than {limit:,}; shorten it, "
                "or index the text as a document and ask about it"
            )

    # Summaries

    def summary_chain(self, encoding: str | None = None) -> "Runnable[SummarySource, Summary]":
        """Return what `summarize` runs: a Runnable from a file or a document to its summary."""
        from langchain_core.documents import Document
        from langchain_core.runnables import RunnableLambda

        from rag_app.chains.summarize import summarize_chain

        def read(source: "SummarySource") -> Document:
            if isinstance(source, Document):
                return source
            from rag_app.documents.loaders import FileLoader

            limit, ocr = self.settings.max_file_bytes, self.settings.ocr
            return FileLoader(source, encoding=encoding, max_bytes=limit, ocr=ocr).load()[0]

        summarize = summarize_chain(
            lambda: self.llm,
            self.settings.summary_chain,
            prompts=self.prompts,
            length=self.settings.summary_length,
            max_new_tokens=self.settings.max_new_tokens,
            step_tokens=self.settings.summary_step_tokens,
        )
        chain = RunnableLambda(read, name="read_document") | summarize
        return chain.with_config(run_name="summarize")

    def summarize(
        self, source: "SummarySource", *, encoding: str | None = None, config: "Config" = None
    ) -> "Summary":
        """Return the summary of a file, or of a LangChain document.

        Raises:
            DocumentError: the file can't be read, or there is no text.
            ModelError: the model is missing, or its window is too small.
        """
        return self.summary_chain(encoding).invoke(source, config)

    def stream_summary(
        self, source: "SummarySource", *, encoding: str | None = None, config: "Config" = None
    ) -> "Iterator[Summary]":
        """Yield the summary of `summarize` in pieces; they add up to the whole."""
        return self.summary_chain(encoding).stream(source, config)

    async def asummarize(
        self, source: "SummarySource", *, encoding: str | None = None, config: "Config" = None
    ) -> "Summary":
        """`summarize` without blocking the event loop."""
        return await self.summary_chain(encoding).ainvoke(source, config)

    def astream_summary(
        self, source: "SummarySource", *, encoding: str | None = None, config: "Config" = None
    ) -> "AsyncIterator[Summary]":
        """`stream_summary` without blocking the event loop."""
        return self.summary_chain(encoding).astream(source, config)
