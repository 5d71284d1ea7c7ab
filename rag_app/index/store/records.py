"""Documents, chunks and metadata of an index as dataclasses.

A passage often does not name what it is about. It is embedded and searched with its breadcrumb in
front, and shown so to the model: the name of its document, the headings above it, its table's head.
So are the folders of its document: of 300 with the same forms, words alone find the right one for
97 % of the questions, with vectors for 99.9 %. Its own text and offsets stay as they are.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from rag_app.models.embeddings.base import DocumentEmbeddings

FORMAT = 3
"""To be raised when loaders or splitters change what they make of the same file, or what is
embedded of it changes."""
_FILE_NAME = re.compile(r"(.+?)(?:\.tar)?\.[A-Za-z][A-Za-z0-9]{0,8}")
_NAMELESS = re.compile(
    r"[\W\d_]*|[0-9a-f]{8,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?:img|image|dsc|scan|screenshot|doc|docx?|document|file|page|part|text|untitled|copy|new"
    r"|sample|test|data|tmp|temp|index|readme|扫描件?|文档|文件|图片|未命名|无标题|新建[^\d]{0,12}|副本)"
    r"[\W\d_]*",
    re.IGNORECASE,
)
"""Names that say nothing about what is in a file: numbers, hashes, those that programs give."""
_EXPORTED = re.compile(r"(?<=\S) [0-9a-f]{32}(?:_all)?$")  # what Notion puts after a page's title
_CODE = re.compile(r"[A-Za-z]+[\W_]*\d[\W\d_]*")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_LONGEST = 300
"""Characters of a breadcrumb, of each of its lines: models embed little more than a passage."""
_LONGEST_FOLDERS = 100  # characters of the names of folders in it


@dataclass(frozen=True)
class IndexMeta:
    """What an index was made with; a different fingerprint means another vector space."""

    embedding: str
    fingerprint: str
    dimension: int
    chunk_size: int
    """Characters."""
    chunk_overlap: int
    """Characters."""

    @classmethod
    def of(cls, model: "DocumentEmbeddings", chunk_size: int, chunk_overlap: int) -> "IndexMeta":
        """Return what is noted of an embedding model and of chunks, in characters."""
        return cls(model.name, model.fingerprint, model.dimension, chunk_size, chunk_overlap)


@dataclass(frozen=True)
class Staging:
    """Vectors of another model made to replace the current ones."""

    embedding: str
    """The other model's name."""
    done: int
    """Chunks that have one."""


@dataclass(frozen=True)
class Generation:
    """One committed state: a counter, and a random token that no other state ever has.

    The counter alone can't distinguish a state from the one that took its place after a backup was
    restored or an index was made again.
    """

    number: int
    token: str


@dataclass(frozen=True)
class DocumentRecord:
    """One indexed source."""

    source: str
    content_hash: str
    """SHA-256 of the file's bytes, hexadecimal."""
    settings: str
    """Loader and chunking options it was indexed with; other options mean: index again."""
    loader: str | None = None
    encoding: str | None = None
    size: int = 0
    """Bytes."""
    characters: int = 0
    indexed_at: str = ""
    """ISO 8601, UTC; set by the store."""
    notes: tuple[str, ...] = ()
    """What of it was not read."""
    chunks: int = 0
    """Set by the store."""

    @property
    def is_outdated(self) -> bool:
        """Whether an earlier version read it, which the next run of ``rag-app index`` mends."""
        return bool(self._settings.get("format", FORMAT) != FORMAT)

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that it is searched by, outermost first."""
        return tuple(self._settings.get("folders", ()))

    @property
    def place(self) -> str:
        """The name of its file with those folders, for people."""
        return "/".join([*self.folders, PurePath(self.source).name])

    def in_folders(self, folders: Sequence[str]) -> "DocumentRecord":
        """Return the record as it is when its document is searched by ``folders``."""
        values = {name: value for name, value in self._settings.items() if name != "folders"}
        more = {"folders": list(folders)} if folders else {}
        return replace(self, settings=json.dumps(values | more)) if values else self

    @property
    def _settings(self) -> dict[str, Any]:
        """The settings of a file's document; empty of one that was made of texts."""
        return json.loads(self.settings) if self.settings.startswith("{") else {}


