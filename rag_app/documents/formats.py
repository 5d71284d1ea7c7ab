"""The formats that are read: by suffix, and by content where the suffix says nothing."""

import zipfile
from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple


class LineBox(NamedTuple):
    """Where a line of a text stands on its page; in points from the lower left corner."""

    start: int
    """Offset in the text."""
    end: int
    page: int
    """1-based."""
    left: float
    bottom: float
    right: float
    top: float


class ExtractedText(NamedTuple):
    """What a file says."""

    text: str
    encoding: str | None = None
    """None where the format has its own."""
    page_starts: Sequence[int] = ()
    """Character offsets at which the pages or slides begin."""
    notes: Sequence[str] = ()
    """What was not read, and what to do about it."""
    boxes: Sequence[LineBox] = ()
    """Of the lines of a PDF."""


FORMATS = {
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".pptx": "pptx",
    ".xlsx": "xlsx",
    ".csv": "csv",
    ".tsv": "csv",
    ".epub": "epub",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"), "image"),
}
"""Suffix → format. Not json, jsonl, log: data, which a folder of documents often holds beside them;
named explicitly they are read as text, as any other text is."""

SUFFIXES = frozenset(FORMATS)

_ARCHIVES = {"docx", "pptx", "xlsx", "epub"}
_TEXTS = {"text", "markdown", "html", "csv"}
_SIGNATURES = (
    (b"%PDF-", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"II*\0", "image"),
    (b"MM\0*", "image"),
    (b"GIF8", "gif"),
    (b"\x7fELF", "elf"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"SQLite format 3\0", "sqlite"),
    (b"GGUF", "gguf"),
)
"""First bytes → what it is; ``ole`` is Office before 2007, and later Office with a password."""


def is_text(kind: str) -> bool:
    """Return whether a format is text, whose encoding is to be found."""
    return kind in _TEXTS


def is_archive(kind: str) -> bool:
    """Return whether a format is a ZIP archive."""
    return kind in _ARCHIVES


def content_kind(data: bytes) -> str | None:
    """Return what binary ``data`` is by its first bytes, a format or another kind, else None."""
    kind = next((kind for mark, kind in _SIGNATURES if data.startswith(mark)), None)
    if kind is None and b"%PDF-" in data[:1024]:  # readers accept a preamble; so does PDFium
        return "pdf"
    return _zip_kind(data) if kind == "zip" else kind


def text_kind(data: bytes) -> str:
    """Return ``html`` if text begins as a web page does, else ``text``."""
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return "html" if start.startswith((b"<!doctype html", b"<html")) else "text"


def _zip_kind(data: bytes) -> str | None:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return None  # damaged
    parts = {
        "word/document.xml": "docx",
        "ppt/presentation.xml": "pptx",
        "xl/workbook.xml": "xlsx",
        "META-INF/container.xml": "epub",
    }
    return next((kind for part, kind in parts.items() if part in names), "zip")
