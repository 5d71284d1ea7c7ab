"""The routes of indexes, their documents, and what can be done with them."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from rag_app.chains.citations import cite
from rag_app.server import uploads
from rag_app.server.completions.chat import citation_values
from rag_app.server.completions.summary import DocumentSummary
from rag_app.server.event_stream import EventStream, ServerSentEvents, generated_stream
from rag_app.server.index_registry import IndexRegistry, Registry, shown_name
from rag_app.server.indexing_jobs import IndexingJobs, Jobs
from rag_app.server.middleware.access import WRITE
from rag_app.server.queueing import ServerQueues
from rag_app.server.schemas.indexes import (
    UPLOAD_EXAMPLE,
    DeletedDocument,
    DeletedIndex,
    DocumentId,
    DocumentList,
    DocumentText,
    Files,
    IndexInfo,
    IndexList,
    IndexName,
    IndexRequest,
    Job,
    JobId,
    JobList,
    Passage,
    PassageList,
    SearchRequest,
    Suggestion,
    SuggestionList,
    SummaryRequest,
    SummaryText,
)
from rag_app.server.schemas.openapi import errors, streamed

router = APIRouter(prefix="/v1", tags=["Documents"])

_SUGGESTIONS = 3


@router.get("/indexes")
def list_indexes(registry: Registry) -> IndexList:
    """List the indexes."""
    return IndexList(data=[registry.info(name) for name in registry.names()])


@router.post("/indexes", status_code=201, dependencies=[WRITE], responses=errors(400, 409, 413))
def create_index(request: IndexRequest, registry: Registry) -> IndexInfo:
    """Make an empty index."""
    return registry.create(request.name)


@router.get("/indexes/{index}", responses=errors(404))
def show_index(index: IndexName, registry: Registry) -> IndexInfo:
    """Show one index."""
    registry.engine(index)
    return registry.info(index)


@router.delete("/indexes/{index}", dependencies=[WRITE], responses=errors(404, 503))
async def delete_index(index: IndexName, registry: Registry, jobs: Jobs) -> DeletedIndex:
    """Delete an index and the files that were uploaded into it; its jobs are cancelled."""
    await asyncio.to_thread(registry.engine, index)
    registry.check_open()
    await jobs.cancel(jobs.unfinished(index))
    await asyncio.to_thread(registry.delete, index)
    return DeletedIndex(name=index)


@router.get("/indexes/{index}/documents", responses=errors(404, 503))
def list_documents(index: IndexName, registry: Registry) -> DocumentList:
    """List the documents of an index."""
    return DocumentList(data=registry.documents(index))


@router.post(
    "/indexes/{index}/documents",
    status_code=202,
    dependencies=[WRITE],
    responses=errors(400, 404, 409, 413, 503),
    openapi_extra=UPLOAD_EXAMPLE,
)
async def upload_documents(index: IndexName, files: Files, registry: Registry, jobs: Jobs) -> Job:
    """Upload files and have them indexed; what is acknowledged here is not lost.

    All files are taken or none. Folders in their names are kept, so that `2024/report.txt` and
    `2025/report.txt` are two documents. A file takes the place of an earlier one of the same name
    once it is indexed; where it can't be read, the earlier one stays. The job tells what became
    of each: follow it with `GET /v1/jobs/{job}/events`.
    """
    jobs.check_room()  # before anything is kept
    engine = await asyncio.to_thread(registry.engine, index)
    contents = [(uploads.sent_name(file), file.file) for file in files]
    limit = registry.settings.max_file_bytes
    saved = await asyncio.to_thread(uploads.save, contents, engine.store.folder, limit)
    return jobs.start(index, saved)


@router.delete(
    "/indexes/{index}/documents/{document}", dependencies=[WRITE], responses=errors(404, 503)
)
def delete_document(index: IndexName, document: DocumentId, registry: Registry) -> DeletedDocument:
    """Take a document out of an index; its file is deleted if it was uploaded."""
    registry.remove(index, document)
    return DeletedDocument(id=document)


@router.get("/indexes/{index}/documents/{document}/text", responses=errors(404, 503))
def document_text(index: IndexName, document: DocumentId, registry: Registry) -> DocumentText:
    """Return the text of a document, to which the offsets of its passages refer."""
    record, engine = registry.document(index, document), registry.engine(index)
    name = shown_name(record.source, engine.store.folder)
    return DocumentText(id=document, name=name, text=engine.text_of(record.source))


@router.post(
    "/indexes/{index}/documents/{document}/summary",
    response_model=None,
    responses={
        **errors(400, 404, 413, 503, 504),
        **streamed(
            "Pieces of the summary; one with `replace` takes the place of all before it. `marked` "
            "has marks after the sentences too, and the last event says where they come from",
            {
                "delta": "李白是",
                "marked": "李白是",
                "replace": False,
                "step": 1,
                "steps": 1,
                "notes": [],
            },
            SummaryText,
        ),
    },
)
async def summarize(
    index: IndexName,
    document: DocumentId,
    request: SummaryRequest,
    raw_request: Request,
    registry: Registry,
    queues: ServerQueues,
) -> EventStream | dict[str, Any]:
    """Summarize a document; streamed, each event says whether it replaces the text before."""
    registry.llm()
    record = await asyncio.to_thread(registry.document, index, document)
    engine = await asyncio.to_thread(registry.engine, index)
    text = await asyncio.to_thread(engine.text_of, record.source)
    summary = DocumentSummary(engine, record.source, text, request)
    if request.stream:
        return generated_stream(queues, summary)
    return await queues.whole(raw_request, summary)


@router.post("/indexes/{index}/search", responses=errors(400, 404, 409, 413, 503, 504))
async def search(
    index: IndexName,
    request: SearchRequest,
    raw_request: Request,
    registry: Registry,
    queues: ServerQueues,
) -> PassageList:
    """Return the passages nearest to a question, best first."""
    engine = await asyncio.to_thread(registry.engine, index)
    passages = await queues.search(
        raw_request,
        lambda: engine.retrieve(
            request.query, k=request.k, retriever=request.retriever, within=request.within
        ),
    )
    folder = engine.store.folder
    citations = [citation_values(citation, folder) for citation in cite(passages)]
    return PassageList(data=[Passage(**values) for values in citations])


@router.get("/indexes/{index}/suggestions", responses=errors(404, 409, 503, 504))
async def suggest(
    index: IndexName, raw_request: Request, registry: Registry, queues: ServerQueues
) -> SuggestionList:
    """Suggest questions to begin with, drawn from the documents of an index."""
    engine = await asyncio.to_thread(registry.engine, index)
    questions = await queues.search(raw_request, lambda: engine.suggestions(_SUGGESTIONS))
    return SuggestionList(data=[Suggestion(question=question) for question in questions])


@router.get("/jobs")
async def list_jobs(registry: Registry, jobs: Jobs) -> JobList:
    """List the indexing jobs, of all servers on one home, oldest first; old ones are forgotten."""
    return JobList(data=[job for job in jobs if registry.shows(job.index)])


@router.get("/jobs/{job}", responses=errors(404))
async def show_job(job: JobId, registry: Registry, jobs: Jobs) -> Job:
    """Show how far an indexing job is."""
    return _job(job, registry, jobs)


@router.delete("/jobs/{job}", dependencies=[WRITE], responses=errors(404))
async def cancel_job(job: JobId, registry: Registry, jobs: Jobs) -> Job:
    """Cancel an indexing job: what it indexed stays, its other files are deleted.

    One that runs ends after the passages that are being embedded, or the file that is being read.
    """
    await jobs.cancel([_job(job, registry, jobs)])
    return _job(job, registry, jobs)


@router.get(
    "/jobs/{job}/events",
    response_class=Response,
    responses={
        **errors(404),
        **streamed(
            "The job, now and after every change",
            {"id": "0c1f7f6e", "index": "合同", "status": "running", "documents": 1, "total": 2},
        ),
    },
)
async def follow_job(job: JobId, registry: Registry, jobs: Jobs) -> EventStream:
    """Follow an indexing job: an event now and at every change, up to its end."""
    events = jobs.follow(_job(job, registry, jobs))
    return EventStream(events, form=ServerSentEvents(done=False))


def _job(job_id: str, registry: IndexRegistry, jobs: IndexingJobs) -> Job:
    job = jobs.get(job_id)
    return job if registry.shows(job.index) else jobs.get("")