@dataclass(frozen=True)
class ChunkRecord:
    """One passage; ``text`` is the document's text from ``start`` to ``end`` (characters)."""

    text: str
    start: int
    end: int
    page: int | None = None
    heading: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further metadata; what JSON has no form for is stored as text."""
    key: str | None = None
    """The caller's own id, if it gave one."""
    ordinal: int = 0
    """Position in the document; set by the store."""
    id: int = 0
    """Never reused; set by the store."""
    source: str = ""
    """Set by the store."""

    @property
    def public_id(self) -> str:
        """The id that LangChain sees."""
        return self.key if self.key is not None else str(self.id)

    @property
    def searched_text(self) -> str:
        """The text below its breadcrumb: what terms are made of."""
        return self._below(document_name(self.source))

    @property
    def embedded_text(self) -> str:
        """The text below its breadcrumb, without a name that has no meaning: what is embedded."""
        name = document_name(self.source)
        return self._below("" if is_code(name) else name)

    def in_folders(self, folders: Sequence[str]) -> "ChunkRecord":
        """Return the passage as it is in a document that is searched by ``folders``."""
        extra = {name: value for name, value in self.extra.items() if name != "folders"}
        return replace(self, extra={**extra, "folders": list(folders)} if folders else extra)

    def _below(self, name: str) -> str:
        headings = _strings(self.extra.get("headings") or ([self.heading] if self.heading else []))
        # Those at the beginning of the passage are in its text.
        above = [title for title in headings if title not in self.text[: len(title) + 20]]
        folders = _strings(self.extra.get("folders"))
        crumb = breadcrumb(name, above, self.extra.get("table_head", ""), folders)
        return f"{crumb}\n{self.text}" if crumb else self.text

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of the passage as a LangChain document has it."""
        known = {"source": self.source, "start": self.start, "end": self.end}
        optional = {"page": self.page, "heading": self.heading}
        given = {name: value for name, value in optional.items() if value is not None}
        return {**self.extra, **known, **given, "ordinal": self.ordinal}

    def as_document(self, **found: Any) -> "Document":
        """Return the passage as a LangChain document, with what was found of it as metadata."""
        from langchain_core.documents import Document

        metadata = {**self.metadata(), **found}
        return Document(id=self.public_id, page_content=self.text, metadata=metadata)


def in_folders(
    document: DocumentRecord, chunks: Iterable[ChunkRecord], folders: Sequence[str]
) -> tuple[DocumentRecord, list[ChunkRecord]]:
    """Return a file's document and its passages as they are when searched by ``folders``."""
    if tuple(folders) == document.folders:
        return document, list(chunks)
    return document.in_folders(folders), [chunk.in_folders(folders) for chunk in chunks]


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def joined(chunks: Iterable[ChunkRecord]) -> str:
    """Return the text that ``chunks``, in order, were cut from, at the same offsets.

    Passages overlap; between two there is only white space, of which a line break and spaces are
    made here.
    """
    parts: list[str] = []
    end = 0
    for chunk in chunks:
        if chunk.start > end:
            parts.append("\n" + " " * (chunk.start - end - 1))
            end = chunk.start
        parts.append(chunk.text[end - chunk.start :])
        end = max(end, chunk.end)
    return "".join(parts)


def document_name(source: str) -> str:
    """Return the name of a document's file without its suffix; "" if it says nothing.

    Example:
        >>> document_name("/docs/AB007产品白皮书.pdf"), document_name("IMG_2041.png")
        ('AB007产品白皮书', '')
    """
    found = _FILE_NAME.fullmatch(PurePath(source).name)
    name = _EXPORTED.sub("", found[1]) if found else ""
    return "" if _NAMELESS.fullmatch(name) else name


def is_code(name: str) -> bool:
    """Return whether a name is a word with a number, which is searched for but has no meaning.

    Example:
        >>> is_code("TRIAL_12"), is_code("AB007产品白皮书")
        (True, False)
    """
    return _CODE.fullmatch(name) is not None


def breadcrumb(
    name: str, headings: Sequence[str] = (), table_head: str = "", folders: Sequence[str] = ()
) -> str:
    r"""Return the lines that a passage is searched and read with.

    Example:
        >>> breadcrumb("水泵手册", ["保修"], "型号 | 年限", ["docs", "二号车间"])
        '二号车间 › 水泵手册 › 保修\n型号 | 年限'
    """
    path = " › ".join(filter(None, [*telling_folders(folders), name, *headings]))
    return "\n".join(line[:_LONGEST] for line in (path, table_head) if line)


def telling_folders(folders: Sequence[str]) -> list[str]:
    """Return the names of folders that say something of what is in them, the innermost few.

    Example:
        >>> telling_folders(["2023", "分公司丙", "documents", "01"])
        ['2023', '分公司丙']
    """
    kept: list[str] = []
    for name in (_EXPORTED.sub("", folder) for folder in reversed(folders)):
        if not _YEAR.search(name) and _NAMELESS.fullmatch(name.removesuffix("s")):
            continue
        if sum(map(len, [*kept, name])) > _LONGEST_FOLDERS:
            break
        kept.append(name)
    return kept[::-1]
