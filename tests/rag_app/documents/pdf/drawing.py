"""PDF pages drawn line by line, where a test wants them."""

import io
from collections.abc import Callable, Sequence

from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = A4
SONG = "STSong-Light"


def pdf(*pages: Callable[[Canvas], object]) -> bytes:
    """A file whose pages the functions draw."""
    if SONG not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(SONG))
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A4)
    for page in pages:
        canvas.setFont(SONG, 12)
        page(canvas)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def lines(
    canvas: Canvas, texts: Sequence[str], *, x: float = 60, y: float = 780, leading: float = 18,
    size: float = 12, font: str = SONG, tracking: float = 0,
) -> float:  # fmt: skip
    """Write lines one below the other and return where the next one would stand."""
    for text in texts:
        item = canvas.beginText(x, y)
        item.setFont(font, size)
        item.setCharSpace(tracking)
        item.textOut(text)
        canvas.drawText(item)
        y -= leading
    return y


def ruled_table(
    canvas: Canvas, rows: Sequence[Sequence[str]], *, x: float = 60, y: float = 700,
    width: float = 90, height: float = 22,
) -> None:  # fmt: skip
    """Write a table with lines around its cells."""
    columns = len(rows[0])
    for number in range(len(rows) + 1):
        canvas.line(x, y - number * height, x + columns * width, y - number * height)
    for number in range(columns + 1):
        canvas.line(x + number * width, y, x + number * width, y - len(rows) * height)
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            place = (x + column * width + 4, y - (number + 1) * height + 7)
            if cell:
                lines(canvas, [cell], x=place[0], y=place[1])
