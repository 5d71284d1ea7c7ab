"""Bytes of any format → their text: which format it is, and the reader of each."""

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING

from rag_app.documents.encodings.damage import SKIPPED
from rag_app.documents.encodings.detection import decode
from rag_app.documents.formats import (
    FORMATS,
    NAMED_FORMATS,
    UNREAD,
    XML_FORMATS,
    ExtractedText,
    content_kind,
    is_archive,
    is_text,
    mail_kind,
    suffix_of,
    text_kind,
)
from rag_app.documents.parts import MAX_DEPTH, PartsBudget, ReadPart
from rag_app.documents.text import clean, says_something, shown
from rag_app.errors import DocumentError
from rag_app.settings import OcrMode

if TYPE_CHECKING:
    from rag_app.documents.ocr import KeptPictures

_MAIL, _OFFICE, _SHEETS, _WEB = (
    f"rag_app.documents.{room}" for room in ("mail", "office", "sheets", "web")
)
_READERS = {
    "pdf": ("rag_app.documents.pdf.reader", "read_pdf"),
    "docx": (f"{_OFFICE}.word.docx", "read_docx"),
    "pptx": (f"{_OFFICE}.pptx", "read_pptx"),
    "xlsx": (f"{_SHEETS}.spreadsheet", "read_xlsx"),
    "xls": (f"{_SHEETS}.old_spreadsheet", "read_xls"),
    "doc": (f"{_OFFICE}.legacy", "read_doc"),
    "ppt": (f"{_OFFICE}.legacy", "read_ppt"),
    "msg": (f"{_OFFICE}.outlook", "read_msg"),
    "tnef": (f"{_OFFICE}.tnef", "read_tnef"),
    "rtf": (f"{_OFFICE}.rtf.reader", "read_rtf"),
    **dict.fromkeys(("odt", "ods", "odp"), (f"{_OFFICE}.open_document.document", "read_odf")),
    "epub": (f"{_WEB}.epub", "read_epub"),
    "xmind": ("rag_app.documents.markup.xmind", "read_xmind"),
    "eml": (f"{_MAIL}.message", "read_mail"),
    "mbox": (f"{_MAIL}.mbox", "read_mbox"),
    "mht": (f"{_MAIL}.message", "read_web_archive"),
    "ipynb": (f"{_WEB}.structured", "read_notebook"),
    "json": (f"{_WEB}.structured", "read_json"),
    "xml": (f"{_WEB}.xml_text", "read_xml"),
    "image": ("rag_app.documents.ocr", "read_image"),
    "xml workbook": (f"{_SHEETS}.xml_workbook", "read_xml_workbook"),
    "xml document": (f"{_OFFICE}.xml_document", "read_xml_document"),
    "zip": ("rag_app.documents.parts", "read_zip"),
}
"""Format → module and function that read it; parsers are imported when first needed."""
_MARKUP = {
    "calendar": ("rag_app.documents.markup.calendars", "calendar_markdown"),
    "properties": ("rag_app.documents.markup.properties", "properties_text"),
    "rst": ("rag_app.documents.markup.restructured", "restructured_markdown"),
    "org": ("rag_app.documents.markup.org", "org_markdown"),
    "asciidoc": ("rag_app.documents.markup.asciidoc", "asciidoc_markdown"),
    "mediawiki": ("rag_app.documents.markup.mediawiki", "mediawiki_markdown"),
    "textile": ("rag_app.documents.markup.textile", "textile_markdown"),
    "typst": ("rag_app.documents.markup.typst", "typst_markdown"),
    "subtitles": ("rag_app.documents.markup.subtitles", "subtitles_markdown"),
    "latex": ("rag_app.documents.markup.latex", "latex_markdown"),
}
"""Format of text → module and function that make it Markdown; what they are given is cleaned."""
_WITH_PICTURES = {"pdf", "docx", "pptx", "xlsx", "odt", "ods", "odp", "image",
                  "xml document"}  # fmt: skip
