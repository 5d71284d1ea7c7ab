"""Pictures of pages: what was read of a line stands where its box says, however the page lies."""

import hashlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from rag_app.documents.formats import LineBox
from rag_app.documents.loaders import FileLoader
from rag_app.documents.page_image import (
    SIDE,
    FileChangedError,
    NoSuchPageError,
    PageImage,
    page_image,
)
from rag_app.errors import DocumentError
from tests.rag_app.documents.pdf.drawing import lines, pdf, ruled_table

TEXT = ["Readers may borrow five books at a time,", "for thirty days, and renew each of them."]


def drawn(data: bytes, number: int = 1) -> tuple[PageImage, list[LineBox]]:
    """A page, and the boxes of what was read on it."""
    path = Path("page.pdf")
    path.write_bytes(data)
    (document,) = FileLoader(path).load()
    boxes = [LineBox(*values) for values in document.metadata["boxes"]]
    page = page_image(path, "pdf", hashlib.sha256(data).hexdigest(), number)
    return page, [box for box in boxes if box.page == number]


def ink_outside(page: PageImage, boxes: list[LineBox]) -> tuple[int, int]:
    """How many dark pixels there are, and how many of them in no box."""
    picture = Image.open(BytesIO(page.png)).convert("L").point(lambda value: value < 128 and 255)
    assert picture.size == (page.width, page.height)
    all_ink = picture.histogram()[255]
    for box in boxes:
        share = page.share_of(box[3:])
        assert share
        left, top, right, bottom = share
        x, y = int(left * page.width - 4), int(top * page.height - 4)
        picture.paste(0, (x, y, int(right * page.width + 4), int(bottom * page.height + 4)))
    return all_ink, picture.histogram()[255]


def text(canvas: Canvas) -> None:
    lines(canvas, TEXT, font="Helvetica")


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_lines_stand_in_their_boxes(rotation: int) -> None:
    def page(canvas: Canvas) -> None:
        canvas.setPageRotation(rotation)  # it turns the sheet too, so that it is shown upright
        lines(canvas, TEXT, font="Helvetica", y=500)

    image, boxes = drawn(pdf(page))
    assert image.width < image.height
    assert max(image.width, image.height) <= SIDE
    assert len(boxes) == 2
    ink, outside = ink_outside(image, boxes)
    assert ink > 1000
    assert outside == 0


@pytest.mark.parametrize(("quarters", "x", "y"), [(1, 400, 100), (2, 400, 500), (3, 100, 600)])
def test_lines_that_are_turned_on_the_page_stand_in_their_boxes(
    quarters: int, x: int, y: int
) -> None:
    def page(canvas: Canvas) -> None:
        canvas.setPageRotation(90 * quarters)
        canvas.translate(x, y)
        canvas.rotate(90 * quarters)
        canvas.setFont("Helvetica", 12)
        for number, line in enumerate(TEXT):
            canvas.drawString(0, -18 * number, line)

    image, boxes = drawn(pdf(page))
    ink, outside = ink_outside(image, boxes)
    assert len(boxes) == 2
    assert ink > 1000
    assert outside == 0


def test_a_page_that_is_cut_has_its_lines_in_their_boxes() -> None:
    def page(canvas: Canvas) -> None:
        canvas.setCropBox((40, 500, 500, 820))
        text(canvas)

    image, boxes = drawn(pdf(page))
    assert image.width > image.height
    ink, outside = ink_outside(image, boxes)
    assert ink > 1000
    assert outside == 0


def test_a_table_has_one_box() -> None:
    rows = [["name", "price"], ["paper", "12"], ["ink", "30"]]
    image, boxes = drawn(pdf(lambda canvas: ruled_table(canvas, rows)))
    (box,) = boxes
    assert image.share_of(box[3:])
    assert ink_outside(image, boxes)[1] == 0


def test_each_page_has_its_picture() -> None:
    data = pdf(text, lambda canvas: lines(canvas, ["Another page"], font="Helvetica"))
    first, second = drawn(data)[0], drawn(data, 2)[0]
    assert first.pages == second.pages == 2
    assert first.png != second.png
    with pytest.raises(NoSuchPageError, match="has 2 pages"):
        drawn(data, 3)


def test_pictures_are_pages_too() -> None:
    path = Path("scan.tiff")
    frames = [Image.new("RGB", (900, 1200), colour) for colour in ("white", "red")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    page = page_image(path, "image", digest, 2)
    assert (page.pages, page.width, page.height) == (2, 900, 1200)
    assert Image.open(BytesIO(page.png)).convert("RGB").getpixel((5, 5)) == (255, 0, 0)
    assert page.share_of((90, 600, 450, 1200)) == (0.1, 0.0, 0.5, 0.5)
    assert page.share_of((900, -90, 990, -1)) is None


def test_a_file_that_is_another_now_is_not_shown() -> None:
    path = Path("page.pdf")
    path.write_bytes(pdf(text))
    with pytest.raises(FileChangedError, match="changed"):
        page_image(path, "pdf", "0" * 64, 1)
    with pytest.raises(FileChangedError, match="not there"):
        page_image(Path("other.pdf"), "pdf", "0" * 64, 1)


def test_a_damaged_file_is_said() -> None:
    path = Path("page.pdf")
    path.write_bytes(b"%PDF-1.7 and nothing more")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DocumentError, match="damaged"):
        page_image(path, "pdf", digest, 1)
