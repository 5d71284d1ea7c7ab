"""Files → LangChain documents."""

import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from rag_app.documents.extraction import extract, kind_of, no_text
from rag_app.documents.formats import SUFFIXES, suffix_of
from rag_app.documents.sources import STDIN
from rag_app.documents.text import says_something, shown
from rag_app.errors import DocumentError
from rag_app.settings import MAX_FILE_BYTES, OcrMode

if TYPE_CHECKING:
    from rag_app.documents.ocr import KeptPictures

__all__ = ["SUFFIXES", "FileLoader"]


class FileLoader(BaseLoader):
    r"""Reads one file of any format in `SUFFIXES`; others are read if they turn out to be text.

    Args:
        path: The file, or ``-`` for standard input, whose format follows from its first bytes.
        encoding: The encoding of text files; found out by default.
        max_bytes: Size above which the file is refused.
        ocr: Whether pictures are read: ``auto`` where there is no text, ``always`` all pages of a
            PDF, ``never``. It needs the extra ``ocr``.
        pictures: What was read in pictures before, and keeps what is read now.

    Example:
        >>> _ = Path("tea.csv").write_text("tea,made\nsencha,steamed\n", encoding="gb18030")
        >>> (document,) = FileLoader("tea.csv").load()
        >>> document.page_content, document.metadata["loader"]
        ('tea: sencha; made: steamed', 'csv')
    """

    def __init__(
        self,
        path: str | Path,
        *,
        encoding: str | None = None,
        max_bytes: int = MAX_FILE_BYTES,
        ocr: OcrMode = "auto",
        pictures: "KeptPictures | None" = None,
    ) -> None:
        self.path = Path(path)
        self.encoding = encoding
        self.max_bytes = max_bytes
        self.ocr = ocr
        self.pictures = pictures

    def lazy_load(self) -> Iterator[Document]:
        """Yield one document: the whole text of the file.

        Its metadata: ``source`` (absolute path, or ``-``), ``loader`` (the format), ``encoding``
        (None where the format has its own) and ``page_starts``, the character offsets at which
        the pages or slides begin ([] where there are none); where there are any, ``notes`` of what
        was not read, ``boxes``, a `LineBox` of each line of a PDF as a list, and ``pages_end``,
        behind which files stand that are attached to it.

        Raises:
            DocumentError: the file is missing, empty, too large, damaged or binary, or holds no
                text.
        """
        data = self._bytes()
        name = "standard input" if self.path == STDIN else str(self.path)
        kind = kind_of(data, "" if self.path == STDIN else suffix_of(self.path), name)
        read = extract(
            data, kind, name, encoding=self.encoding, ocr=self.ocr, pictures=self.pictures
        )
        if not says_something(read.text):
            raise no_text(name)
        metadata: dict[str, Any] = {
            "source": self._source(),
            "loader": kind,
            "encoding": read.encoding,
            "page_starts": list(read.page_starts),
        }
        if read.notes:
            metadata["notes"] = list(read.notes)
        if read.pages_end is not None:
            metadata["pages_end"] = read.pages_end
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
                size = self._check_file()
                with self.path.open("rb") as file:  # not to its end, since it may grow
                    data = file.read(size)
        except FileNotFoundError as error:
            raise DocumentError(f"{shown(self.path)} does not exist; check the path") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            msg = f"{shown(self.path)} can't be read ({reason}); check the path and its rights"
            raise DocumentError(msg) from error
        if len(data) > self.max_bytes:
            raise self._too_large()
        return data

    def _check_file(self) -> int:
        """Return the size; refuse what must not even be opened: pipes and devices never end."""
        try:
            self._source().encode()
        except UnicodeEncodeError as error:
            msg = f"the name {shown(self.path)} is not valid text; rename the file"
            raise DocumentError(msg) from error
        status = self.path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise DocumentError(f"{shown(self.path)} is a folder, not a file")
        if not stat.S_ISREG(status.st_mode):
            msg = f"{shown(self.path)} is not a regular file; use - to read standard input"
            raise DocumentError(msg)
        if status.st_size > self.max_bytes:
            raise self._too_large()
        return status.st_size

    def _too_large(self) -> DocumentError:
        return DocumentError(
            f"{shown(self.path)} is larger than {self.max_bytes:,} bytes; "
            "split it, or raise RAG_APP_MAX_FILE_BYTES"
        )