"""Formats whose readers take a reader of pictures."""
_WITH_PARTS = {"pdf", "eml", "mbox", "msg", "tnef", "doc", "ppt", "zip"}
"""Formats whose readers take a reader of what they hold."""
_OF_JSON = re.compile(rb"\\u[0-9a-fA-F]{4}|[{,]\s*\"[^\"\n]{1,100}\"\s*:")
"""A character or a key of JSON, which is damaged where it can't be parsed."""
_EMBEDDED = re.compile(r"\bdata:[\w.+-]+/[\w.+-]+(?:;[\w=.-]+)*;base64,[A-Za-z0-9+/]{40,}={0,2}")
"""A file in a URL (RFC 2397), as pictures are in Markdown."""
_ARMOR = re.compile(
    r"^-----BEGIN ([A-Z0-9 ]+)-----\n(?:[\w-]+: .*\n|\n|[A-Za-z0-9+/=]+\n)+-----END \1-----$",
    re.MULTILINE,
)
"""What is encrypted, signed or a key, in base64 (RFC 7468, RFC 9580)."""
_MAIL_HEAD = re.compile(
    rb"\s*(?:(?:[A-Za-z][\w-]{1,40}:.*\n(?:[ \t].*\n)*){2}|From .*\n[A-Za-z-]+:"
    rb"|(?:From|To|Subject|Date|Received|MIME-Version|Content-Type|Message-ID):)",
    re.IGNORECASE,
)
"""The head of a mail (RFC 5322)."""
_WITH_ENCODING = {"ipynb", "json", "xml"}
_LEGACY = {"doc", "xls", "ppt"}
_WHAT = {
    "ole": "an Office file of before 2007, or one with a password; save a copy as docx without one",
    "locked": "an Office file with a password; save a copy without one",
    "zip": "a ZIP archive; unpack it and name the files",
    "image": "a picture",
}


def kind_of(data: bytes, suffix: str, name: str) -> str:
    """Return the format, by suffix; where that says nothing or text is binary, by content.

    Raises:
        DocumentError: it is empty, or of a format that is not read.
    """
    if not data.strip():
        raise no_text(name)
    known, found = NAMED_FORMATS.get(suffix), content_kind(data)
    readable = found in {*NAMED_FORMATS.values(), *XML_FORMATS} and (
        found != "zip" or known in {None, "zip"}
    )
    if suffix in UNREAD and (not readable or found == "zip"):
        msg = f"{shown(name)}: files of the kind {suffix} are not read; {UNREAD[suffix]}"
        raise DocumentError(msg)
    if readable and (not (known and is_text(known)) or (found, known) == ("rtf", "text")):
        return str(found)
    kind = _text_kind(data, known, name) if found is None else known or text_kind(data)
    # Text may begin like a file of another kind, but holds no NUL.
    binary = data.startswith(b"%PDF-") or b"\0" in data[:4096]
    # Damaged or odd: its parser decides.
    damaged = (found == "zip" and is_archive(kind)) or (found == "ole" and kind in {"xls", "msg"})
    if found is None or damaged or (is_text(kind) and not binary):
        return kind
    what = _WHAT.get(found, f"a {found} file")
    known_suffix = next((suffix for suffix, kind in FORMATS.items() if kind == found), None)
    advice = f"{what}; give it the suffix {known_suffix}" if known_suffix else what
    if f".{found}" in UNREAD:
        advice = f"{what}; {UNREAD[f'.{found}']}"
    raise DocumentError(f"{shown(name)} holds no text that can be read: it is {advice}")


def _text_kind(data: bytes, known: str | None, name: str) -> str:
    """Return the format of what has no mark of a binary one; its suffix may be borrowed."""
    if known == "json":  # or text of a suffix that means JSON by habit only
        start = data[:64].translate(None, b"\0\xff\xfe\xef\xbb\xbf \t\r\n")[:1]
        commented = data.lstrip()[:2] in (b"//", b"/*")  # JavaScript, by its suffix alone
        escaped = start in (b"{", b"[", b'"') or (_OF_JSON.search(data) and not commented)
        return "json" if escaped else "text"
    if known == "msg":  # Outlook's suffix, which other programs give to mails as they were sent
        return "eml" if _MAIL_HEAD.match(data) else known
    if known == "text":
        return mail_kind(data) or known
    if known not in _LEGACY:
        return known or text_kind(data)
    # Programs write pages and lists of values under the suffixes of Office.
    kind = text_kind(data)
    lines = [line for line in data[:10_000].split(b"\n") if line.strip()][:-1]
    if kind == "text" and known == "xls" and lines and _is_delimited(lines):
        kind = "csv"
    if kind == "text":
        raise DocumentError(
            f"{shown(name)} is damaged or not a valid {known} file; open it in its program "
            f"and save it as .{known}x"
        )
    return kind


