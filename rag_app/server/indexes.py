"""The routes of indexes, their documents, and what can be done with them."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import PurePath
from typing import Any

from fastapi import APIRouter, Request, UploadFile
from langchain_core.documents import Document

from rag_app.chains.citations import cite
from rag_app.chains.summarize import Summary
from rag_app.documents.formats import SUFFIXES
from rag_app.server import uploads
from rag_app.server.answers import citation_values
from rag_app.server.context import Context, ContextOf
from rag_app.server.errors import ApiError
from rag_app.server.events import EventStream, whole
from rag_app.server.library import FILES
from rag_app.server.names import document_id, index_name
from rag_app.server.schemas import IndexRequest, SearchRequest, SummaryRequest

router = APIRouter(prefix="/v1", tags=["Documents"])

_MOST_FILES = 1000


@router.get("/indexes")
def list_indexes(context: ContextOf) -> dict[str, Any]:
    """List the indexes, and which files can be put into them."""
    data = [vars(context.library.info(name)) for name in context.library.names()]
    limits = {"formats": sorted(SUFFIXES), "max_file_bytes": context.settings.max_file_bytes}
    return {"object": "list", "data": data, **limits}


@router.post("/indexes", status_code=201)
def create_index(asked: IndexRequest, context: ContextOf) -> dict[str, Any]:
    """Make an empty index."""
    name = index_name(asked.name)
    context.library.create(name)
    return vars(context.library.info(name))


@router.get("/indexes/{index}")
def show_index(index: str, context: ContextOf) -> dict[str, Any]:
    """Show one index."""
    context.library.engine(index)
    return vars(context.library.info(index))


@router.delete("/indexes/{index}")
def delete_index(index: str, context: ContextOf) -> dict[str, Any]:
    """Delete an index and the files that were uploaded into it."""
    context.library.delete(index)
    return {"name": index, "deleted": True}


@router.get("/indexes/{index}/documents")
def list_documents(index: str, context: ContextOf) -> dict[str, Any]:
    """List the documents of an index."""
    data = [
        {
            "id": document_id(one.source),
            "name": PurePath(one.source).name,
            "source": one.source,
            "characters": one.characters,
            "passages": one.chunks,
            "bytes": one.size,
            "indexed_at": one.indexed_at,
        }
        for one in context.library.engine(index).documents()
    ]
    return {"object": "list", "data": data}


@router.post("/indexes/{index}/documents", status_code=202)
async def upload_documents(
    index: str, files: list[UploadFile], context: ContextOf
) -> dict[str, Any]:
    """Upload files and have them indexed; what is acknowledged here is not lost."""
    if len(files) > _MOST_FILES:
        raise ApiError(413, f"more than {_MOST_FILES} files in one request", param="files")
    engine = await asyncio.to_thread(context.library.engine, index)
    contents = [(file.filename or "", file.file) for file in files]
    folder = engine.store.folder / FILES
    limit = context.settings.max_file_bytes
    saved = await asyncio.to_thread(uploads.save, contents, folder, limit)
    return context.jobs.start(index, saved).values()


@router.delete("/indexes/{index}/documents/{document}")
def delete_document(index: str, document: str, context: ContextOf) -> dict[str, Any]:
    """Take a document out of an index."""
    context.library.remove(index, document)
    return {"id": document, "deleted": True}


@router.get("/indexes/{index}/documents/{document}/text")
def document_text(index: str, document: str, context: ContextOf) -> dict[str, Any]:
    """Return the text of a document, at whose character offsets its passages stand."""
    name, text = _text(context, index, document)
    return {"id": document, "name": name, "text": text}


@router.post("/indexes/{index}/documents/{document}/summary")
async def summarize(
    index: str, document: str, asked: SummaryRequest, request: Request, context: ContextOf
) -> Any:
    """Summarize a document; streamed, each event says whether it replaces the text before."""
    context.llm()
    _, text = await asyncio.to_thread(_text, context, index, document)
    engine = await asyncio.to_thread(context.library.engine, index)
    wanted: dict[str, Any] = {
        "summary_chain": asked.chain,
        "summary_length": asked.length,
        "temperature": asked.temperature,
    }
    view = engine.using(**{name: value for name, value in wanted.items() if value is not None})
    pieces = view.astream_summary(Document(page_content=text))
    seconds = context.settings.request_seconds
    if not asked.stream:
        summary = await whole(request, partial(_sum, pieces), seconds, context.generating.slot())
        return {"text": summary.text, "steps": summary.steps, "notes": list(summary.notes)}
    await context.generating.enter()
    events = _summary_events(pieces)
    return EventStream(events, seconds=seconds, release=context.generating.leave)


@router.post("/indexes/{index}/search")
async def search(
    index: str, asked: SearchRequest, request: Request, context: ContextOf
) -> dict[str, Any]:
    """Return the passages nearest to a question, best first."""
    engine = await asyncio.to_thread(context.library.engine, index)
    retrieve = partial(engine.retrieve, asked.query, k=asked.k, retriever=asked.retriever)
    work = partial(asyncio.to_thread, retrieve)
    seconds = context.settings.request_seconds
    passages = await whole(request, work, seconds, context.embedding.slot())
    return {"object": "list", "data": [citation_values(one) for one in cite(passages)]}


@router.get("/jobs/{job}")
async def show_job(job: str, context: ContextOf) -> dict[str, Any]:
    """Show how far an indexing job is."""
    return context.jobs.get(job).values()


@router.get("/jobs/{job}/events")
async def follow_job(job: str, context: ContextOf) -> EventStream:
    """Follow an indexing job: an event now and at every change, up to its end."""
    return EventStream(context.jobs.follow(context.jobs.get(job)), done=False)


def _text(context: Context, index: str, document: str) -> tuple[str, str]:
    record = context.library.document(index, document)
    return PurePath(record.source).name, context.library.engine(index).text_of(record.source)


async def _sum(pieces: AsyncIterator[Summary]) -> Summary:
    result = Summary()
    async for piece in pieces:
        result = result + piece
    return result


async def _summary_events(pieces: AsyncIterator[Summary]) -> AsyncIterator[dict[str, Any]]:
    result = Summary()
    async for piece in pieces:
        replaces = bool(piece.text) and piece.step > result.step and bool(result.text)
        result = result + piece
        yield {
            "delta": piece.text,
            "replace": replaces,
            "step": max(piece.step, result.step),
            "steps": result.steps,
            "notes": list(piece.notes),
        }
