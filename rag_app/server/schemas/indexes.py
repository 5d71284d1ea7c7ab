"""Requests and responses of the routes of indexes, documents, jobs and the server itself."""

from typing import Annotated, Any, Literal

from fastapi import File, Path, UploadFile
from pydantic import BaseModel, Field

from rag_app.server.schemas.requests import ListOf, RequestBody, Text, example
from rag_app.settings import AnswerChain, RetrieverKind, SummaryChain

IndexName = Annotated[str, Path(description="Name of the index.", examples=["合同"])]
DocumentId = Annotated[
    str, Path(description="As the list of documents has it.", examples=["9f86d081884c7d65"])
]
JobId = Annotated[str, Path(description="As the upload answered.", examples=["0c1f7f6e"])]
Files = Annotated[
    list[UploadFile],
    File(description="Files of the formats in `GET /v1/settings`, each with its name."),
]
UPLOAD_EXAMPLE = {
    "requestBody": {
        "content": {"multipart/form-data": {"example": {"files": ["@李白.txt", "@说明.pdf"]}}}
    }
}


class IndexRequest(RequestBody):
    """``POST /v1/indexes``."""

    model_config = example(name="合同")

    name: str = Field(max_length=200)


class SearchRequest(RequestBody):
    """``POST /v1/indexes/{index}/search``."""

    model_config = example(query="李白", k=3)

    query: Text
    k: int | None = Field(default=None, ge=1, le=100)
    retriever: RetrieverKind | None = None
    within: str | None = Field(
        default=None,
        max_length=4096,
        description="Name, path, folder or glob: only documents that it means are searched.",
    )


class SummaryRequest(RequestBody):
    """``POST /v1/indexes/{index}/documents/{document}/summary``."""

    model_config = example(chain="refine", length=200)

    chain: SummaryChain | None = None
    length: int | None = Field(default=None, ge=1, le=100_000)
    temperature: float | None = Field(default=None, ge=0, le=2)
    stream: bool = False


class SummaryPassage(BaseModel):
    """A passage of a document, and its place in the text."""

    marker: int = Field(description="Its number, as in `[1]`.")
    document: str = Field(description="Id of the document.")
    name: str = Field(description="The file name, after folders it was uploaded with.")
    text: str
    start: int = Field(description="Offset in the document's text, in characters.")
    end: int
    heading: str | None = Field(default=None, description="The last of `headings`.")
    headings: list[str] = Field(default=[], description="Those above it, highest first.")


class Passage(SummaryPassage):
    """A passage as it was found among those of an index."""

    source: str = Field(description="As `name`.")
    page: int | None = None
    folders: list[str] = Field(default=[], description="Those its document is in, outermost first.")
    table_head: str | None = Field(
        default=None, description="Names of the columns of the table that it begins within."
    )
    copies: list[str] = Field(default=[], description="Other sources that say the same.")
    score: float | None = Field(
        description="The retriever's, for comparing passages; null where none was searched for."
    )
    relevance: float | None = Field(
        description="Probability that the passage holds an answer; null where `score` is."
    )


PASSAGE = {
    "marker": 1,
    "source": "李白.txt",
    "name": "李白.txt",
    "document": "9f86d081884c7d65",
    "text": "宝应元年，李白在当涂病逝。",
    "start": 120,
    "end": 133,
    "page": 2,
    "score": 0.0325,
    "relevance": 0.93,
}


_INDEX = {
    "name": "合同",
    "documents": 2,
    "passages": 17,
    "embedding": "multilingual-e5-small",
}
_DOCUMENT = {
    "id": "9f86d081884c7d65",
    "name": "李白.txt",
    "source": "李白.txt",
    "characters": 1830,
    "passages": 4,
    "bytes": 5402,
    "indexed_at": "2026-01-01T08:00:00+00:00",
}


class IndexInfo(BaseModel):
    """One index."""

    model_config = example(**_INDEX)

    name: str
    documents: int
    passages: int
    embedding: str = Field(description="The embedding model that it was made with.")
    error: str | None = Field(default=None, description="Why it can't be used, if so.")


class IndexList(ListOf[IndexInfo]):
    """All indexes."""

    model_config = example(object="list", data=[_INDEX])


class DeletedIndex(BaseModel):
    """A deleted index."""

    model_config = example(name="合同", deleted=True)

    name: str
    deleted: Literal[True] = True


class DocumentInfo(BaseModel):
    """One document of an index."""

    id: str
    name: str
    source: str = Field(description="As `name`.")
    characters: int
    passages: int
    bytes: int
    indexed_at: str = Field(description="ISO 8601, UTC.")
    notes: list[str] = Field(default=[], description="What of it was not read.")


class DocumentList(ListOf[DocumentInfo]):
    """The documents of an index, by source."""

    model_config = example(object="list", data=[_DOCUMENT])


class DeletedDocument(BaseModel):
    """A document deleted from its index."""

    model_config = example(id="9f86d081884c7d65", deleted=True)

    id: str
    deleted: Literal[True] = True


class DocumentText(BaseModel):
    """The text of a document, to which the offsets of its passages refer."""

    model_config = example(id="9f86d081884c7d65", name="李白.txt", text="李白，字太白……")

    id: str
    name: str
    text: str


