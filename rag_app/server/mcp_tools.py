"""The tools that MCP clients get: search, ask, list, read a passage, add a document."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from rag_app.chains.citations import cite
from rag_app.chains.results import Answer
from rag_app.engine import RagApp
from rag_app.errors import DocumentError, IndexStoreError
from rag_app.index.store.records import DocumentRecord
from rag_app.server import uploads
from rag_app.server.completions.chat import citation_values
from rag_app.server.index_registry import IndexRegistry, document_id, shown_name
from rag_app.server.middleware.access import ApiKey
from rag_app.server.queueing import end_tasks
from rag_app.server.schemas.indexes import DocumentList, IndexList, Passage, PassageList
from rag_app.settings import RetrieverKind

_BEAT_SECONDS = 5.0  # between two notifications of progress: clients give up a call that is silent
_MOST_CHARACTERS = 20_000  # characters that one call of `read_passage` returns

Ctx = Context[Any, Any]
IndexName = Annotated[str | None, Field(description="Name of the index; by default the main one.")]
Within = Annotated[
    str | None, Field(description="Only documents that this name, folder or glob means.")
]
DocumentName = Annotated[
    str, Field(description="Its name or id, as `list_documents` and passages have them.")
]


class ToolAnswer(BaseModel):
    """An answer from documents."""

    text: str = Field(description="With marks such as [1] after what a passage supports.")
    answered: bool = Field(description="False where the documents have no answer.")
    verdict: Literal["sure", "doubtful", "refused"] | None = None
    probability: float | None = Field(default=None, description="That the passages answer.")
    evidence: str | None = Field(default=None, description="The sentence that carries it.")
    notes: list[str] = []
    passages: list[Passage] = Field(description="As the marks count them.")


class DocumentPart(BaseModel):
    """A part of a document's text."""

    document: str
    name: str
    text: str
    start: int = Field(description="Offset in the document's text, in characters.")
    end: int
    characters: int = Field(description="Of the whole text.")


class AddedDocument(BaseModel):
    """A document that was added."""

    index: str
    document: str
    name: str
    passages: int
    replaced: bool = Field(description="Whether one of this name was there before.")


class IndexTools:
    """What clients can do with the indexes; each method is a tool."""

    def __init__(self, registry: IndexRegistry) -> None:
        self._registry = registry

    def list_indexes(self, context: Ctx) -> IndexList:
        """List the indexes."""
        view = self._view(context)
        return IndexList(data=[view.info(name) for name in view.names()])

    def list_documents(self, context: Ctx, index: IndexName = None) -> DocumentList:
        """List the documents of an index."""
        view = self._view(context)
        return DocumentList(data=view.documents(_chosen(view, index)))

    def search(
        self,
        context: Ctx,
        query: Annotated[str, Field(description="A question, or words.")],
        index: IndexName = None,
        k: Annotated[int | None, Field(ge=1, le=100, description="Most passages.")] = None,
        within: Within = None,
        retriever: RetrieverKind | None = None,
    ) -> PassageList:
        """Find the passages nearest to a question, best first, with how relevant each is."""
        engine = self._engine(context, index)
        found = engine.retrieve(query, k=k, within=within, retriever=retriever)
        return PassageList(data=_passages(engine, Answer(citations=tuple(cite(found)))))

    async def ask(
        self,
        context: Ctx,
        question: str,
        index: IndexName = None,
        within: Within = None,
    ) -> ToolAnswer:
        """Answer a question from the documents of an index, and say how sure the answer is."""
        engine = await asyncio.to_thread(self._engine, context, index)
        async with _progress(context):
            answer = await engine.aask(question, within=within)
        sure = answer.confidence
        return ToolAnswer(
            text=answer.marked_text,
            answered=answer.answered,
            verdict=sure.verdict if sure else None,
            probability=sure.probability if sure else None,
            evidence=answer.evidence.sentence if answer.evidence else None,
            notes=list(answer.notes),
            passages=_passages(engine, answer),
        )

    def read_passage(
        self,
        context: Ctx,
        document: DocumentName,
        index: IndexName = None,
        start: Annotated[int, Field(ge=0, description="Offset of the first character.")] = 0,
        end: Annotated[int | None, Field(ge=0, description="After the last one.")] = None,
    ) -> DocumentPart:
        """Read the text of a document from one character to another, as around a passage."""
        engine = self._engine(context, index)
        record = _document(engine, document)
        text = engine.text_of(record.source)
        first = min(start, len(text))
        last = min(len(text), first + _MOST_CHARACTERS, len(text) if end is None else end)
        return DocumentPart(
            document=document_id(record.source),
            name=shown_name(record.source, engine.store.folder),
            text=text[first:last],
            start=first,
            end=max(first, last),
            characters=len(text),
        )

    def add_document(
        self,
        context: Ctx,
        name: Annotated[str, Field(description="Such as notes.md; folders are kept.")],
        text: str,
        index: Annotated[
            str | None, Field(description="Made where it is not there; by default the main one.")
        ] = None,
    ) -> AddedDocument:
        """Add a text to an index, or replace the one of that name."""
        view = self._view(context, write=True)
        chosen = index or _main(view)
        if chosen not in view.names():
            view.check_open()
            chosen = view.create(chosen).name
        engine = view.engine(chosen)
        file = uploads.file_name(name if PurePosixPath(name).suffix else f"{name}.txt")
        stored = (engine.store.folder / uploads.FILES).resolve() / file
        with engine.store.read() as snapshot:
            replaced = snapshot.document(str(stored)) is not None
        _index_text(engine, text, file, stored)
        record = _document(engine, str(stored))
        return AddedDocument(
            index=chosen,
            document=document_id(record.source),
            name=file,
            passages=record.chunks,
            replaced=replaced,
        )

    def _engine(self, context: Ctx, index: str | None) -> RagApp:
        view = self._view(context)
        return view.engine(_chosen(view, index))

    def _view(self, context: Ctx, *, write: bool = False) -> IndexRegistry:
        """Return the indexes as the key of a request opens them.

        Raises:
            ToolError: the key may not write.
        """
        state = getattr(context.request_context.request, "state", None)
        key: ApiKey | None = getattr(state, "key", None)
        if write and key is not None and not key.can_write:
            raise ToolError("this key may read only; ask with one that may write")
        return self._registry.opened_by(key)


