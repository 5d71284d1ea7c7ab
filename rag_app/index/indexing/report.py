"""Indexing's options, progress and report."""

from collections.abc import Callable
from dataclasses import dataclass, field

from langchain_text_splitters import TextSplitter

from rag_app.documents.langchain_loaders import Loader
from rag_app.settings import CHUNK_OVERLAP, CHUNK_SIZE, MAX_FILE_BYTES, OcrMode


@dataclass(frozen=True)
class IndexOptions:
    """How documents are read and cut; a document indexed with others is indexed again."""

    chunk_size: int = CHUNK_SIZE
    """Characters."""
    chunk_overlap: int = CHUNK_OVERLAP
    """Characters."""
    encoding: str | None = None
    """The encoding of text files; detected by default."""
    loader: Loader | None = None
    """A LangChain loader in place of our own; see `rag_app.documents.langchain_loaders`."""
    splitter: TextSplitter | None = None
    """A LangChain splitter in place of our own."""
    ocr: OcrMode = "auto"
    """Whether pictures are read; see `rag_app.documents.loaders.FileLoader`."""
    stdin_name: str | None = None
    """What standard input is called; by default ``-``, so that the next one takes its place."""
    exclude: tuple[str, ...] = ()
    """Globs of files and folders to leave out; see `rag_app.documents.sources.search_sources`."""
    roots: tuple[str, ...] = ()
    """Folders below which a document is searched by the names of folders too; by default those
    that are indexed, see `rag_app.index.indexing.placement.Roots`."""
    max_bytes: int = MAX_FILE_BYTES
    """Size above which a file is refused."""
    max_passages: int | None = None
    """Passages above which a document is refused."""
    words_first: bool = True
    """In an index on this machine, write documents before they are embedded: their words find them
    meanwhile, and an interrupted run leaves them without vectors. If not, they are written at once.
    """
    prune: bool = False
    """Drop documents under the given paths whose source is gone."""


@dataclass(frozen=True)
class Failure:
    """A source that could not be indexed; an older version of it stays in the index."""

    source: str
    reason: str


@dataclass(frozen=True)
class Note:
    """What of a document was not read, or how it was."""

    source: str
    text: str


@dataclass
class IndexReport:
    """What one run did: numbers of documents, except where said.

    Example:
        >>> from pathlib import Path
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from rag_app import RagApp
        >>> _ = Path("tea.txt").write_text("Green tea is steamed.", encoding="utf-8")
        >>> app = RagApp(embeddings=DeterministicFakeEmbedding(size=8))
        >>> app.index(["tea.txt"]).added, app.index(["tea.txt"]).unchanged
        (1, 1)
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    renamed: int = 0
    """Found under another name, with the content of a document whose file is gone."""
    placed: int = 0
    """Unchanged ones that were not found by the names of their folders before."""
    removed: int = 0
    written: dict[str, bool] = field(default_factory=dict)
    """Sources of documents added, updated or renamed → whether the index had them before."""
    failed: list[Failure] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    """Notes on the documents that were added or updated."""
    skipped: dict[str, dict[str, int]] = field(default_factory=dict)
    """Why files were passed over → their kinds → how many."""
    chunks: int = 0
    """Chunks embedded and written."""
    seconds: float = 0.0
    """Wall time of the whole run."""
    embedding_seconds: float = 0.0
    """Wall time of the encoder in it."""
    searchable_seconds: float | None = None
    """Wall time until the documents that were added or updated could be found by their words."""


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
    found: int = 0
    """Chunks that the documents looked at have, those of unchanged ones left out."""
    searchable: int = 0
    """Documents that were added or updated and are found by their words, once all are."""
    within: str = ""
    """How far the document is that takes long: ``120,000 rows``."""

    @property
    def estimate(self) -> int:
        """How many chunks there will be to embed, judged by the documents looked at."""
        return self.found * self.total // max(self.documents, 1)


ProgressCallback = Callable[[IndexProgress], None]
"""Called after every document looked at and batch embedded, and now and then in a long document."""
