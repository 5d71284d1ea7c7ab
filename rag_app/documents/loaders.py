"""Files → LangChain documents."""

import stat
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from rag_app.documents.encoding import decode
from rag_app.documents.formats import (
    FORMATS,
    SUFFIXES,
    ExtractedText,
    content_kind,
    is_archive,
    is_text,
    text_kind,
)
from rag_app.documents.sources import STDIN
from rag_app.documents.text import clean, shown
from rag_app.errors import DocumentError
from rag_app.settings import MAX_FILE_BYTES, OcrMode

__all__ = ["SUFFIXES", "FileLoader"]

_READERS = {
    "pdf": ("rag_app.documents.pdf.reader", "read_pdf"),
    "docx": ("rag_app.documents.office.docx", "read_docx"),
    "pptx": ("rag_app.documents.office.pptx", "read_pptx"),
    "xlsx": ("rag_app.documents.office.spreadsheet", "read_xlsx"),
    "epub": ("rag_app.documents.web.epub", "read_epub"),
    "image": ("rag_app.documents.ocr", "read_image"),
}
"""Format → module and function that read it; parsers are imported when first needed."""
_WITH_PICTURES = {"pdf", "docx", "pptx", "image"}
"""Formats whose readers take a reader of pictures."""
_WHAT = {
    "ole": "an Office file of before 2007, or one with a password; save a copy as docx without one",
    "zip": "a ZIP archive; unpack it and name the files",
    "image": "a picture",
}


class FileLoader(BaseLoader):
    """Reads one file of any format in `SUFFIXES`; others are read if they turn out to be text.

    Args:
        path: The file, or ``-`` for standard input, whose format is told by its first bytes.
        encoding: Of text files; found out by default.
        max_bytes: Size above which the file is refused.
        ocr: Whether pictures are read: ``auto`` where there is no text, ``always`` all pages of a
            PDF, ``never``. It needs the extra ``ocr``.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        encoding: str | None = None,
        max_bytes: int = MAX_FILE_BYTES,
        ocr: OcrMode = "auto",
    ) -> None:
        self.path = Path(path)
        self.encoding = encoding
        self.max_bytes = max_bytes
        self.ocr = ocr

    def lazy_load(self) -> Iterator[Document]:
        """Yield one document: the whole text of the file.

        Its metadata: ``source`` (absolute path, or ``-``), ``loader`` (the format), ``encoding``
        (None where the format has its own) and ``page_starts``, the character offsets at which
        the pages or slides begin ([] where there are none); where there are any, ``notes`` of what
        was not read, and ``boxes``, a `LineBox` of each line of a PDF as a list.

        Raises:
            DocumentError: the file is missing, empty, too large, damaged or binary, or holds no
                text.
        """
        data = self._bytes()
        name = "standard input" if self.path == STDIN else str(self.path)
        kind = self._kind(data, name)
        try:
            read = _extracted(data, kind, name, self.encoding, self.ocr)
        except DocumentError:
            raise
        except Exception as error:  # the parsers have errors of their own, none of them documented
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
            msg = f"{shown(name)} is damaged or no {kind} file ({shown(reason)}); save it anew"
            raise DocumentError(msg) from error
        if not read.text.strip():
            raise _no_text(name)
        metadata: dict[str, Any] = {
            "source": self._source(),
            "loader": kind,
            "encoding": read.encoding,
            "page_starts": list(read.page_starts),
        }
        if read.notes:
            metadata["notes"] = list(read.notes)
        if read.boxes:
            metadata["boxes"] = [list(box) for box in read.boxes]
        yield Document(page_content=read.text, metadata=metadata)

    def _source(self) -> str:
        return "-" if self.path == STDIN else str(self.path.resolve())

    def _bytes(self) -> bytes:
        try:
            if self.path == STDIN:
                data = sys.stdin.buffer.read(self.max_bytes + 1)
            else:
                self._check_file()
                data = self.path.read_bytes()  # not read(limit), which would take that much memory
        except FileNotFoundError as error:
            msg = f"{shown(self.path)} does not exist; check the path"
            raise DocumentError(msg) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            msg = f"{shown(self.path)} can't be read ({reason}); check the path and its rights"
            raise DocumentError(msg) from error
        if len(data) > self.max_bytes:
            raise self._too_large()
        return data

    def _check_file(self) -> None:
        """Refuse what must not even be opened: pipes and devices never end."""
        try:
            self._source().encode()
        except UnicodeEncodeError as error:
            msg = f"the name {shown(self.path)} is not valid text; rename the file"
            raise DocumentError(msg) from error
        status = self.path.stat()
        if stat.S_ISDIR(status.st_mode):
            msg = f"{shown(self.path)} is a folder, not a file"
            raise DocumentError(msg)
        if not stat.S_ISREG(status.st_mode):
            msg = f"{shown(self.path)} is no regular file; use - to read standard input"
            raise DocumentError(msg)
        if status.st_size > self.max_bytes:
            raise self._too_large()

    def _too_large(self) -> DocumentError:
        return DocumentError(
            f"{shown(self.path)} is larger than {self.max_bytes:,} bytes; "
            "split it, or raise RAG_APP_MAX_FILE_BYTES"
        )

    def _kind(self, data: bytes, name: str) -> str:
        """Return the format, by suffix; where that says nothing or text is binary, by content."""
        if not data.strip():
            raise _no_text(name)
        known = FORMATS.get(self.path.suffix.lower()) if self.path != STDIN else None
        found = content_kind(data)
        if found in FORMATS.values() and not (known and is_text(known)):
            return str(found)
        kind = known or text_kind(data)
        # Text may begin like a file of another kind, but holds no NUL.
        binary = data.startswith(b"%PDF-") or b"\0" in data[:4096]
        damaged = found == "zip" and is_archive(kind)  # or odd: its parser will tell
        if found is None or damaged or (is_text(kind) and not binary):
            return kind
        what = _WHAT.get(found, f"a {found} file")
        suffix = next((suffix for suffix, kind in FORMATS.items() if kind == found), None)
        advice = f"{what}; give it the suffix {suffix}" if suffix else what
        msg = f"{shown(name)} holds no text that can be read: it is {advice}"
        raise DocumentError(msg)


def _extracted(
    data: bytes, kind: str, name: str, encoding: str | None, ocr: OcrMode
) -> ExtractedText:
    if is_text(kind):
        return _extracted_text(data, kind, name, encoding)
    module, function = _READERS[kind]
    read: Callable[..., ExtractedText] = getattr(import_module(module), function)
    if kind not in _WITH_PICTURES:
        return read(data, name)
    from rag_app.documents.ocr import reader_of

    always = {"always": True} if kind == "pdf" and ocr == "always" else {}
    return read(data, name, reader_of(ocr, name), **always)


def _extracted_text(data: bytes, kind: str, name: str, encoding: str | None) -> ExtractedText:
    if kind == "html":
        from rag_app.documents.web.html import declared_charset, page_markdown

        text, codec = decode(data, name, encoding, declared=declared_charset(data))
        return ExtractedText(page_markdown(text), codec)
    text, codec = decode(data, name, encoding)
    text = clean(text)
    if kind == "csv":
        from rag_app.documents.office.delimited import read_csv

        return ExtractedText(read_csv(text), codec)
    return ExtractedText(text, codec)


def _no_text(name: str) -> DocumentError:
    return DocumentError(f"{shown(name)} holds no text: it is empty or blank; leave it out")
