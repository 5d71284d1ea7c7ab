"""Word, PowerPoint and EPUB → Markdown, by markitdown's converters.

The converters are called one by one: `markitdown.MarkItDown` would first load a neural network to
guess the file type, which is known here.
"""

import re
import warnings
from io import BytesIO

from rag_app.documents.archive import check_archive
from rag_app.documents.html import MARKDOWN_OPTIONS
from rag_app.documents.pages import joined
from rag_app.documents.text import clean, one_blank_line

_SLIDE = re.compile(r"\n*<!-- Slide number: (\d+) -->\n?")
_PICTURE = re.compile(r"^!\[[^\]\n]*\]\(\w*\.jpg\)$", re.MULTILINE)


def read_docx(data: bytes, name: str) -> str:
    """Return a Word document as Markdown with its headings, lists and tables."""
    from markitdown.converters import DocxConverter

    return _converted(DocxConverter(), data, name)


def read_epub(data: bytes, name: str) -> str:
    """Return a book as Markdown, chapter after chapter."""
    from markitdown.converters import EpubConverter

    return _converted(EpubConverter(), data, name)


def read_pptx(data: bytes, name: str) -> tuple[str, list[int]]:
    """Return the slides as Markdown, with their notes, and the offset at which each begins."""
    from markitdown.converters import PptxConverter

    text = _PICTURE.sub("", _converted(PptxConverter(), data, name))
    # What else looks like a mark stands in the text of a slide: the numbers tell.
    slides: list[str] = []
    at = 0
    for mark in _SLIDE.finditer(text):
        if int(mark[1]) == len(slides) + 1:
            slides.append("")
            if len(slides) > 1:
                slides[-2] = text[at : mark.start()]
            at = mark.end()
    slides[-1:] = [text[at:]]
    return joined([one_blank_line(slide) for slide in slides])


def _converted(converter: "object", data: bytes, name: str) -> str:
    from markitdown import StreamInfo

    check_archive(data, name)
    with warnings.catch_warnings():
        # The parsers warn of oddities in files that they read all the same.
        warnings.simplefilter("ignore")
        info = StreamInfo(charset="utf-8")
        result = converter.convert(BytesIO(data), info, **MARKDOWN_OPTIONS)  # type: ignore[attr-defined]
    return one_blank_line(clean(result.markdown))
