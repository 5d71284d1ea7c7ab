"""Files that a PDF brings with it: invoices as XML, tables, the documents of a portfolio."""

from ctypes import byref, c_ulong, create_string_buffer

from pypdfium2 import PdfDocument, PdfPage
from pypdfium2 import raw as pdfium

from rag_app.documents.pdf.annotations import wide_text
from rag_app.documents.text import shown

_MOST = 200  # files of a document, and annotations of a page that are looked at
_MOST_BYTES = 2**27  # bytes of all files of a document together
_NAMED = 20  # files that a note names


class Attachments:
    """The files that are attached to a document, each once, as far as they are not too large."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, bytes], None] = {}
        """Their names and contents, in their order."""
        self._unread: list[str] = []
        self._left = _MOST_BYTES

    def add_from(self, document: PdfDocument) -> None:
        """Add the files that stand on none of its pages."""
        for number in range(min(pdfium.FPDFDoc_GetAttachmentCount(document.raw), _MOST)):
            self._add(pdfium.FPDFDoc_GetAttachment(document.raw, number))

    def add_pinned_to(self, page: PdfPage) -> None:
        """Add the files that readers have pinned to a page."""
        for number in range(min(pdfium.FPDFPage_GetAnnotCount(page.raw), _MOST)):
            item = pdfium.FPDFPage_GetAnnot(page.raw, number)
            if not item:
                continue
            if pdfium.FPDFAnnot_GetSubtype(item) == pdfium.FPDF_ANNOT_FILEATTACHMENT:
                self._add(pdfium.FPDFAnnot_GetFileAttachment(item))
            pdfium.FPDFPage_CloseAnnot(item)

    def note(self, *, read: bool) -> list[str]:
        """Return a note of those that are not read; ``read`` says whether the others are."""
        names = self._unread + ([] if read else [name for name, _ in self.files])
        said = ", ".join(map(shown, names[:_NAMED])) + (", …" if len(names) > _NAMED else "")
        return [f"files attached to it were not read ({said}); save and name them"] if names else []

    def _add(self, item: object) -> None:
        """Add a file, given PDFium's pointer to it, if it holds anything."""
        size = c_ulong()
        if not item or not pdfium.FPDFAttachment_GetFile(item, None, 0, byref(size)):
            return
        name = wide_text(lambda *to: pdfium.FPDFAttachment_GetName(item, *to)) or "?"
        if size.value > self._left or len(self.files) == _MOST:
            self._unread.append(name)
            return
        buffer = create_string_buffer(size.value)
        if pdfium.FPDFAttachment_GetFile(item, buffer, size, byref(size)) and size.value:
            self.files[name, buffer.raw] = None
            self._left -= size.value
