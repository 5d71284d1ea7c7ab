"""EPUB books → Markdown, by markitdown's converter, chapter after chapter."""

import warnings
from io import BytesIO

from rag_app.documents.archive import check_archive
from rag_app.documents.formats import ExtractedText
from rag_app.documents.html import MARKDOWN_OPTIONS
from rag_app.documents.text import clean, one_blank_line


def read_epub(data: bytes, name: str) -> ExtractedText:
    """Return a book as Markdown."""
    from markitdown import StreamInfo
    from markitdown.converters import EpubConverter

    check_archive(data, name)
    with warnings.catch_warnings():
        # The parser warns of oddities in files that it reads all the same.
        warnings.simplefilter("ignore")
        info = StreamInfo(charset="utf-8")
        result = EpubConverter().convert(BytesIO(data), info, **MARKDOWN_OPTIONS)
    return ExtractedText(one_blank_line(clean(result.markdown)))
