"""The routes of indexes, their documents, and what can be done with them."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from langchain_core.documents import Document

from rag_app.chains.citations import cite
from rag_app.chains.streaming import replaces
from rag_app.chains.summarize import Summary
from rag_app.server import uploads
from rag_app.server.completions.counting import Counting
from rag_app.server.completions.document_chat import citation_values
from rag_app.server.completions.shapes import Usage
from rag_app.server.context import Context, ContextOf
from rag_app.server.names import document_id, index_name
from rag_app.server.schemas.indexes import (
    DeletedDocument,
    DeletedIndex,
    DocumentInfo,
    DocumentList,
    DocumentText,
    IndexInfo,
    IndexList,
    Job,
    Passage,
    PassageList,
    SummaryText,
)
from rag_app.server.schemas.openapi import KEY, errors, events
from rag_app.server.schemas.requests import (
    UPLOAD_EXAMPLE,
    DocumentId,
    Files,
    IndexName,
    IndexRequest,
    JobId,
    SearchRequest,
    SummaryRequest,
)
from rag_app.server.sse import DONE, EventStream

router = APIRouter(
    prefix="/v1", tags=["Documents"], dependencies=[KEY], responses=errors(401, 403, 429)
)


@router.get("/indexes")
def list_indexes(context: ContextOf) -> IndexList:
    """List the indexes."""
    return IndexList(data=[context.library.info(name) for name in context.library.names()])


@router.post("/indexes", status_code=201, responses=errors(400, 409, 413))
def create_index(asked: IndexRequest, context: ContextOf) -> IndexInfo:
    """Make an empty index."""
    name = index_name(asked.name)
    context.library.create(name)
    return context.library.info(name)


@router.get("/indexes/{index}", responses=errors(404))
def show_index(index: IndexName, context: ContextOf) -> IndexInfo:
    """Show one index."""
    context.library.engine(index)
    return context.library.info(index)


@router.delete("/indexes/{index}", responses=errors(404, 503))
def delete_index(index: IndexName, context: ContextOf) -> DeletedIndex:
    """Delete an index and the files that were uploaded into it."""
    context.library.delete(index)
    return DeletedIndex(name=index)


@router.get("/indexes/{index}/documents", responses=errors(404, 503))
def list_documents(index: IndexName, context: ContextOf) -> DocumentList:
    """List the documents of an index."""
    engine = context.library.engine(index)
    data = [
        DocumentInfo(
            id=document_id(one.source),
            name=uploads.document_name(one.source, engine.store.folder),
            source=one.source,
            characters=one.characters,
            passages=one.chunks,
            bytes=one.size,
            indexed_at=one.indexed_at,
        )
        for one in engine.documents()
    ]
    return DocumentList(data=data)


@router.post(
    "/indexes/{index}/documents",
    status_code=202,
    responses=errors(400, 404, 409, 413, 503),
    openapi_extra=UPLOAD_EXAMPLE,
)
async def upload_documents(index: IndexName, files: Files, context: ContextOf) -> Job:
    """Upload files and have them indexed; what is acknowledged here is not lost.

    All files are taken or none. Folders in their names are kept, so that `2024/report.txt` and
    `2025/report.txt` are two documents. A file takes the place of an earlier one of the same name
    once it is indexed; where it can't be read, the earlier one stays. The job tells what became
    of each: follow it with `GET /v1/jobs/{job}/events`.
    """
    context.jobs.check_room()  # before anything is kept
    engine = await asyncio.to_thread(context.library.engine, index)
    contents = [(file.filename or "", file.file) for file in files]
    limit = context.settings.max_file_bytes
    saved = await asyncio.to_thread(uploads.save, contents, engine.store.folder, limit)
    return context.jobs.start(index, saved)


@router.delete("/indexes/{index}/documents/{document}", responses=errors(404, 503))
def delete_document(index: IndexName, document: DocumentId, context: ContextOf) -> DeletedDocument:
    """Take a document out of an index; its file is deleted if it was uploaded."""
    context.library.remove(index, document)
    return DeletedDocument(id=document)


@router.get("/indexes/{index}/documents/{document}/text", responses=errors(404, 503))
def document_text(index: IndexName, document: DocumentId, context: ContextOf) -> DocumentText:
    """Return the text of a document, at whose character offsets its passages stand."""
    name, text = _text(context, index, document)
    return DocumentText(id=document, name=name, text=text)


@router.post(
    "/indexes/{index}/documents/{document}/summary",
    response_model=None,
    responses={
        **errors(400, 404, 413, 503, 504),
        **events(
            "Pieces of the summary; one with `replace` takes the place of all before it",
            '{"delta": "李白是", "replace": false, "step": 1, "steps": 1, "notes": []}',
            DONE,
            whole=SummaryText,
        ),
    },
)
async def summarize(
    index: IndexName,
    document: DocumentId,
    asked: SummaryRequest,
    request: Request,
    context: ContextOf,
) -> EventStream | SummaryText:
    """Summarize a document; streamed, each event says whether it replaces the text before."""
    context.llm()
    _, text = await asyncio.to_thread(_text, context, index, document)
    engine = await asyncio.to_thread(context.library.engine, index)
    wanted: dict[str, Any] = {
        "summary_chain": asked.chain,
        "summary_length": asked.length,
        "temperature": asked.temperature,
    }
    usage = Usage()
    view = engine.using(callbacks=[Counting(usage)], **wanted)
    source = Document(page_content=text)
    if asked.stream:
        events = _summary_events(view.astream_summary(source))
        return await context.stream(request, events, usage)
    summary = await context.whole(request, partial(view.asummarize, source), usage)
    return SummaryText(text=summary.text, steps=summary.steps, notes=list(summary.notes))


@router.post("/indexes/{index}/search", responses=errors(400, 404, 409, 413, 503, 504))
async def search(
    index: IndexName, asked: SearchRequest, request: Request, context: ContextOf
) -> PassageList:
    """Return the passages nearest to a question, best first."""
    engine = await asyncio.to_thread(context.library.engine, index)
    passages = await context.embed(
        request, lambda _: engine.retrieve(asked.query, k=asked.k, retriever=asked.retriever)
    )
    folder = engine.store.folder
    return PassageList(data=[Passage(**citation_values(one, folder)) for one in cite(passages)])


@router.get("/jobs/{job}", responses=errors(404))
async def show_job(job: JobId, context: ContextOf) -> Job:
    """Show how far an indexing job is."""
    return context.jobs.get(job)


@router.get(
    "/jobs/{job}/events",
    response_class=Response,
    responses={
        **errors(404),
        **events(
            "The job, now and after every change",
            '{"id": "0c1f7f6e", "index": "合同", "status": "running", "documents": 1, "total": 2}',
        ),
    },
)
async def follow_job(job: JobId, context: ContextOf) -> EventStream:
    """Follow an indexing job: an event now and at every change, up to its end."""
    return EventStream(context.jobs.follow(context.jobs.get(job)), done=False)


def _text(context: Context, index: str, document: str) -> tuple[str, str]:
    record, engine = context.library.document(index, document), context.library.engine(index)
    name = uploads.document_name(record.source, engine.store.folder)
    return name, engine.text_of(record.source)


async def _summary_events(pieces: AsyncIterator[Summary]) -> AsyncIterator[dict[str, Any]]:
    result = Summary()
    async for piece in pieces:
        revised = replaces(result, piece) and bool(result.text)
        result = result + piece
        yield {
            "delta": piece.text,
            "replace": revised,
            "step": max(piece.step, result.step),
            "steps": result.steps,
            "notes": list(piece.notes),
        }
