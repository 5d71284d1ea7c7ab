"""Summaries of files and of LangChain's documents."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from langchain_core.documents import Document
from langchain_core.runnables import Runnable

from rag_app.chains.summarize import Summary, summarize_chain
from rag_app.documents.loaders import FileLoader
from rag_app.engine.resources import Parts

Source = str | Path | Document


def stream(app: Parts, source: Source, encoding: str | None = None) -> Iterator[Summary]:
    """Yield the summary in pieces; they add up to the whole."""
    with app.timings.clock():
        text = _text(app, source, encoding)
        yield from app.timings.watched(_chain(app).stream(text))


async def astream(
    app: Parts, source: Source, encoding: str | None = None
) -> AsyncIterator[Summary]:
    """`stream` without blocking the event loop."""
    with app.timings.clock():
        text = await asyncio.to_thread(_text, app, source, encoding)
        chain = await asyncio.to_thread(_chain, app)
        async for piece in chain.astream(text):
            yield piece


def _text(app: Parts, source: Source, encoding: str | None) -> str:
    if isinstance(source, Document):
        return source.page_content
    with app.timings.part("reading the document"):
        loader = FileLoader(source, encoding=encoding, max_bytes=app.settings.max_file_bytes)
        (document,) = loader.load()
    return document.page_content


def _chain(app: Parts) -> Runnable[str, Summary]:
    return summarize_chain(
        app.llm,
        app.settings.summary_chain,
        length=app.settings.summary_length,
        reply=app.settings.max_new_tokens,
        step_tokens=app.settings.summary_step_tokens,
    )
