"""One document for an index: whether it has changed, its text, its chunks, its file's place."""

import hashlib
import json
import stat
from pathlib import Path

from langchain_core.documents import Document

from model_prep.json_file import is_encodable
from model_prep.output import sync
from rag_app.documents.langchain_loaders import load_whole, loader_name
from rag_app.documents.loaders import FileLoader
from rag_app.documents.object_stores import RemoteFile, SourcePath, is_url
from rag_app.documents.ocr import KeptPictures, is_available
from rag_app.documents.sources import STDIN
from rag_app.documents.splitters import ChineseTextSplitter, split_with_offsets
from rag_app.documents.text import shown
from rag_app.errors import DocumentError
from rag_app.index.indexing.report import Failure, IndexOptions
from rag_app.index.store.lock import unwritable
from rag_app.index.store.records import FORMAT, ChunkRecord, DocumentRecord
from rag_app.surroundings import is_there

_OWN_FIELDS = {"source", "start", "end", "page", "heading"}
_DOCUMENT_FIELDS = {"loader", "encoding", "page_starts", "pages_end", "notes"}


def name_of(path: SourcePath, stdin_name: str | None = None) -> str:
    """Return what a source is called in the index."""
    if isinstance(path, RemoteFile):
        return path.url
    return (stdin_name or "-") if path == STDIN else str(path.resolve())


def misnamed(path: SourcePath, source: str) -> Failure | None:
    """Return why nothing can be indexed under a name; None if it can."""
    if is_encodable(source):  # SQLite keeps UTF-8
        return None
    return Failure(ascii(str(path)), "its name is not valid text; rename it")


def is_gone(source: str) -> bool:
    """Return whether the file of a document is gone; of a URL that is not looked into."""
    return not (is_url(source) or is_there(Path(source)))


def file_hash(path: SourcePath, max_bytes: int) -> str | None:
    """Return the SHA-256 of a file; None for standard input and files that are refused anyway.

    Raises:
        DocumentError: it is a pipe or a device, which need not end; or a URL that can't be read.
    """
    if isinstance(path, RemoteFile):
        return path.sha256(max_bytes)
    if path == STDIN:
        return None
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DocumentError(f"{shown(path)} is not a regular file; use - to read standard input")
    if status.st_size > max_bytes:
        return None
    digest, left = hashlib.sha256(), status.st_size
    with path.open("rb") as file:  # not to its end, since it may grow as fast as it is read
        while left and (block := file.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def failure_reason(error: DocumentError | OSError) -> str:
    """Return why a document can't be read."""
    if isinstance(error, OSError):
        return f"can't be read ({error.strerror or error})"
    return str(error)


def is_current(known: DocumentRecord, digest: str, options: IndexOptions) -> bool:
    """Return whether reading a file with these bytes would give the document that is indexed."""
    all_pages = options.ocr == "always" and known.loader == "pdf"
    good = {_settings(options, ocr=_ocr(options))} | (set() if all_pages else {_settings(options)})
    return known.content_hash == digest and known.in_folders(()).settings in good


def read_document(
    path: SourcePath,
    source: str,
    digest: str | None,
    options: IndexOptions,
    pictures: KeptPictures | None = None,
) -> tuple[DocumentRecord, list[ChunkRecord]]:
    """Return the document at ``path`` and its chunks.

    Args:
        path: The file, its URL, or ``-``.
        source: What it is called in the index.
        digest: That of its bytes, taken before reading, in case it changes; of its text by default.
        options: How it is read and cut.
        pictures: What was read in pictures before, and keeps what is read now.

    Raises:
        DocumentError: it can't be read or holds no text.
    """
    if isinstance(path, RemoteFile):
        return _read_copy(path, digest, options, pictures)
    loaded = _load(path, options, pictures)
    own = ChineseTextSplitter(options.chunk_size, options.chunk_overlap)
    parts = split_with_offsets(options.splitter or own, loaded)
    if not parts:
        raise DocumentError(f"{shown(source)} holds no text")
    if options.max_passages and len(parts) > options.max_passages:
        raise DocumentError(
            f"{shown(source)} has {len(parts):,} passages, more than {options.max_passages:,}; "
            "split it into several files"
        )
    text, loader = loaded.page_content, loaded.metadata.get("loader")
    notes = tuple(loaded.metadata.get("notes", ()))
    # Where all was read, another way to read pictures would change nothing.
    with_pictures = bool(notes) or (options.ocr == "always" and loader == "pdf")
    record = DocumentRecord(
        source=source,
        content_hash=digest or hashlib.sha256(text.encode()).hexdigest(),
        settings=_settings(options, ocr=_ocr(options) if with_pictures else None),
        loader=loader,
        encoding=loaded.metadata.get("encoding"),
        size=len(text.encode()) if path == STDIN else path.stat().st_size,
        characters=len(text),
        notes=notes,
    )
    return record, [_chunk(part, source) for part in parts]


def _read_copy(
    remote: RemoteFile, digest: str | None, options: IndexOptions, pictures: KeptPictures | None
) -> tuple[DocumentRecord, list[ChunkRecord]]:
    with remote.copied(options.max_bytes) as copy:
        try:
            return read_document(copy, remote.url, digest, options, pictures)
        except DocumentError as error:
            raise DocumentError(str(error).replace(shown(copy), shown(remote))) from error


def _load(path: Path, options: IndexOptions, pictures: KeptPictures | None) -> Document:
    if options.loader is not None:
        return load_whole(options.loader, path)
    loader = FileLoader(
        path,
        encoding=options.encoding,
        max_bytes=options.max_bytes,
        ocr=options.ocr,
        pictures=pictures,
    )
    return loader.load()[0]


def _settings(options: IndexOptions, ocr: str | None = None) -> str:
    names = ("chunk_size", "chunk_overlap", "encoding")
    values = {"format": FORMAT, **{name: getattr(options, name) for name in names}}
    values["loader"] = options.loader and loader_name(options.loader)
    if options.splitter:
        values["splitter"] = f"{type(options.splitter).__qualname__} {vars(options.splitter)}"
    if ocr:
        values["ocr"] = ocr
    return json.dumps(values)


def _ocr(options: IndexOptions) -> str:
    """Return how pictures are read here, which the extra ``ocr`` decides too."""
    return options.ocr if options.ocr == "always" or is_available() else "never"


def _chunk(part: Document, source: str) -> ChunkRecord:
    metadata = part.metadata
    known = _OWN_FIELDS | _DOCUMENT_FIELDS
    return ChunkRecord(
        text=part.page_content,
        start=metadata["start"],
        end=metadata["end"],
        page=metadata.get("page"),
        heading=metadata.get("heading"),
        extra={name: value for name, value in metadata.items() if name not in known},
        source=source,
    )


def check_free(target: Path) -> None:
    """Raise DocumentError if a file can't be moved to ``target``."""
    taken = next((folder for folder in target.parents if folder.is_file()), None)
    if target.is_dir() or taken:
        what = f"{taken} is a file" if taken else f"{target} is a folder"
        raise DocumentError(f"{what} already; choose another name")


def move_file(path: Path, target: Path) -> None:
    """Move a file that the index holds to where its document says it is.

    Raises:
        IndexStoreError: that folder can't be written.
    """
    if target == path:
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        sync(target.parent)
    except OSError as error:
        raise unwritable(target.parent, error) from error
