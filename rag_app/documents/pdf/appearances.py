"""Text that annotations of a PDF only draw: stamps, fields of a form without a value of text."""

from collections.abc import Sequence
from contextlib import closing, suppress

from pypdfium2 import PdfDocument, PdfiumError
from pypdfium2 import raw as pdfium

from rag_app.documents.pdf.characters import PageCharacters
from rag_app.documents.pdf.text_layer import page_characters

_MOST_OBJECTS = 50_000  # objects of a page; a plan of more is not taken apart


class Appearances:
    """What annotations draw, on pages of a second reading of a file that nothing else is left on.

    Example:
        >>> with Appearances(b"%PDF-") as appearances:
        ...     appearances.characters(0, []).chars
        []
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._document: PdfDocument | None = None

    def __enter__(self) -> "Appearances":
        return self

    def __exit__(self, *_: object) -> None:
        if self._document is not None:
            self._document.close()

    def characters(self, number: int, drawn: Sequence[int]) -> PageCharacters:
        """Return the characters that some annotations draw where they are on their page.

        Args:
            number: That of the page, from 0.
            drawn: The annotations' places on it.
        """
        with suppress(PdfiumError):  # what is damaged costs only itself
            return self._drawn(number, drawn) if drawn else PageCharacters([])
        return PageCharacters([])

    def _drawn(self, number: int, drawn: Sequence[int]) -> PageCharacters:
        self._document = self._document or PdfDocument(self._data)
        with closing(self._document[number]) as page:
            if pdfium.FPDFPage_CountObjects(page.raw) > _MOST_OBJECTS:
                return PageCharacters([])
            for item in list(page.get_objects(max_depth=1)):
                page.remove_obj(item)
            page.gen_content()
            for at in reversed(range(pdfium.FPDFPage_GetAnnotCount(page.raw))):
                if at not in drawn:
                    pdfium.FPDFPage_RemoveAnnot(page.raw, at)
            pdfium.FPDFPage_Flatten(page.raw, pdfium.FLAT_NORMALDISPLAY)
        with closing(self._document[number]) as page:
            return page_characters(page)