def _is_delimited(lines: Sequence[bytes]) -> bool:
    """Return whether each line has tabs, or as many commas as each other."""
    commas = {line.count(b",") for line in lines}
    return all(b"\t" in line for line in lines) or (len(commas) == 1 and commas != {0})


def extract(
    data: bytes,
    kind: str,
    name: str,
    *,
    encoding: str | None = None,
    ocr: OcrMode = "auto",
    pictures: "KeptPictures | None" = None,
    depth: int = 0,
    budget: PartsBudget | None = None,
) -> ExtractedText:
    """Return the text of a file.

    Args:
        data: The whole file.
        kind: Its format, by `kind_of`.
        name: What errors call it.
        encoding: The encoding of text; found out by default.
        ocr: Whether pictures are read.
        pictures: What was read in pictures before, and keeps what is read now.
        depth: How deep the file is in others.
        budget: What may still be read of the parts of the file it is in.

    Raises:
        DocumentError: it is damaged, or means harm.
    """
    try:
        if is_text(kind):
            return _text(data, kind, name, encoding)
        module, function = _READERS[kind]
        read: Callable[..., ExtractedText] = getattr(import_module(module), function)
        if kind in _WITH_ENCODING:
            return read(data, name, encoding)
        readers: list[object] = []
        if kind in _WITH_PICTURES:
            from rag_app.documents.ocr import reader_of

            readers.append(reader_of(ocr, name, pictures))
        if kind in _WITH_PARTS:
            readers.append(_part_reader(ocr, pictures, depth + 1, budget or PartsBudget()))
        always = {"always": True} if kind == "pdf" and ocr == "always" else {}
        return read(data, name, *readers, **always)
    except DocumentError:
        raise
    except Exception as error:  # the parsers have errors of their own, none of them documented
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise DocumentError(
            f"{shown(name)} is damaged or not a valid {kind} file ({shown(reason)}); save it again"
        ) from error


def no_text(name: str) -> DocumentError:
    """Return the error that a file says nothing."""
    return DocumentError(f"{shown(name)} holds no text: it is empty or blank; leave it out")


def _part_reader(
    ocr: OcrMode, pictures: "KeptPictures | None", depth: int, budget: PartsBudget
) -> ReadPart:
    def read_part(data: bytes, name: str) -> ExtractedText:
        if depth > MAX_DEPTH:
            msg = f"{shown(name)} is too deep in other files; unpack them and name it"
            raise DocumentError(msg)
        budget.spend(data, name)
        kind = kind_of(data, suffix_of(PurePath(name)), name)
        found = extract(data, kind, name, ocr=ocr, pictures=pictures, depth=depth, budget=budget)
        if not says_something(found.text):
            raise no_text(name)
        return found

    return read_part


def _text(data: bytes, kind: str, name: str, encoding: str | None) -> ExtractedText:
    if kind == "html":
        from rag_app.documents.web.html import declared_charset
        from rag_app.documents.web.page import read_page

        text, codec = decode(data, name, encoding, declared=declared_charset(data))
        said, notes = read_page(text, name)
        return ExtractedText(said, codec, notes=[*notes, *_damage(text, data)])
    text, codec = decode(data, name, encoding)
    notes = _damage(text, data)
    text, embedded = _EMBEDDED.subn("", clean(text))
    notes += [f"{embedded} embedded files were not read"] if embedded else []
    text, coded = _ARMOR.subn("", text)
    notes += [f"{coded} keys or encrypted texts were not read"] if coded else []
    if kind == "markdown":
        from rag_app.documents.web.markdown_source import shown_markdown

        return ExtractedText(shown_markdown(text), codec, notes=notes)
    if kind in _MARKUP:
        module, function = _MARKUP[kind]
        to_markdown: Callable[[str], str] = getattr(import_module(module), function)
        return ExtractedText(to_markdown(text), codec, notes=notes)
    if kind == "csv":
        from rag_app.documents.sheets.delimited import read_csv

        return ExtractedText(read_csv(text, name), codec, notes=notes)
    return ExtractedText(text, codec, notes=notes)


def _damage(text: str, data: bytes) -> list[str]:
    """Return a note of the places at which bytes were no characters."""
    lost = text.count(SKIPPED) - data.count(SKIPPED.encode())
    return [f"{lost} damaged places were left out; get it or save it again"] if lost > 0 else []
