"""Indexing's options, progress and report."""

from collections.abc import Callable
from dataclasses import dataclass, field

from langchain_text_splitters import TextSplitter

from rag_app.documents.langchain_loaders import Loader
from rag_app.settings import CHUNK_OVERLAP, CHUNK_SIZE, MAX_FILE_BYTES


@dataclass(frozen=True)
class IndexOptions:
    """How documents are read and cut; a document indexed with others is indexed again."""

    chunk_size: int = CHUNK_SIZE
    """Characters."""
    chunk_overlap: int = CHUNK_OVERLAP
    """Characters."""
    encoding: str | None = None
    """Of text files; detected by default."""
    loader: Loader | None = None
    """A LangChain loader in place of our own; see `rag_app.documents.langchain_loaders`."""
    splitter: TextSplitter | None = None
    """A LangChain splitter in place of our own."""
    max_bytes: int = MAX_FILE_BYTES
    """Size above which a file is refused."""
    prune: bool = False
    """Drop documents under the given paths whose source is gone."""


@dataclass(frozen=True)
class Failure:
    """A source that could not be indexed; an older version of it stays in the index."""

    source: str
    reason: str


@dataclass
class IndexReport:
    """What one run did: numbers of documents, except where said."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: list[Failure] = field(default_factory=list)
    chunks: int = 0
    """Chunks embedded and written."""
    seconds: float = 0.0
    """Wall time of the whole run."""
    embedding_seconds: float = 0.0
    """Wall time of the encoder in it."""


@dataclass(frozen=True)
class IndexProgress:
    """How far a run is."""

    source: str
    """The document that was looked at last."""
    documents: int
    """Looked at so far."""
    total: int
    """Documents that there are."""
    chunks: int
    """Chunks embedded so far."""


ProgressCallback = Callable[[IndexProgress], None]
"""Called after every document looked at and every batch embedded."""
