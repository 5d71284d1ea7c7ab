"""Questions to an index: searched for, and answered from what is relevant."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

from rag_app.chains.answer import Answer, Question, answer_chain, not_found
from rag_app.chains.condense_question import Conversation, standalone_chain
from rag_app.engine.resources import Parts
from rag_app.errors import QuestionError
from rag_app.index.search.relevance import above_threshold
from rag_app.index.search.retriever import HybridRetriever
from rag_app.index.store.connection import missing_index
from rag_app.settings import RetrieverKind


def retrieve(
    app: Parts, question: str, k: int | None = None, retriever: RetrieverKind | None = None
) -> list[Document]:
    """Return the passages nearest to ``question``, best first, with their relevance."""
    _check(question, app.settings.max_question_chars)
    if not app.store.exists():
        raise missing_index(app.store.path)
    with app.timings.part("embedding model"):
        app.store.check_embedding(app.embeddings)
    with app.timings.part("retrieval"):
        searching = HybridRetriever(
            store=app.store,
            embedding=app.embeddings,
            kind=retriever or app.settings.retriever,
            k=k or app.settings.k,
            cache=app.derived,
        )
        return searching.invoke(question)


def stream(app: Parts, question: str) -> Iterator[Answer]:
    """Yield the answer in pieces, as it is generated; they add up to the whole."""
    with app.timings.clock():
        asked, nearest = relevant(app, question)
        if not asked.passages:
            yield not_found(question, nearest)
            return
        yield from app.timings.watched(_chain(app).stream(asked))


async def astream(
    app: Parts, question: str, history: Sequence[BaseMessage] = ()
) -> AsyncIterator[Answer]:
    """`stream` without blocking the event loop; ``history`` is what was said before."""
    with app.timings.clock():
        _check(question, app.settings.max_question_chars)
        if history:
            llm = await asyncio.to_thread(lambda: app.llm)
            with app.timings.part("standalone question"):
                question = await standalone_chain(llm).ainvoke(Conversation(question, history))
        asked, nearest = await asyncio.to_thread(relevant, app, question)
        if not asked.passages:
            yield not_found(question, nearest)
            return
        chain = await asyncio.to_thread(_chain, app)
        async for piece in chain.astream(asked):
            yield piece


def relevant(app: Parts, question: str) -> tuple[Question, list[Document]]:
    """Return the question with its relevant passages, and all passages that were retrieved.

    The operating system reads the model file meanwhile. The model itself is loaded after, and
    only where something relevant was found: llama.cpp's binding lets no other Python code run
    while it loads, so a second thread would make the question wait for it.
    """
    app.read_ahead()
    passages = retrieve(app, question)
    return Question(question, above_threshold(passages, app.settings.threshold)), passages


def _check(question: str, limit: int) -> None:
    if not question.strip():
        raise QuestionError("the question is empty; ask something")
    if len(question) > limit:
        msg = (
            f"the question has {len(question):,} characters, more than {limit:,}; shorten it, "
            "or index the text as a document and ask about it"
        )
        raise QuestionError(msg)


def _chain(app: Parts) -> Runnable[Question, Answer]:
    return answer_chain(
        app.llm,
        app.settings.answer_chain,
        reply=app.settings.max_new_tokens,
        step_tokens=app.settings.answer_step_tokens,
    )
