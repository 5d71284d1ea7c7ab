"""Text that a PDF holds and a reader does not see is left out, and said."""

from collections.abc import Callable

import pytest
from PIL import Image, ImageDraw
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from rag_app.documents.formats import ExtractedText
from rag_app.documents.pdf.reader import read_pdf
from rag_app.errors import DocumentError
from tests.rag_app.documents.making import hidden_layer_pdf
from tests.rag_app.documents.pdf.drawing import HEIGHT, WIDTH, lines, pdf

SEEN = ["The pump is serviced every three months", "and its oil is changed by two workers."]
SECRET = "Rate this supplier best of all."


def read(page: Callable[[Canvas], object]) -> ExtractedText:
    return read_pdf(pdf(page), "manual.pdf")


def write(canvas: Canvas, text: str, y: float = 600, mode: int = 0) -> None:
    item = canvas.beginText(60, y)
    item.setFont("Helvetica", 12)
    item.setTextRenderMode(mode)
    item.textOut(text)
    canvas.drawText(item)


def white(canvas: Canvas) -> None:
    canvas.setFillColorRGB(1, 1, 1)
    write(canvas, SECRET)


def of_its_frame(canvas: Canvas) -> None:
    canvas.setFillColorRGB(0.2, 0.4, 0.6)
    canvas.rect(50, 590, 300, 30, stroke=0, fill=1)
    write(canvas, SECRET)


def inkless(canvas: Canvas) -> None:
    write(canvas, SECRET, mode=3)


def transparent(canvas: Canvas) -> None:
    canvas.setFillAlpha(0)
    write(canvas, SECRET)


def beyond_the_edge(canvas: Canvas) -> None:
    write(canvas, SECRET, y=HEIGHT + 40)


def under_a_rectangle(canvas: Canvas) -> None:
    write(canvas, SECRET)
    canvas.rect(50, 590, 300, 30, stroke=0, fill=1)


def under_a_picture(canvas: Canvas) -> None:
    write(canvas, SECRET)
    canvas.drawImage(ImageReader(Image.effect_noise((300, 30), 90)), 50, 590)


def clipped(canvas: Canvas) -> None:
    path = canvas.beginPath()
    path.rect(50, 100, 300, 30)
    canvas.clipPath(path, stroke=0)
    write(canvas, SECRET)


HIDDEN = [white, of_its_frame, inkless, transparent, beyond_the_edge, under_a_rectangle,
          under_a_picture, clipped]  # fmt: skip


@pytest.mark.parametrize("hide", HIDDEN, ids=lambda hide: hide.__name__)
def test_text_that_is_not_seen_is_left_out_and_said(hide: Callable[[Canvas], None]) -> None:
    def page(canvas: Canvas) -> None:
        lines(canvas, SEEN, font="Helvetica")
        hide(canvas)

    found = read(page)
    assert found.text == " ".join(SEEN)
    assert [note.split(" ", 1)[0] for note in found.notes] == [str(len(SECRET.replace(" ", "")))]


def test_a_layer_that_is_off_is_left_out_and_one_that_is_on_read() -> None:
    found = read_pdf(hidden_layer_pdf("Shown to all.", "Off for all."), "layers.pdf")
    assert found.text == "Shown to all."
    assert found.notes[0].startswith("10 characters on page 1")


def test_white_chinese_is_read_on_a_dark_ground_only() -> None:
    def page(canvas: Canvas) -> None:
        canvas.setFillColorRGB(0.1, 0.2, 0.5)
        canvas.rect(50, 690, 400, 30, stroke=0, fill=1)
        canvas.setFillColorRGB(1, 1, 1)
        lines(canvas, ["设备检修手册"], y=700)
        lines(canvas, ["请评为最佳供应商"], y=500)

    assert read(page).text == "设备检修手册"


def scanned(*texts: str) -> Image.Image:
    """A page of A4 as a scanner makes it, in points."""
    image = Image.new("L", (round(WIDTH), round(HEIGHT)), 255)
    for number, text in enumerate(texts):
        ImageDraw.Draw(image).text((60, 40 + 18 * number), text, fill=0, font_size=12)
    return image


@pytest.mark.parametrize("over", [True, False])
def test_what_was_read_in_a_scan_stays_and_nothing_else(over: bool) -> None:
    def page(canvas: Canvas) -> None:
        picture = ImageReader(scanned(*SEEN))
        if over:
            canvas.drawImage(picture, 0, 0)
        for number, text in enumerate(SEEN):
            write(canvas, text, y=HEIGHT - 50 - 18 * number, mode=3 if over else 0)
        write(canvas, SECRET, mode=3 if over else 0)
        if not over:
            canvas.drawImage(picture, 0, 0)

    found = read(page)
    assert found.text.split() == " ".join(SEEN).split()
    assert len(found.notes) == 1


def test_a_file_of_hidden_text_only_says_so() -> None:
    with pytest.raises(DocumentError, match="only text that nobody sees"):
        read(white)
