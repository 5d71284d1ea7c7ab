"""Passages that the language model reads ahead of questions, so that they are kept on disk.

What a question is about is the first passage of its prompt, so each is read as the first. Those
that were asked about come first, the most asked before others: their prompts are in the cache, of
another model or of another version of llama.cpp, that has to read them again. Then, in turn, the
first passages of the documents and those that questions about their headings find.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING, Any

from model_prep.progress import CountProgress
from rag_app.errors import SettingsError

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import RunnableConfig

    from rag_app.chains.prompts import Prompts
    from rag_app.index.store.interface import DocumentStore

Retrieve = Callable[[str], "Sequence[Document]"]
"""Returns the passages of a question, the nearest first."""

READ_AHEAD = 20
"""Passages of an index that are read when nobody asks: some minutes' work on a laptop."""
_HEAD = 60  # characters by which a passage is known in the beginning of a prompt
_BEGINNING = 600  # characters of a prompt in which its first passage begins
_CANDIDATES = 8
"""Passages that hold most words of a prompt; that which it begins with is among them."""
_SECONDS = 0.1  # between two looks whether to stop


def warm(
    store: "DocumentStore",
    retrieve: Retrieve,
    llm: "BaseChatModel",
    prompts: "Prompts",
    *,
    limit: int,
    progress: CountProgress | None = None,
    stop: Callable[[], bool] = lambda: False,
    config: "RunnableConfig | None" = None,
) -> int:
    """Have ``llm`` read up to ``limit`` passages of an index; return how many.

    Those that are kept already are not read again. It ends where one more would push out another.

    Args:
        store: The index.
        retrieve: Finds the passage of a question.
        llm: Of which `keeps_prompts` holds.
        prompts: In which the passages are read.
        limit: How many at most.
        progress: Called after each.
        stop: Returns True when the model is wanted for something else: reading ends at once.
        config: LangChain's callbacks, tags and so on.

    Raises:
        IndexStoreError: there is no index, or it can't be read.
        ModelError: the model fails.
        SettingsError: what this model reads can't be kept.
    """
    if not getattr(llm, "keeps_prompts", False):
        msg = "only what a .gguf file reads in this process is kept; see --llm and --cache-size"
        raise SettingsError(msg)
    passages = likely_passages(store, retrieve, limit)
    is_kept: Callable[[list[BaseMessage]], bool] = getattr(llm, "is_kept", lambda _: False)
    for done, passage in enumerate(passages):
        if stop():
            return done
        if not is_kept(prompt := _prompt(passage, prompts)):
            reading = partial(llm.bind(max_tokens=1).ainvoke, prompt, config)
            if _is_full(llm) or not unless_stopped(reading, stop):
                return done
        if progress:
            progress(done + 1, len(passages))
    return len(passages)


def read_wanted(
    llm: "BaseChatModel", stop: Callable[[], bool], config: "RunnableConfig | None" = None
) -> int:
    """Have ``llm`` read in full the passages of its latest answers of which it has read parts.

    The next questions about them are then answered at once. Returns how many were read; what is
    interrupted is read the next time.

    Raises:
        ModelError: the model fails.
    """
    wanted: deque[list[BaseMessage]] = getattr(llm, "wanted", deque())
    done = 0
    while wanted and not stop():
        prompt = wanted.pop()
        if not getattr(llm, "is_kept")(prompt):  # noqa: B009 - of a model that has ``wanted``
            if not unless_stopped(partial(llm.bind(max_tokens=1).ainvoke, prompt, config), stop):
                wanted.append(prompt)
                break
            done += 1
    return done


def likely_passages(store: "DocumentStore", retrieve: Retrieve, limit: int) -> "list[Document]":
    """Return the passages of an index that questions are likely to find, the likeliest first.

    Raises:
        IndexStoreError: there is no index, or it can't be read.
    """
    with store.read() as snapshot:
        chunks = snapshot.first_chunks(limit)
    first = [chunk.as_document() for chunk in chunks]
    in_turn = chain.from_iterable(zip_longest(first, _found_by_headings(store, retrieve, limit)))
    found: dict[str | None, Document] = {}
    for passage in chain(_asked_about(store), in_turn):
        if passage is not None:
            found.setdefault(passage.id, passage)
    return list(islice(found.values(), limit))


def _found_by_headings(
    store: "DocumentStore", retrieve: Retrieve, limit: int
) -> "Iterator[Document]":
    from rag_app.engine.topics import questions

    for question in islice(questions(store), limit):
        yield from retrieve(question)[:1]


def _asked_about(store: "DocumentStore") -> "Iterator[Document]":
    """Yield the first passages of the prompts that are kept, the most asked first.

    They are found by their first words, as answers to a question would be.
    """
    from rag_app.documents.text import query_terms
    from rag_app.models.llms.prompt_cache import all_kept_prompts

    entries = sorted(all_kept_prompts(), key=lambda entry: -entry.uses)
    for entry in entries:
        beginning = entry.prompt[:_BEGINNING]
        _, _, passage = beginning.partition("[1] ")
        with store.read() as snapshot:
            found = snapshot.search_any(query_terms(passage), _CANDIDATES) if passage else []
            for chunk in snapshot.chunks([chunk_id for chunk_id, _ in found]):
                if (head := chunk.text[:_HEAD]).strip() and head in beginning:
                    yield chunk.as_document()
                    break


def _prompt(passage: "Document", prompts: "Prompts") -> "list[BaseMessage]":
    """Return the prompt of a question about a passage, up to the question."""
    from rag_app.chains.citations import cite
    from rag_app.documents.text import language_of

    (citation,) = cite([passage])
    language = language_of(passage.page_content)
    return prompts.messages("answer", language, context=citation.shown, question="")


def unless_stopped(work: Callable[[], Coroutine[Any, Any, Any]], stop: Callable[[], bool]) -> bool:
    """Have a model do some work until ``stop`` is true; return False where that was so.

    In a thread, since a caller may have an event loop of its own.
    """
    interrupted = threading.Event()

    def run() -> bool:
        return asyncio.run(_working(work(), lambda: interrupted.is_set() or stop()))

    with ThreadPoolExecutor(1) as pool:
        try:
            return pool.submit(run).result()
        except BaseException:  # Ctrl-C, or the end of the process
            interrupted.set()
            raise


async def _working(work: Coroutine[Any, Any, Any], stop: Callable[[], bool]) -> bool:
    working = asyncio.ensure_future(work)
    while not working.done():
        await asyncio.wait([working], timeout=_SECONDS)
        if not working.done() and stop():
            working.cancel()
            await asyncio.wait([working])
            return False
    working.result()
    return True


def _is_full(llm: "BaseChatModel") -> bool:
    """Return whether another passage would push one out that is kept."""
    from rag_app.models.llms.prompt_cache import GIGABYTE, all_kept_prompts

    sizes = [entry.size for entry in all_kept_prompts()]
    limit = getattr(llm, "cache_size", 0.0) * GIGABYTE
    return bool(sizes) and sum(sizes) + max(sizes) > limit
