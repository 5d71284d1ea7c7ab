"""The formats that are read: by suffix, and by content where the suffix says nothing."""

import re
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import PurePath
from typing import NamedTuple


class LineBox(NamedTuple):
    """Where a line of a text is on its page; in points from the lower left corner."""

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
    """Where the lines of a PDF are."""
    pages_end: int | None = None
    """Where the last page ends, if files that are attached follow."""


FORMATS = {
    ".txt": "text",
    ".text": "text",
    **dict.fromkeys((".md", ".markdown", ".mdx", ".qmd", ".rmd"), "markdown"),
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    **dict.fromkeys((".docx", ".docm", ".dotx"), "docx"),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx", ".potx"), "pptx"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xltx"), "xlsx"),
    ".csv": "csv",
    ".tsv": "csv",
    ".epub": "epub",
    ".xmind": "xmind",
    **dict.fromkeys((".fb2", ".enex"), "xml"),
    ".rtf": "rtf",
    **dict.fromkeys((".odt", ".fodt"), "odt"),
    **dict.fromkeys((".ods", ".fods"), "ods"),
    **dict.fromkeys((".odp", ".fodp"), "odp"),
    **dict.fromkeys((".doc", ".wps", ".wpt"), "doc"),
    **dict.fromkeys((".xls", ".et", ".ett"), "xls"),
    **dict.fromkeys((".ppt", ".dps", ".dpt"), "ppt"),
    ".eml": "eml",
    ".mbox": "mbox",
    **dict.fromkeys((".ics", ".vcf"), "calendar"),
    ".msg": "msg",
    **dict.fromkeys((".mht", ".mhtml"), "mht"),
    ".ipynb": "ipynb",
    ".tex": "latex",
    ".rst": "rst",
    ".org": "org",
    **dict.fromkeys((".adoc", ".asciidoc"), "asciidoc"),
    **dict.fromkeys((".wiki", ".mediawiki"), "mediawiki"),
    ".textile": "textile",
    ".typ": "typst",
    **dict.fromkeys((".srt", ".vtt", ".ass", ".ssa", ".sbv", ".lrc"), "subtitles"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"), "image"),
}
"""Suffix → format, of the files that are looked for in folders."""

SUFFIXES = frozenset(FORMATS)

NAMED_FORMATS = {
    **FORMATS,
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "json"),
    **dict.fromkeys((".xml", ".opml", ".mm", ".drawio", ".ttml", ".dfxp", ".uof"), "xml"),
    ".properties": "properties",
    ".zip": "zip",
    ".tnef": "tnef",
}
"""Those and what is read only where it is named: data, which lies beside documents in folders."""

UNREAD = {
    **dict.fromkeys((".pages", ".numbers", ".key"), "export it as PDF, docx, xlsx or pptx"),
    **dict.fromkeys((".mobi", ".azw", ".azw3", ".prc", ".pdb", ".lit"),
                    "convert it to EPUB, such as with Calibre"),
    **dict.fromkeys((".caj", ".kdh", ".nh"), "open it in CAJViewer and save it as PDF"),
    **dict.fromkeys((".ofd", ".ceb", ".cebx", ".sep", ".pdg", ".hwp", ".hwpx", ".djvu",
                     ".xps", ".oxps", ".ps", ".eps"), "save or print it as PDF"),
    **dict.fromkeys((".lake", ".lakebook", ".jex"), "export its notes as Markdown"),
    ".chm": "unpack it, such as with 7-Zip, and name its HTML pages",
    **dict.fromkeys((".xlsb", ".xlt"), "save it as xlsx"),
    **dict.fromkeys((".7z", ".rar", ".gz", ".tar", ".tgz", ".bz2", ".xz"), "unpack it first"),
    **dict.fromkeys((".mp3", ".m4a", ".wav", ".amr", ".aac", ".flac", ".ogg", ".wma", ".mp4",
                     ".mov", ".avi", ".mkv", ".wmv", ".flv", ".webm"),
                    "write its words down first"),
    **dict.fromkeys((".dwg", ".dxf", ".vsd", ".vsdx", ".pub", ".one", ".odg", ".odf", ".wpd"),
                    "export it as PDF"),
    **dict.fromkeys((".heic", ".heif", ".avif", ".gif", ".psd"), "save it as PNG or JPEG"),
    **dict.fromkeys((".mmap", ".emmx", ".eddx"), "export it as docx or OPML"),
    **dict.fromkeys((".parquet", ".feather"), "export it as CSV"),
    **dict.fromkeys((".mdb", ".accdb", ".db", ".sqlite"), "export its tables as CSV"),
    **dict.fromkeys((".sub", ".idx", ".sup"), "save it as SRT, such as with Subtitle Edit"),
    **dict.fromkeys((".pst", ".ost"), "save its mails as eml or msg files"),
}  # fmt: skip
"""Suffix → what to do about a file of a format that is not read."""