def _main(view: IndexRegistry) -> str:
    """Return the name of the index to use where none is named."""
    names = view.names()
    return names[0] if len(names) == 1 else view.settings.index_folder.name


def _chosen(view: IndexRegistry, index: str | None) -> str:
    """Return the name of an index that is there.

    Raises:
        IndexStoreError: there is none of that name.
    """
    names, name = view.names(), index or _main(view)
    if name in names:
        return name
    there = f"there are: {', '.join(names)}" if names else "there is none yet"
    raise IndexStoreError(f"no index {name!r}; {there}")


def _document(engine: RagApp, named: str) -> DocumentRecord:
    """Return the document of an id, a name, or the last part of one.

    Raises:
        DocumentError: there is none, or several.
    """
    folder = engine.store.folder
    uploaded = str((folder / uploads.FILES).resolve() / named)
    tests: tuple[Callable[[str], bool], ...] = (
        lambda source: document_id(source) == named,
        lambda source: shown_name(source, folder) == named,
        lambda source: PurePosixPath(source).name == named,
    )
    with engine.store.read() as snapshot:
        if record := snapshot.document(named) or snapshot.document(uploaded):
            return record
        sources = snapshot.sources()
        for test in tests:
            found = list(filter(test, sources))
            if len(found) == 1 and (record := snapshot.document(found[0])):
                return record
            if found:
                ids = ", ".join(map(document_id, found))
                msg = f"several documents are named {named}; take one by its id: {ids}"
                raise DocumentError(msg)
    raise DocumentError(f"no document {named!r} in this index; list_documents lists them")


def _index_text(engine: RagApp, text: str, file: str, stored: Path) -> None:
    """Index a text as the upload of a file, to be stored at a path.

    Raises:
        DocumentError: it can't be read.
    """
    settings, folder = engine.settings, engine.store.folder
    batch = uploads.save([(file, io.BytesIO(text.encode()))], folder, settings.max_file_bytes)
    try:
        limited = engine.using(max_passages=settings.upload_passages)
        report = limited.index(
            [batch / file], destinations={batch / file: stored}, roots=[folder / uploads.FILES]
        )
        uploads.end(batch, folder, [] if report.failed else [Path(file)])
    finally:
        uploads.drop(batch)
    for failure in report.failed:
        raise DocumentError(failure.reason.replace(str(batch / file), file))


def _passages(engine: RagApp, answer: Answer) -> list[Passage]:
    folder = engine.store.folder
    return [Passage(**citation_values(citation, folder)) for citation in answer.citations]


@asynccontextmanager
async def _progress(context: Ctx) -> AsyncIterator[None]:
    """Tell the client now and then that its call is being worked on, where it wants to know."""
    started = time.monotonic()

    async def beat() -> None:
        while True:
            await context.report_progress(round(time.monotonic() - started), message="reading")
            await asyncio.sleep(_BEAT_SECONDS)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        await end_tasks([beating])