class SummarySentence(BaseModel):
    """A sentence of a summary, checked against the document."""

    text: str
    markers: list[int] = Field(
        description="Of the passages that support it together; none where it is to be checked."
    )
    lacking: list[str] = Field(description="Numbers and names in it that the document lacks.")


SUMMARY_CHECKS: dict[str, Any] = {
    "marked_text": "李白是唐代诗人，宝应元年在当涂病逝[1]。",
    "sentences": [
        {"text": "李白是唐代诗人，宝应元年在当涂病逝", "markers": [1], "lacking": []}
    ],
    "citations": [
        {
            "marker": 1, "document": "9f86d081884c7d65", "name": "李白.txt", "start": 0, "end": 18,
            "text": "唐代诗人李白，宝应元年在当涂病逝。",
        }
    ],
    "coverage": 0.5,
}  # fmt: skip


class SummaryText(BaseModel):
    """A summary, each of its sentences checked."""

    model_config = example(
        text="李白是唐代诗人，宝应元年在当涂病逝。", steps=1, notes=[], **SUMMARY_CHECKS
    )

    text: str
    steps: int = Field(description="How many times the model was asked for it.")
    notes: list[str] = Field(description="What the reader should know, as text left out.")
    marked_text: str = Field(description="With `[1]` after sentences that the document supports.")
    sentences: list[SummarySentence]
    citations: list[SummaryPassage]
    coverage: float | None = Field(
        description="Share of the document's passages that sentences come from, 0 to 1."
    )


class PassageList(ListOf[Passage]):
    """Passages, best first."""

    model_config = example(object="list", data=[PASSAGE])


class Suggestion(BaseModel):
    """A question to begin with."""

    question: str


class SuggestionList(ListOf[Suggestion]):
    """Questions that the documents of an index have something on; few or none where they don't."""

    model_config = example(object="list", data=[{"question": "年假是怎样的？"}])


class FailedFile(BaseModel):
    """A file that could not be read and is not kept; an earlier one of its name is."""

    name: str
    reason: str


class FileNote(BaseModel):
    """What of a file was not read, or how it was."""

    name: str
    text: str


_JOB = {
    "id": "0c1f7f6e",
    "index": "合同",
    "total": 2,
    "status": "done",
    "documents": 2,
    "passages": 17,
    "estimate": 17,
    "added": ["李白.txt"],
    "updated": [],
    "unchanged": 0,
    "failed": [{"name": "坏.pdf", "reason": "坏.pdf is damaged; save it again"}],
    "notes": [{"name": "李白.txt", "text": "1 picture was not read"}],
}


class Job(BaseModel):
    """Indexing some files."""

    model_config = example(**_JOB)

    id: str
    index: str
    total: int = Field(description="Files there are to look at.")
    status: Literal["queued", "running", "done", "failed", "cancelled"] = "queued"
    documents: int = Field(default=0, description="Files looked at so far.")
    passages: int = Field(default=0, description="Passages embedded so far.")
    estimate: int = Field(default=0, description="Passages there are, about; 0: not known.")
    added: list[str] = []
    updated: list[str] = []
    unchanged: int = 0
    failed: list[FailedFile] = []
    notes: list[FileNote] = Field(default=[], description="Of the files added or updated.")
    error: str | None = Field(default=None, description="Why the job as such failed, if so.")

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ("done", "failed", "cancelled")


class JobList(ListOf[Job]):
    """The jobs that are remembered, oldest first."""

    model_config = example(object="list", data=[_JOB])


class Health(BaseModel):
    """How the server is."""

    model_config = example(status="ready", ready=True)

    status: Literal["loading", "ready", "failed"]
    ready: bool = Field(description="Whether the language model is loaded.")
    error: str | None = Field(default=None, description="Why it can't be loaded, if so.")


class ServerSettings(BaseModel):
    """What requests get that ask for nothing else, and what may be uploaded."""

    model_config = example(
        llm="qwen2.5-coder-1.5b-instruct",
        embedding="multilingual-e5-small",
        k=4,
        retriever="hybrid",
        threshold=0.5,
        answer_chain="refine",
        temperature=0.0,
        max_new_tokens=400,
        summary_chain="refine",
        summary_length=200,
        formats=[".docx", ".md", ".pdf", ".txt"],
        max_files=1000,
        max_file_bytes=209715200,
        max_upload_bytes=2147483648,
    )

    llm: str = Field(description="Id of the language model.")
    embedding: str = Field(description="Id of the embedding model.")
    k: int = Field(description="Passages that a question is answered from.")
    retriever: RetrieverKind
    threshold: float = Field(description="Relevance below which nothing was found.")
    answer_chain: AnswerChain
    temperature: float
    max_new_tokens: int = Field(description="Most tokens of an answer.")
    summary_chain: SummaryChain
    summary_length: int = Field(description="Characters (Chinese) or words to aim at.")
    formats: list[str] = Field(description="Suffixes of the files that are read.")
    max_files: int = Field(description="Files in one upload.")
    max_file_bytes: int
    max_upload_bytes: int = Field(description="All files of one upload together.")
