"""Fields of the form on a PDF page, and comments that readers have written on it."""

from collections.abc import Callable, Iterator
from ctypes import byref, cast, create_string_buffer
from typing import Any, NamedTuple

from pypdfium2 import PdfPage
from pypdfium2 import raw as pdfium

from rag_app.documents.pdf.bidi import is_rtl, logical_order
from rag_app.documents.pdf.characters import Char, Space, turned_upright
from rag_app.documents.text import is_wide, remark

_NAMES = "TEXT HIGHLIGHT UNDERLINE SQUIGGLY STRIKEOUT CARET INK SQUARE CIRCLE POLYGON POLYLINE LINE"
_COMMENTING = {getattr(pdfium, f"FPDF_ANNOT_{name}") for name in _NAMES.split()}
"""Kinds of annotations that are comments."""
_MOST = 5000  # annotations of a page that are looked at
_LONGEST = 20_000  # bytes of one's text
_LARGEST, _SMALLEST = 12.0, 2.0
"""Sizes of the text in a field, in points."""
_LEADING = 1.3  # height of a line, in sizes of its text
_PASSWORD = 1 << 13  # flag of a field that shows nothing of its value (ISO 32000-1, table 228)


class Written(NamedTuple):
    """A text and the box in which it is, in points."""

    text: str
    left: float
    bottom: float
    right: float
    top: float


class Annotations(NamedTuple):
    """What annotations of a page say."""

    shown: list[Written]
    """Values of fields, ticks and texts."""
    comments: list[Written]
    """What opens at a click."""
    drawn: list[int]
    """Places of those whose text is only drawn."""


def annotations(page: PdfPage) -> Annotations:
    """Return what is on a page beside its content, and the comments on it."""
    shown: list[Written] = []
    comments: list[Written] = []
    drawn: list[int] = []
    hidden = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
    for number in range(min(pdfium.FPDFPage_GetAnnotCount(page.raw), _MOST)):
        item = pdfium.FPDFPage_GetAnnot(page.raw, number)
        if not item:
            continue
        try:
            kind = pdfium.FPDFAnnot_GetSubtype(item)
            if pdfium.FPDFAnnot_GetFlags(item) & hidden:
                continue
            if kind == pdfium.FPDF_ANNOT_WIDGET:
                said = _placed(item, _field_value(page, item))
                drawn += [number] if not said and _draws_text(page, item) else []
                shown += said
            elif kind == pdfium.FPDF_ANNOT_FREETEXT:
                said = _placed(item, _entry(item, b"Contents"))
                drawn += [number] if not said and _holds_text(item) else []
                shown += said
            elif kind == pdfium.FPDF_ANNOT_STAMP:
                drawn += [number] if _holds_text(item) else []
            elif kind in _COMMENTING and (text := _entry(item, b"Contents").strip()):
                author = _entry(item, b"T").strip()
                comments += _placed(item, remark(" ".join(text.split()), author))
        finally:
            pdfium.FPDFPage_CloseAnnot(item)
    return Annotations(shown, comments, drawn)


def _draws_text(page: PdfPage, item: object) -> bool:
    """Return whether a field for text or a signature without a value shows text all the same."""
    if page.formenv is None or not _holds_text(item):
        return False
    form = page.formenv.raw
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, item)
    secret = pdfium.FPDFAnnot_GetFormFieldFlags(form, item) & _PASSWORD
    return not secret and kind in {pdfium.FPDF_FORMFIELD_TEXTFIELD, pdfium.FPDF_FORMFIELD_SIGNATURE}


def _holds_text(item: object) -> bool:
    """Return whether an annotation draws text, or a form that may hold some."""
    count = min(pdfium.FPDFAnnot_GetObjectCount(item), _LONGEST)
    objects = (pdfium.FPDFAnnot_GetObject(item, at) for at in range(count))
    return any(
        pdfium.FPDFPageObj_GetType(each) in {pdfium.FPDF_PAGEOBJ_TEXT, pdfium.FPDF_PAGEOBJ_FORM}
        for each in objects
    )


def characters(written: Written, quarter: int = 0) -> Iterator[Char]:
    """Yield the characters of a text in its box, line by line from the top."""
    lines = written.text.splitlines() or [""]
    box = turned_upright(Char("", *written[1:], size=0.0), quarter)
    size = min(max((box.top - box.bottom) / len(lines) / _LEADING, _SMALLEST), _LARGEST)
    top = min(box.top, box.middle + size * _LEADING * len(lines) / 2)
    for number, line in enumerate(lines):
        width = sum(map(_width, line)) * size or 1.0
        squeezed = min(1.0, max(box.right - box.left, size) / width)
        left, bottom = box.left, top - (number + 1) * size * _LEADING
        for at in logical_order(line) if any(map(is_rtl, line)) else range(len(line)):
            right = left + _width(line[at]) * size * squeezed
            if not line[at].isspace():
                spaced = Space.WRITTEN if at and line[at - 1].isspace() else Space.NONE
                yield Char(line[at], left, bottom, right, bottom + size, size, spaced=spaced)
            left = right


def _width(char: str) -> float:
    return 1.0 if is_wide(char) else 0.5


def _placed(item: object, text: str) -> list[Written]:
    box = pdfium.FS_RECTF()
    if not text.strip() or not pdfium.FPDFAnnot_GetRect(item, byref(box)):
        return []
    return [Written(text, box.left, box.bottom, box.right, box.top)]


def _field_value(page: PdfPage, item: object) -> str:
    """Return what a field shows: text, a tick, or what was chosen."""
    if page.formenv is None:
        return ""
    form = page.formenv.raw
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, item)
    if kind in {pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON}:
        return "☑" if pdfium.FPDFAnnot_IsChecked(form, item) else "☐"
    if kind in {pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX}:
        chosen = [
            wide_text(lambda *to, at=at: pdfium.FPDFAnnot_GetOptionLabel(form, item, at, *to))
            for at in range(min(pdfium.FPDFAnnot_GetOptionCount(form, item), _MOST))
            if pdfium.FPDFAnnot_IsOptionSelected(form, item, at)
        ]
        if chosen:
            return "、".join(chosen)
    elif kind != pdfium.FPDF_FORMFIELD_TEXTFIELD:
        return ""
    if pdfium.FPDFAnnot_GetFormFieldFlags(form, item) & _PASSWORD:
        return ""
    return wide_text(lambda *to: pdfium.FPDFAnnot_GetFormFieldValue(form, item, *to))


def _entry(item: object, key: bytes) -> str:
    return wide_text(lambda *to: pdfium.FPDFAnnot_GetStringValue(item, key, *to))


def wide_text(read: Callable[..., int]) -> str:
    """Return a string of PDFium's, which it writes as UTF-16 into a buffer."""
    size = min(read(None, 0), _LONGEST)
    buffer: Any = create_string_buffer(size + 2)
    read(cast(buffer, pdfium.POINTER(pdfium.FPDF_WCHAR)), size)
    return str(buffer.raw[:size].decode("utf-16-le", "replace")).rstrip("\0")