_ARCHIVES = {"docx", "pptx", "xlsx", "epub", "xmind", "odt", "ods", "odp"}
_MARKUP = {
    "subtitles", "latex", "rst", "org", "asciidoc", "mediawiki", "textile", "typst", "calendar",
    "properties",
}  # fmt: skip
_TEXTS = {"text", "markdown", "html", "csv", *_MARKUP}
_HEADERS = re.compile(rb"(?:from .*\n)?[!-9;-~]+:.*\n[!-9;-~ \t]")
"""How the headers of a mail begin, in lower case."""
_SUBTITLES = re.compile(rb"webvtt\b|(?:\d+\s*\n)?\d\d:\d\d:\d\d[.,]\d+ --> \d|\[script info\]")
"""How subtitles begin, in lower case."""
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
    (b"{\\rtf", "rtf"),
    (b"\x78\x9f\x3e\x22", "tnef"),
    (b"\x09\x04\x06\0", "xls"),  # sheets of Excel 4, 3 and 2, which are in no OLE file
    (b"\x09\x02\x06\0", "xls"),
    (b"\x09\0\x04\0", "xls"),
)
"""First bytes → what it is; ``ole`` is Office before 2007, and later Office with a password."""


_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml\b|(?:\w+:)?(?:Workbook|wordDocument|package)\b)")
_XML_HEAD = 4096
"""Bytes in which the names of an XML file's first element are."""
_XML_KINDS = {
    b"<Workbook": "xml workbook",
    b":Workbook": "xml workbook",
    b":wordDocument": "xml document",
    b"http://schemas.microsoft.com/office/2006/xmlPackage": "xml document",
}
"""What is in the first element of Office files that are one XML file → format."""


def suffix_of(path: PurePath) -> str:
    """Return the suffix that formats are recognized by: in lower case, without spaces after it."""
    return path.suffix.rstrip().lower()


def is_text(kind: str) -> bool:
    """Return whether a format is text, whose encoding is to be found."""
    return kind in _TEXTS


def is_archive(kind: str) -> bool:
    """Return whether a format is a ZIP archive."""
    return kind in _ARCHIVES


XML_FORMATS = frozenset(_XML_KINDS.values())


def content_kind(data: bytes) -> str | None:
    """Return what binary ``data`` is by its first bytes, a format or another kind, else None."""
    kind = next((kind for mark, kind in _SIGNATURES if data.startswith(mark)), None)
    if kind is None and b"%PDF-" in data[:1024]:  # readers accept a preamble; so does PDFium
        return "pdf"
    if kind == "ole":
        return _ole_kind(data)
    if kind is None and _XML.match(data[:100]):
        return _xml_kind(data[:_XML_HEAD])
    return _zip_kind(data) if kind == "zip" else kind


def _xml_kind(head: bytes) -> str | None:
    """Return the format of an Office file that is one XML file, None if it is none."""
    office = b"urn:schemas-microsoft-com:office:" in head or b"schemas.microsoft.com/office" in head
    return next((kind for mark, kind in _XML_KINDS.items() if office and mark in head), None)


def text_kind(data: bytes) -> str:
    """Return the format of text by how it begins, a page, a mail or the like, else text."""
    start = data[:2048].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "html"
    if start.startswith(b"<?xml"):
        return "html" if b"<html" in start else "xml"
    if mail := mail_kind(data):
        return mail
    if _SUBTITLES.match(start):
        return "subtitles"
    escaped = start.startswith((b"{", b"[")) and b"\\u" in data
    return "json" if escaped else "text"


def mail_kind(data: bytes) -> str | None:
    """Return the format of a mail or web archive by the headers that it begins with, else None."""
    head = re.split(rb"\r?\n\r?\n", data[:20_000].lstrip(b"\xef\xbb\xbf \t\r\n"), maxsplit=1)[
        0
    ].lower()
    if not (_HEADERS.match(head) and b"\nmime-version:" in b"\n" + head):
        return None
    if b"\ncontent-type:" not in b"\n" + head:
        return None
    return "mht" if b"multipart/related" in head and b"\nto:" not in head else "eml"


def _zip_kind(data: bytes) -> str | None:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = [name.replace("\\", "/") for name in archive.namelist()]
            mime = archive.open("mimetype").read(100) if "mimetype" in names else b""
    except Exception:  # damaged; zipfile and zlib have many, for each way
        return None
    parts = {
        "word/document.xml": "docx",
        "ppt/presentation.xml": "pptx",
        "xl/workbook.xml": "xlsx",
        "META-INF/container.xml": "epub",
        "xl/workbook.bin": "xlsb",
        "OFD.xml": "ofd",
        "Index/Document.iwa": "pages",
    }
    kinds = {b".text": "odt", b".spreadsheet": "ods", b".presentation": "odp"}
    if mime.startswith(b"application/vnd.oasis.opendocument"):
        return next((kind for end, kind in kinds.items() if end in mime), "zip")
    return next((kind for part, kind in parts.items() if part in names), "zip")


def _ole_kind(data: bytes) -> str:
    """Return the format of an OLE file by its streams, ``ole`` where they give none."""
    from olefile import OleFileIO

    streams = {
        "WordDocument": "doc",
        "Workbook": "xls",
        "Book": "xls",
        "PowerPoint Document": "ppt",
        "__properties_version1.0": "msg",
        "EncryptedPackage": "locked",
    }
    try:
        with OleFileIO(BytesIO(data)) as file:
            return next((kind for name, kind in streams.items() if file.exists(name)), "ole")
    except Exception:  # damaged; olefile has no error of its own for all ways
        return "ole"
